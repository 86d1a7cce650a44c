# SPDX-License-Identifier: MIT
# Writes the model folder: bf16 safetensors shards and the JSON files beside them.
"""Usage: export.py --out FOLDER [--base FOLDER] [--codec codec.pt] [--encoder encoder.pt]
                 [--painter painter.pt]

Parts without a state are those of the folder --base, else they stay at their seeded random start,
so that the folder is always complete.
"""

import argparse
import json
import pathlib
import struct

import torch

import edits
import prompts
from checkpoint import start_from
from model import SHAPE, DemoModel
from vocabulary import BEGIN, BOS, END, EOS, PAD, PLACEHOLDER, Vocabulary

SHARD_BYTES = 11 << 20
LETTERS = (
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿ"
    "ᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼ"
    "ℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎ"
    "ꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃")
SPLITS = ("[\r\n]", f"\\s?[{LETTERS}]+", "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+", "\\s+$",
          "[一-龥ࠀ-一가-\ud7ff]+")


def pre_tokenizer():
    """The stages of the original's pre-tokenizer."""
    stages = [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated",
               "invert": False} for pattern in SPLITS]
    stages.append({"type": "Digits", "individual_digits": True})
    stages.append({"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                   "use_regex": False})
    return {"type": "Sequence", "pretokenizers": stages}


def config():
    """config.json, with the two params that shapes cannot tell."""
    mlp = {"depth": 2, "n_embed": SHAPE.dim, "projector_type": "mlp_gelu"}
    return {
        "architectures": ["MultiModalityCausalLM"],
        "model_type": "multi_modality",
        "torch_dtype": "bfloat16",
        "aligner_config": {"cls": "MlpProjector", "model_type": "aligner",
                           "params": {**mlp, "input_dim": SHAPE.vision_dim}},
        "gen_aligner_config": {"cls": "MlpProjector", "model_type": "gen_aligner",
                               "params": {**mlp, "input_dim": SHAPE.code_dim}},
        "gen_head_config": {"cls": "vision_head", "model_type": "gen_head",
                            "params": {"image_token_embed": SHAPE.dim,
                                       "image_token_size": SHAPE.codes, "n_embed": SHAPE.dim}},
        "gen_vision_config": {"cls": "VQ-16", "model_type": "gen_vision",
                              "params": {"image_token_size": SHAPE.codes,
                                         "n_embed": SHAPE.code_dim,
                                         "norm_groups": SHAPE.norm_groups}},
        "vision_config": {"cls": "CLIPVisionTower", "model_type": "vision",
                          "params": {"image_size": SHAPE.grid * SHAPE.patch,
                                     "model_name": "siglip_demo_patch16_384",
                                     "num_heads": SHAPE.vision_heads,
                                     "select_feature": "same", "select_layer": -1}},
        "language_config": {
            "model_type": "llama", "torch_dtype": "bfloat16", "vocab_size": SHAPE.vocab,
            "hidden_size": SHAPE.dim, "intermediate_size": SHAPE.hidden_dim,
            "num_hidden_layers": SHAPE.n_layers, "num_attention_heads": SHAPE.n_heads,
            "num_key_value_heads": SHAPE.n_heads, "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "hidden_act": "silu",
            "tie_word_embeddings": False},
    }


def side_files(vocabulary, generation):
    """All JSON files but the index of the shards."""
    side = SHAPE.grid * SHAPE.patch
    return {
        "config.json": config(),
        "tokenizer.json": vocabulary.tokenizer_json(pre_tokenizer()),
        "tokenizer_config.json": {
            "tokenizer_class": "LlamaTokenizer", "model_max_length": 2048, "add_bos_token": True,
            "add_eos_token": False, "bos_token": BOS, "eos_token": EOS, "pad_token": None,
            "unk_token": None, "clean_up_tokenization_spaces": False},
        "preprocessor_config.json": {
            "image_processor_type": "VLMImageProcessor", "processor_class": "VLChatProcessor",
            "image_size": side, "min_size": 14, "do_normalize": True,
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
            "rescale_factor": 1 / 255, "background_color": [127, 127, 127]},
        "processor_config.json": {
            "processor_class": "VLChatProcessor", "sft_format": "deepseek",
            "add_special_token": False, "ignore_id": -100, "mask_prompt": True,
            "num_image_tokens": SHAPE.grid ** 2, "image_tag": PLACEHOLDER,
            "image_start_tag": BEGIN, "image_end_tag": END, "pad_tag": PAD},
        "generation_config.json": generation,
        "prompts.json": prompts.prompts_file(),
    }


def build(base=None, codec=None, encoder=None, painter=None):
    """The whole model: the weights of the folder `base`, with the trained parts that are given."""
    torch.manual_seed(1)
    model = DemoModel()
    if base:
        start_from(model, base, vocabulary=Vocabulary(edits.words()))
    if codec:
        state = torch.load(codec, weights_only=True)["codec"]
        taught = {name: value for name, value in state.items() if "encoder" not in name}
        model.gen_vision_model.load_state_dict(taught, strict=False)
    if encoder:
        state = torch.load(encoder, weights_only=True)["trainee"]
        for name in ("encoder.", "quant_conv."):
            start = f"codec.{name}"
            part = {name + key[len(start):]: value for key, value in state.items()
                    if key.startswith(start)}
            model.gen_vision_model.load_state_dict(part, strict=False)
    if painter:
        state = torch.load(painter, weights_only=True)["average"]
        _, unexpected = model.load_state_dict(state, strict=False)
        assert not unexpected, unexpected
    return model


def shards(tensors):
    """Names in groups whose tensors fit in a shard."""
    groups, room = [[]], SHARD_BYTES
    for name, tensor in tensors.items():
        if tensor.nbytes > room:
            groups.append([])
            room = SHARD_BYTES
        groups[-1].append(name)
        room -= tensor.nbytes
    return groups


def write_safetensors(path, tensors):
    """One safetensors file; all tensors are bfloat16."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.contiguous().view(torch.int16).numpy().tobytes())


def write_json(path, content, indent=2):
    """Readable JSON with a final newline."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=indent) + "\n", "utf-8")


def export(model, folder, generation):
    """Writes everything; gives the size of the folder's files in bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("model-*.safetensors"):
        old.unlink()
    tensors = {name: tensor.to(torch.bfloat16) for name, tensor in model.state_dict().items()}
    groups, places = shards(tensors), {}
    for i, names in enumerate(groups):
        file = f"model-{i + 1:05}-of-{len(groups):05}.safetensors"
        write_safetensors(folder / file, {name: tensors[name] for name in names})
        places.update({name: file for name in names})
    total = sum(tensor.nbytes for tensor in tensors.values())
    write_json(folder / "model.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": places}, indent=0)
    for name, content in side_files(Vocabulary(edits.words()), generation).items():
        is_long = name in ("tokenizer.json", "prompts.json")
        write_json(folder / name, content, indent=0 if is_long else 2)
    files = (*folder.glob("*.json"), *folder.glob("*.safetensors"))
    return sum(file.stat().st_size for file in files)


def main():
    """Reads the options and exports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--base", help="model folder to take what is not given from")
    parser.add_argument("--codec")
    parser.add_argument("--encoder")
    parser.add_argument("--painter")
    parser.add_argument("--cfg", type=float, default=3.0)
    parser.add_argument("--image-cfg", type=float, default=3.0)
    parser.add_argument("--temperature", type=float, default=0.8)
    options = parser.parse_args()
    generation = {"cfg": options.cfg, "image_cfg": options.image_cfg,
                  "temperature": options.temperature,
                  "describes": False}  # lm_head is not trained
    model = build(options.base, options.codec, options.encoder, options.painter)
    print(export(model, pathlib.Path(options.out), generation), "bytes")


if __name__ == "__main__":
    main()
