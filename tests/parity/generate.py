# SPDX-License-Identifier: MIT
"""Make the parity fixtures: python generate.py JANUS_CHECKOUT OUTPUT_FOLDER [--only NAME]."""

import argparse
import json
import pathlib
import shutil

import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import cases
import checkpoints
import preprocess
import reference
import text_cases
import toy_tokenizer
import weights

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
GUIDED_STD = 3.0  # spread of the guided logits at cfg 5, as seen in trained models


def write_json(path, value, indent=1):
    """One UTF-8 JSON file."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    path.write_text(text + "\n", encoding="utf-8")


def write_configs(folder, spec):
    """All JSON files of a checkpoint folder."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    write_json(folder / "config.json", checkpoints.model_config(spec), 2)
    write_json(folder / "preprocessor_config.json", checkpoints.preprocessor_config(spec), 2)
    write_json(folder / "processor_config.json", checkpoints.processor_config(spec), 2)
    write_json(folder / "tokenizer_config.json", toy_tokenizer.config(), 2)
    write_json(folder / "tokenizer.json", toy_tokenizer.build(spec["tokenizer"]), 0)


def stored_tensors(model, spec):
    """The state dict as it goes to the files."""
    tensors = {}
    for name, tensor in model.state_dict().items():
        optional = [p for p in ("attn_pool", "codebook_used") if p in name]
        if not optional or optional[0] in spec["keep"]:
            tensors[name] = tensor.to(DTYPES[spec["dtype"]]).contiguous()
    return tensors


def save_shards(folder, tensors, n_shards):
    """model.safetensors, or shards of about equal size with their index."""
    meta = {"format": "pt"}
    if n_shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata=meta)
        return
    sizes = {n: t.numel() * t.element_size() for n, t in tensors.items()}
    total, passed, shards = sum(sizes.values()), 0, [{} for _ in range(n_shards)]
    for name, tensor in tensors.items():
        shards[min(passed * n_shards // total, n_shards - 1)][name] = tensor
        passed += sizes[name]
    where = {}
    for i, shard in enumerate(shards):
        file = f"model-{i + 1:05d}-of-{n_shards:05d}.safetensors"
        save_file(shard, folder / file, metadata=meta)
        where.update({name: file for name in shard})
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))}
    write_json(folder / "model.safetensors.index.json", index, 0)


def load_shards(model, folder):
    """Read the stored weights back, widened to f32."""
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors.update(load_file(path))
    result = model.load_state_dict({n: t.float() for n, t in tensors.items()}, strict=False)
    missing = [n for n in result.missing_keys if "attn_pool" not in n and "_used" not in n]
    assert not missing and not result.unexpected_keys, (missing, result.unexpected_keys)


