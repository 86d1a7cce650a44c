# SPDX-License-Identifier: MIT
"""Make golden/CHECKPOINT/answers.json: python answers.py JANUS_CHECKOUT PARITY_FOLDER.

Questions about pictures as the original demo asks them (generate() of its language model), on the
checkpoints as they are stored: prompts, greedy answers with their texts, and what a draw is from.
"""

import argparse
import json
import pathlib

import torch
from PIL import Image

import cases
import checkpoints
import generate
import reference
import text_cases

QUESTIONS = ["What is in the picture?", "", " \n\t ", "  why?  ", "Zähle 3 Füchse 🦊 \n",
             "line one\n\nline two:", "\u3000雪の山は? ü"]
ANSWER_TOKENS = 24
DRAWS = [{"temperature": 0.1, "top_p": 0.95}, {"temperature": 1.0, "top_p": 0.95},
         {"temperature": 1.0, "top_p": 0.5}, {"temperature": 2.0, "top_p": 1.0}]


def open_checkpoint(janus, folder, spec):
    """The reference on a stored checkpoint."""
    processor = janus.processing_vlm.VLChatProcessor.from_pretrained(str(folder))
    model = reference.build_model(janus, spec)
    generate.load_shards(model, folder)
    return reference.Reference(model, processor, spec)


def ask(ref, embeds, **options):
    """generate() as multimodal_understanding() of the original demo calls it."""
    tokenizer = ref.processor.tokenizer
    return ref.model.language_model.generate(
        inputs_embeds=embeds, attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long),
        pad_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, use_cache=True, return_dict_in_generate=True,
        output_scores=True, **options)


def letters(ref):
    """Added tokens that are text: a byte's character each, which the original makes U+FFFD of."""
    added = ref.processor.tokenizer.added_tokens_decoder
    return {i: token.content for i, token in added.items() if not token.special}


def text_of(ref, ids):
    """The original's text, but for added tokens that are text: these stand for themselves."""
    plain, text, run = letters(ref), "", []
    for i in [*ids, None]:
        if i is not None and i not in plain:
            run.append(i)
            continue
        text += ref.processor.tokenizer.decode(run, skip_special_tokens=True)
        text, run = text + plain.get(i, ""), []
    return text


def decoded(ref, ids):
    """A list of ids with its text, and the original's where it is another."""
    text = text_of(ref, ids)
    theirs = ref.processor.tokenizer.decode(ids, skip_special_tokens=True)
    return {"ids": ids, "text": text, **({"original": theirs} if theirs != text else {})}


def greedy(ref, case, embeds):
    """The answer at temperature 0."""
    out = ask(ref, embeds, do_sample=False, max_new_tokens=ANSWER_TOKENS)
    best = torch.stack(out.scores)[:, 0].topk(2, dim=-1).values
    gaps = (best[:, 0] - best[:, 1]).tolist()
    print(f"  {case['name']}: {len(gaps)} tokens, least gap {min(gaps):.4f}")
    return {**case, **decoded(ref, out.sequences[0].tolist()), "gaps": [round(g, 5) for g in gaps]}


def draws(ref, case, embeds):
    """Ids that the first token is drawn from, with their probabilities."""
    found = []
    for draw in DRAWS:
        out = ask(ref, embeds, do_sample=True, max_new_tokens=1, **draw)
        kept = out.scores[0][0].isfinite().nonzero().flatten()
        probs = out.scores[0][0].softmax(-1)[kept]
        found.append({"name": case["name"], **draw, "top_k": 50, "ids": kept.tolist(),
                      "probs": [round(p, 6) for p in probs.tolist()]})
    return found


def texts(ref):
    """Lists of ids with their texts: whole texts, and random ids, which cut characters."""
    tokenizer = ref.processor.tokenizer
    lists = [tokenizer.encode(t, add_special_tokens=False) for t in text_cases.RAW]
    rng = torch.Generator().manual_seed(ref.spec["seed"])
    vocab = ref.spec["language"]["vocab_size"]
    lists += [torch.randint(vocab, (12,), generator=rng).tolist() for _ in range(40)]
    found = [decoded(ref, ids) for ids in lists]
    return [entry for entry in found if "\0" not in entry["text"]]  # which JSON readers refuse


def golden(ref, name, pictures):
    """Everything of one checkpoint."""
    image = pictures["portrait.png"]
    asked = {c["name"]: ref.describe_rows(c["question"], pictures[c["image"]])[1]
             for c in cases.DESCRIBE}
    return {
        "checkpoint": name,
        "questions": [{"question": q, "ids": ref.describe_rows(q, image)[0].tolist()}
                      for q in QUESTIONS],
        "greedy": [greedy(ref, c, asked[c["name"]]) for c in cases.DESCRIBE],
        "draws": [d for c in cases.DESCRIBE for d in draws(ref, c, asked[c["name"]])],
        "texts": texts(ref) if name in cases.TOKENIZER_OF else [],
    }


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("janus", type=pathlib.Path, help="checkout of deepseek-ai/Janus")
    parser.add_argument("parity", type=pathlib.Path, help="folder of the fixtures")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    janus = reference.import_janus(args.janus)
    pictures = {n: Image.open(args.parity / "inputs" / n).convert("RGB") for n in cases.inputs()}
    for name, spec in checkpoints.CHECKPOINTS.items():
        print(name)
        ref = open_checkpoint(janus, args.parity / name, spec)
        text = json.dumps(golden(ref, name, pictures), ensure_ascii=False)
        path = args.parity / "golden" / name / "answers.json"
        path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
