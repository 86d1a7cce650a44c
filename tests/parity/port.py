# SPDX-License-Identifier: MIT
"""The tiny checkpoints in the layout of the transformers port: python port.py OUTPUT_FOLDER.

Writes OUTPUT_FOLDER/port/CHECKPOINT: the port's own configuration files, and tensors.json, which
says of what each of its tensors is made. The weights themselves are not written again: the tests
put them together. Needs transformers 4.57 or newer; every map is proved by loading the weights into
the port's model and comparing what it computes with the golden values of the original code.
"""

import argparse
import json
import pathlib
import re

import torch
from safetensors.torch import load_file
from transformers import JanusConfig, JanusForConditionalGeneration
from transformers.models.janus.image_processing_janus import JanusImageProcessor

import checkpoints

BOUND = 1e-5  # of the RMS; 7e-7 was seen

RENAMES = [
    (r"^language_model\.model\.", "model.language_model."),
    (r"^language_model\.lm_head\.", "lm_head."),
    (r"^vision_model\.vision_tower\.blocks\.", "model.vision_model.encoder.layers."),
    (r"^vision_model\.vision_tower\.pos_embed$",
     "model.vision_model.embeddings.position_embedding.weight"),
    (r"^vision_model\.vision_tower\.patch_embed\.proj\.",
     "model.vision_model.embeddings.patch_embedding."),
    (r"^vision_model\.vision_tower\.norm\.", "model.vision_model.post_layernorm."),
    (r"(?<=layers\.)(\d+)\.norm([12])\.", r"\1.layer_norm\2."),
    (r"(?<=layers\.)(\d+)\.attn\.proj\.", r"\1.self_attn.projection_layer."),
    (r"(?<=layers\.)(\d+)\.attn\.qkv\.", r"\1.self_attn.*_proj."),
    (r"^aligner\.layers\.0\.", "model.aligner.fc1."),
    (r"^aligner\.layers\.2\.", "model.aligner.hidden_layers.0."),
    (r"^gen_aligner\.layers\.0\.", "model.generation_aligner.fc1."),
    (r"^gen_aligner\.layers\.2\.", "model.generation_aligner.hidden_layers.0."),
    (r"^gen_head\.output_mlp_projector\.", "model.generation_head.proj_out."),
    (r"^gen_head\.vision_head\.", "model.generation_head.vision_head."),
    (r"^gen_embed\.", "model.generation_embeddings."),
    (r"^gen_vision_model\.", "model.vqmodel."),
    (r"(?<=vqmodel\.decoder\.)conv_blocks\.", "up."),
    (r"(?<=vqmodel\.encoder\.)conv_blocks\.", "down."),
    (r"(?<=\d)\.res\.", ".block."),
    (r"\.mid\.0\.", ".mid.block_1."),
    (r"\.mid\.1\.", ".mid.attn_1."),
    (r"\.mid\.2\.", ".mid.block_2."),
]


def port_tensors(names):
    """{port's name: [original name, part of three or None]}, without what the port leaves out."""
    parts = {}
    for name in names:
        if "attn_pool" in name or "codebook_used" in name:
            continue
        new = name
        for old, text in RENAMES:
            new = re.sub(old, text, new)
        if "*" in new:
            parts.update({new.replace("*", "qkv"[i]): [name, i] for i in range(3)})
        else:
            parts[new] = [name, None]
    return parts


def port_config(spec):
    """The port's configuration of a checkpoint."""
    vq, hidden = spec["vq"], spec["hidden"]
    language = {k: v for k, v in spec["language"].items() if k != "torch_dtype"}
    return JanusConfig(
        text_config=language,
        vision_config={
            "hidden_size": spec["siglip"]["width"], "num_hidden_layers": spec["siglip"]["layers"],
            "num_attention_heads": spec["siglip"]["heads"], "image_size": spec["image_size"],
            "patch_size": spec["patch_size"], "projection_dim": hidden,
            "num_image_tokens": checkpoints.grid(spec) ** 2},
        vq_config={
            "embed_dim": vq["embed_dim"], "num_embeddings": vq["codes"],
            "latent_channels": vq["z_channels"], "base_channels": vq["ch"],
            "channel_multiplier": vq["ch_mult"], "projection_dim": hidden,
            "image_token_embed_dim": hidden})