def random_tokens(spec, seed, n):
    """A forced token list."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(spec["vq"]["codes"], (n,), generator=rng).tolist()


def calibrate(ref):
    """Scale the gen head so that guided logits spread like those of a trained model."""
    _, embeds = ref.text_rows(cases.FOX, 1)
    tokens = random_tokens(ref.spec, 1, ref.n_tokens)
    run = ref.run(embeds, ref.n_tokens, 5.0, None, reference.forced(tokens))
    head = ref.model.gen_head.vision_head
    scale = GUIDED_STD / run.guided.std()
    head.weight.mul_(scale)
    head.bias.mul_(scale)


def make_checkpoint(janus, folder, spec):
    """Write one checkpoint folder and return its reference, loaded from the files."""
    write_configs(folder, spec)
    processor = janus.processing_vlm.VLChatProcessor.from_pretrained(str(folder))
    model = reference.build_model(janus, spec)
    weights.randomize(model, spec["seed"])
    ref = reference.Reference(model, processor, spec)
    calibrate(ref)
    save_shards(folder, stored_tensors(model, spec), spec["shards"])
    load_shards(model, folder)
    assert processor.num_image_tokens == ref.n_tokens
    return ref


def start(ref, case, pictures, n_samples):
    """Prompt ids, embeddings and, for an edit, what was seen in the picture."""
    if case["kind"] == "text":
        return *ref.text_rows(case["prompt"], n_samples), None
    return ref.edit_rows(case["prompt"], pictures[case["image"]], n_samples)


def trace(ref, case, pictures, seed):
    """Tensors and forced tokens of one traced case."""
    steps = case["steps"] or ref.n_tokens
    tokens = random_tokens(ref.spec, seed, steps)
    ids, embeds, seen = start(ref, case, pictures, 1)
    run = ref.run(embeds, steps, case["cfg"], case.get("image_cfg"), reference.forced(tokens))
    classes = ["cond", "uncond"] if seen is None else ["full", "part", "uncond"]
    out = {"input_ids": torch.tensor(ids, dtype=torch.long), "guided": run.guided[:, 0]}
    for row, name in enumerate(classes):
        out["hidden." + name] = run.hidden[:, row]
        out["logits." + name] = run.logits[:, row]
    if seen is not None:
        out.update({"pixel_values": seen.pixels[0], "siglip": seen.siglip,
                    "aligned": seen.aligned, "vq_latent": seen.latent, "vq_ids": seen.vq_ids})
    if steps == ref.n_tokens:
        out["pixels"] = ref.decode(torch.tensor([tokens]))[0]
    check(ref, case, embeds, run, reference.forced(tokens))
    if ref.spec["dtype"] == "BF16":
        out.pop("pixel_values", None)  # the same as in the f32 checkpoint's case
    entry = {**case, "steps": steps}
    if seen is not None:
        entry["vq_gap"] = round(picture_gap(ref, seen), 6)
    return {n: t.contiguous() for n, t in out.items()}, tokens, entry


def check(ref, case, embeds, run, choose):
    """The cached run equals one that recomputes everything at each step."""
    steps = run.hidden.shape[0]
    whole = ref.run(embeds, steps, case["cfg"], case.get("image_cfg"), choose, use_cache=False)
    error = (whole.hidden - run.hidden).abs().max() / run.hidden.abs().max()
    assert torch.isfinite(run.guided).all() and error < 1e-5, (case["name"], error)
    print(f"  {case['name']}: no-cache error {error:.1e}, guided std {run.guided.std():.2f}, "
          f"hidden std {run.hidden.std():.2f} max {run.hidden.abs().max():.1f}")


def picture_gap(ref, seen):
    """Smallest gap between the two nearest codebook rows over all positions."""
    unit = torch.nn.functional.normalize
    rows = unit(seen.latent.flatten(1).T, dim=-1)
    book = unit(ref.model.gen_vision_model.quantize.embedding.weight, dim=-1)
    best = torch.cdist(rows, book).square().topk(2, largest=False).values
    return float((best[:, 1] - best[:, 0]).min())


def greedy(ref, case, pictures):
    """Tokens at temperature 0, with the gap of the two best guided logits at every step."""
    ids, embeds, seen = start(ref, case, pictures, case["samples"])
    run = ref.run(embeds, ref.n_tokens, case["cfg"], case.get("image_cfg"), reference.greedy)
    best = run.guided.topk(2, dim=-1).values
    gaps = (best[..., 0] - best[..., 1]).T
    distinct = len(set(run.tokens[0].tolist()))
    print(f"  greedy {case['name']}: {distinct} distinct tokens, least gap {gaps.min():.4f}")
    assert distinct >= 10, case["name"]
    result = {**{k: v for k, v in case.items() if k != "samples"},
              "samples": run.tokens.tolist(),
              "gaps": [[round(g, 5) for g in row] for row in gaps.tolist()]}
    if seen is not None:
        result["vq_gap"] = round(picture_gap(ref, seen), 6)
    return result


def make_goldens(ref, name, out, pictures):
    """Traces and greedy tokens of one checkpoint; returns the entries of the case list."""
    folder = out / "golden" / name
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    entries = []
    for i, case in enumerate(cases.TRACES[name]):
        tensors, tokens, entry = trace(ref, case, pictures, ref.spec["seed"] + 10 + i)
        save_file(tensors, folder / (case["name"] + ".safetensors"))
        write_json(folder / (case["name"] + ".tokens.json"), {"tokens": tokens}, None)
        entries.append({**entry, "checkpoint": name})
    picks = [greedy(ref, case, pictures) for case in cases.GREEDY]
    write_json(folder / "greedy.json", {"checkpoint": name, "cases": picks}, None)
    answers = {"checkpoint": name, "cases": describe(ref, pictures, folder)}
    write_json(folder / "describe.json", answers, None)
    if name in cases.TOKENIZER_OF:
        write_json(folder / "tokenizer.json", text_cases.golden(ref, name), None)
    return entries


def describe(ref, pictures, out):
    """Understanding: lm_head logits along greedy answer ids, one file and a list of entries."""
    entries = []
    for case in cases.DESCRIBE:
        ids, embeds = ref.describe_rows(case["question"], pictures[case["image"]])
        hidden, logits, answer = ref.answer(embeds, cases.ANSWER_TOKENS)
        best = logits.topk(2, dim=-1).values
        save_file({"input_ids": ids, "hidden.text": hidden, "logits.text": logits},
                  out / (case["name"] + ".safetensors"))
        entries.append({**case, "tokens": answer.tolist(),
                        "gaps": [round(g, 5) for g in (best[:, 0] - best[:, 1]).tolist()]})
        print(f"  {case['name']}: {answer.tolist()}")
    return entries


def write_inputs(out):
    """Input pictures of the edits; returns them as read back from the files."""
    folder = out / "inputs"
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in cases.inputs().items():
        picture.save(folder / name, optimize=True)
        picture.save((folder / name).with_suffix(".ppm"))
    return {n: Image.open(folder / n).convert("RGB") for n in cases.inputs()}


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("janus", type=pathlib.Path, help="checkout of deepseek-ai/Janus")
    parser.add_argument("out", type=pathlib.Path, help="folder that receives the fixtures")
    parser.add_argument("--only", choices=checkpoints.CHECKPOINTS, help="one checkpoint")
    args = parser.parse_args()
    torch.set_num_threads(2)
    torch.set_grad_enabled(False)
    janus = reference.import_janus(args.janus)
    pictures = write_inputs(args.out)
    listed = []
    for name, spec in checkpoints.CHECKPOINTS.items():
        if args.only in (None, name):
            print(name)
            ref = make_checkpoint(janus, args.out / name, spec)
            listed += make_goldens(ref, name, args.out, pictures)
    write_json(args.out / "golden" / "cases.json", {"cases": listed})
    tensors, digests = preprocess.golden(janus)
    save_file(tensors, args.out / "golden" / "preprocess.safetensors")
    write_json(args.out / "golden" / "preprocess.json",
               {"cases": digests, "crops": preprocess.crops()})


if __name__ == "__main__":
    main()
