# SPDX-License-Identifier: MIT
"""The tiny checkpoints: their configuration files and the dimensions that need patching."""

IMAGE_STATS = {"do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}

# Dimensions of one checkpoint; `language` goes into the file as it stands.
TINY = {
    "seed": 2,
    "dtype": "F32",
    "shards": 1,
    "image_size": 96,
    "patch_size": 16,
    "hidden": 64,
    "language": {
        "hidden_size": 64,
        "intermediate_size": 176,
        "max_position_embeddings": 4096,
        "model_type": "llama",
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "torch_dtype": "float32",
        "vocab_size": 384,
    },
    "siglip": {"width": 48, "layers": 2, "heads": 3},
    "vq": {"ch": 8, "ch_mult": [1, 1, 1, 2, 2], "z_channels": 12, "norm_groups": 4,
           "codes": 256, "embed_dim": 8},
    "tokenizer": "seven",
    "keep": ["attn_pool"],
}

TINY_BF16 = {**TINY, "dtype": "BF16", "keep": ["attn_pool", "codebook_used"],
             "language": {**TINY["language"], "torch_dtype": "bfloat16"}}

TINY_GQA = {
    "seed": 2,
    "dtype": "F16",
    "shards": 2,
    "image_size": 40,
    "patch_size": 8,
    "hidden": 128,
    "language": {
        "hidden_size": 128,
        "intermediate_size": 96,
        "max_position_embeddings": 2048,
        "model_type": "llama",
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-5,
        "rope_theta": 50000.0,
        "torch_dtype": "float16",
        "vocab_size": 371,
    },
    "siglip": {"width": 32, "layers": 2, "heads": 4},
    "vq": {"ch": 32, "ch_mult": [1, 1, 1, 1], "z_channels": 16, "norm_groups": None,
           "codes": 200, "embed_dim": 6},
    "tokenizer": "one",
    "keep": [],
}

CHECKPOINTS = {"tiny-f32": TINY, "tiny-bf16": TINY_BF16, "tiny-gqa": TINY_GQA}


def grid(spec):
    """Tokens along one side of the picture."""
    return spec["image_size"] // spec["patch_size"]


def model_config(spec):
    """config.json in the published form."""
    hidden, vq = spec["hidden"], spec["vq"]
    vq_params = {"image_token_size": vq["codes"], "n_embed": vq["embed_dim"]}
    if vq["norm_groups"]:
        vq_params["norm_groups"] = vq["norm_groups"]

    def aligner(input_dim):
        return {"depth": 2, "input_dim": input_dim, "n_embed": hidden,
                "projector_type": "mlp_gelu"}

    return {
        "aligner_config": {"cls": "MlpProjector", "model_type": "aligner",
                           "params": aligner(spec["siglip"]["width"])},
        "architectures": ["MultiModalityCausalLM"],
        "gen_aligner_config": {"cls": "MlpProjector", "model_type": "gen_aligner",
                               "params": aligner(vq["embed_dim"])},
        "gen_head_config": {"cls": "vision_head", "model_type": "gen_head",
                            "params": {"image_token_embed": hidden,
                                       "image_token_size": vq["codes"], "n_embed": hidden}},
        "gen_vision_config": {"cls": "VQ-16", "model_type": "gen_vision", "params": vq_params},
        "language_config": spec["language"],
        "model_type": "multi_modality",
        "torch_dtype": spec["language"]["torch_dtype"],
        "vision_config": {"cls": "CLIPVisionTower", "model_type": "vision",
                          "params": {"image_size": spec["image_size"],
                                     "model_name": siglip_name(spec),
                                     "num_heads": spec["siglip"]["heads"],
                                     "select_feature": "same", "select_layer": -1}},
    }


def siglip_name(spec):
    """Name of the SigLIP preset that the patch registers."""
    return f"siglip_tiny_patch{spec['patch_size']}_{spec['image_size']}"


def preprocessor_config(spec):
    """preprocessor_config.json in the published form."""
    return {"background_color": [127, 127, 127], **IMAGE_STATS,
            "image_processor_type": "VLMImageProcessor", "image_size": spec["image_size"],
            "min_size": 14, "processor_class": "VLChatProcessor",
            "rescale_factor": 0.00392156862745098}


def processor_config(spec):
    """processor_config.json in the published form."""
    return {"add_special_token": False, "ignore_id": -100, "image_tag": "<image_placeholder>",
            "mask_prompt": True, "num_image_tokens": grid(spec) ** 2,
            "processor_class": "VLChatProcessor", "sft_format": "deepseek"}