def build_model(config, spec):
    """The port's model; the number of norm groups, fixed in its code, is replaced."""
    init, groups = torch.nn.GroupNorm.__init__, spec["vq"]["norm_groups"] or 32

    def patched(self, num_groups, num_channels, **kwargs):
        init(self, groups, num_channels, **kwargs)

    torch.nn.GroupNorm.__init__ = patched
    try:
        return JanusForConditionalGeneration(config).eval()
    finally:
        torch.nn.GroupNorm.__init__ = init


def load_weights(folder):
    """All tensors of a checkpoint, widened."""
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors.update(load_file(path))
    return {name: tensor.float() for name, tensor in tensors.items()}


def take_part(weights, name, part):
    """The tensor that the port has instead of the original's."""
    tensor = weights[name]
    if name.endswith("pos_embed"):
        return tensor[0]
    return tensor if part is None else tensor.chunk(3)[part]


def compare(what, ours, golden):
    """Fail when two tensors differ by more than the bound."""
    error = ((ours - golden).pow(2).mean() / golden.pow(2).mean()).sqrt().item()
    print(f"  {what}: {error:.1e}")
    assert error < BOUND, what


def check_pictures(model, golden, spec):
    """What the port sees in a picture, and the picture it makes of tokens."""
    edit = load_file(golden / "edit-portrait.safetensors")
    full = load_file(golden / "full.safetensors")
    tokens = json.loads((golden / "full.tokens.json").read_text())["tokens"]
    seen = model.model.vision_model(edit["pixel_values"][None]).last_hidden_state
    compare("siglip", seen[0], edit["siglip"])
    compare("aligned", model.model.aligner(seen)[0], edit["aligned"])
    pixels = model.decode_image_tokens(torch.tensor([tokens]))
    compare("pixels", pixels[0].permute(2, 0, 1), full["pixels"])


def check_language(model, golden):
    """The states of a prompt and of the first picture token after it."""
    full = load_file(golden / "full.safetensors")
    tokens = json.loads((golden / "full.tokens.json").read_text())["tokens"]
    prompt = model.get_input_embeddings()(full["input_ids"][None])
    token = model.prepare_embeddings_for_image_generation(torch.tensor([[tokens[0]]]))
    embeds = torch.cat([prompt, token], dim=1)
    hidden = model.model.language_model(inputs_embeds=embeds).last_hidden_state[0, -2:]
    compare("hidden", hidden, full["hidden.cond"][:2])
    compare("logits", model.model.generation_head(hidden), full["logits.cond"][:2])


def write_files(folder, model, spec, parts):
    """The configuration files as the port writes them, and the list of tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    model.generation_config.temperature = 1
    model.generation_config.guidance_scale = 5
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    size = {"height": spec["image_size"], "width": spec["image_size"]}
    JanusImageProcessor(size=size, **checkpoints.IMAGE_STATS).save_pretrained(folder)
    if spec["vq"]["norm_groups"]:  # ours: tiny checkpoints have fewer channels than groups
        config = json.loads((folder / "config.json").read_text())
        config["vq_config"]["norm_groups"] = spec["vq"]["norm_groups"]
        (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(parts.items()))
    (folder / "tensors.json").write_text("{\n" + lines + "\n}\n")


def main():
    """All checkpoints that are not copies of another's shapes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("output", type=pathlib.Path)
    output = parser.parse_args().output
    for name in ("tiny-f32", "tiny-gqa"):
        spec = checkpoints.CHECKPOINTS[name]
        weights = load_weights(output / name)
        parts = port_tensors(weights)
        model = build_model(port_config(spec), spec)
        model.load_state_dict({new: take_part(weights, *parts[new]) for new in parts}, strict=True)
        print(name)
        with torch.no_grad():
            check_pictures(model, output / "golden" / name, spec)
            check_language(model, output / "golden" / name)
        write_files(output / "port" / name, model, spec, parts)


if __name__ == "__main__":
    main()
