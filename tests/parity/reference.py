# SPDX-License-Identifier: MIT
"""The original Janus classes, made small, and the reference runs in f32 on the CPU.

Nothing of the original code is here: it is imported from a checkout given on the command line.
"""

import functools
import importlib
import sys
from types import SimpleNamespace

import torch

import checkpoints

USER, ASSISTANT = "<|User|>", "<|Assistant|>"


def import_janus(checkout):
    """Modules of the original package."""
    sys.path.insert(0, str(checkout))
    names = ["vq_model", "siglip_vit", "modeling_vlm", "processing_vlm", "image_processing_vlm"]
    importlib.import_module("janus.models")
    return SimpleNamespace(**{n: importlib.import_module("janus.models." + n) for n in names})


def build_model(janus, spec):
    """The original MultiModalityCausalLM with the hard-coded sizes replaced."""
    siglip, vq = spec["siglip"], spec["vq"]
    janus.siglip_vit.SigLIP_MODEL_CONFIG[checkpoints.siglip_name(spec)] = {
        "image_size": spec["image_size"], "patch_size": spec["patch_size"],
        "width": siglip["width"], "layers": siglip["layers"], "heads": siglip["heads"],
        "mlp_ratio": 4, "global_pool": "map", "use_checkpoint": False}
    module = janus.vq_model
    saved = {n: getattr(module, n) for n in ("Encoder", "Decoder", "Normalize")}
    module.Encoder = functools.partial(module.Encoder, ch=vq["ch"])
    module.Decoder = functools.partial(module.Decoder, ch=vq["ch"])
    if vq["norm_groups"]:
        module.Normalize = lambda channels, norm_type="group": torch.nn.GroupNorm(
            vq["norm_groups"], channels, eps=1e-6)
    module.VQ_models["VQ-16"] = lambda: module.VQModel(module.ModelArgs(
        codebook_size=vq["codes"], codebook_embed_dim=vq["embed_dim"],
        z_channels=vq["z_channels"], encoder_ch_mult=vq["ch_mult"],
        decoder_ch_mult=vq["ch_mult"]))
    try:
        config = janus.modeling_vlm.MultiModalityConfig(**checkpoints.model_config(spec))
        config.language_config._attn_implementation = "eager"
        model = janus.modeling_vlm.MultiModalityCausalLM(config)
    finally:
        for name, value in saved.items():
            setattr(module, name, value)
    return model.float().eval()


class Reference:
    """One checkpoint with its processor; every run is deterministic."""

    def __init__(self, model, processor, spec):
        self.model, self.processor, self.spec = model, processor, spec
        self.n_tokens = checkpoints.grid(spec) ** 2

    def prompt_text(self, content):
        """Prompt of a picture, as the reference scripts assemble it."""
        turns = [{"role": USER, "content": content}, {"role": ASSISTANT, "content": ""}]
        text = self.processor.apply_sft_template_for_multi_turn_prompts(
            conversations=turns, sft_format=self.processor.sft_format, system_prompt="")
        return text + self.processor.image_start_tag

    def prompt_ids(self, content):
        """Ids of a picture's prompt, BOS first."""
        return self.processor.tokenizer.encode(self.prompt_text(content))

    def edit_content(self, prompt):
        """User turn of an edit: the SigLIP block, the VQ block, the typed prompt."""
        p = self.processor
        block = "".join(p.image_start_tag + tag * p.num_image_tokens + p.image_end_tag
                        for tag in (p.image_tag, p.pad_tag))
        return block + prompt

    def rows(self, ids, n_samples, classes):
        """[n_samples * classes, L]; the last row of each class group is unconditional."""
        tokens = torch.tensor([ids] * (n_samples * classes), dtype=torch.long)
        tokens[classes - 1::classes, 1:-1] = self.processor.pad_id
        return tokens

    def text_rows(self, prompt, n_samples):
        """Input ids and embeddings of a text-to-image run."""
        ids = self.prompt_ids(prompt)
        tokens = self.rows(ids, n_samples, 2)
        return ids, self.model.language_model.get_input_embeddings()(tokens)

    def look(self, image):
        """Everything that is computed once from the input picture."""
        pixels = self.processor.image_processor([image], return_tensors="pt")["pixel_values"]
        vq = self.model.gen_vision_model
        siglip = self.model.vision_model(pixels)
        latent = vq.quant_conv(vq.encoder(pixels))
        vq_ids = vq.encode(pixels)[2][2].reshape(-1)
        return SimpleNamespace(pixels=pixels, siglip=siglip[0], latent=latent[0], vq_ids=vq_ids,
                               aligned=self.model.aligner(siglip)[0])

    def edit_rows(self, prompt, image, n_samples):
        """Input ids and embeddings of an edit; rows are full, part, unconditional."""
        p, seen = self.processor, self.look(image)
        ids = self.prompt_ids(self.edit_content(prompt))
        tokens = self.rows(ids, n_samples, 3)
        output = sys.modules["janus.models.processing_vlm"].VLChatProcessorOutput
        prepared = []
        for row, row_ids in enumerate(tokens):
            blind = row % 3 == 2
            prepared.append(output(
                sft_format="", input_ids=row_ids, pixel_values=None if blind else seen.pixels,
                num_image_tokens=[] if blind else [p.num_image_tokens]))
        batch = p.batchify(prepared)
        embeds = self.model.prepare_inputs_embeds(
            input_ids=tokens.clone(), pixel_values=batch.pixel_values,
            images_emb_mask=batch.images_emb_mask, images_seq_mask=batch.images_seq_mask)
        painted = self.model.prepare_gen_img_embeds(seen.vq_ids)
        ends = (tokens == p.image_end_id).nonzero()
        for row, column in ends[::4].tolist():
            embeds[row, column + 2:column + 2 + self.n_tokens] = painted
        return ids, embeds, seen

    def guide(self, logits, cfg, image_cfg):
        """Guided logits [samples, V] from the rows of one step."""
        if image_cfg is None:
            cond, uncond = logits[0::2], logits[1::2]
        else:
            full, part, uncond = logits[0::3], logits[1::3], logits[2::3]
            cond = (full + image_cfg * part) / (1 + image_cfg)
        return uncond + cfg * (cond - uncond)

    def run(self, embeds, steps, cfg, image_cfg, choose, use_cache=True):
        """Steps with the KV cache; `choose(step, guided)` gives one token per sample.

        Returns hidden [steps, rows, H], logits [steps, rows, V], guided [steps, samples, V],
        tokens [samples, steps].
        """
        classes = 2 if image_cfg is None else 3
        cache, record, fed = None, [], embeds
        for step in range(steps):
            out = self.model.language_model.model(
                inputs_embeds=fed, use_cache=use_cache, past_key_values=cache)
            cache = out.past_key_values if use_cache else None
            hidden = out.last_hidden_state[:, -1, :]
            logits = self.model.gen_head(hidden)
            guided = self.guide(logits, cfg, image_cfg)
            token = choose(step, guided)
            record.append((hidden, logits, guided, token))
            new = self.model.prepare_gen_img_embeds(token.repeat_interleave(classes))[:, None]
            fed = new if use_cache else torch.cat([fed, new], dim=1)
        hidden, logits, guided, token = (torch.stack(x) for x in zip(*record))
        return SimpleNamespace(hidden=hidden, logits=logits, guided=guided, tokens=token.T)

    def describe_rows(self, question, image):
        """Input ids and embeddings of a question about a picture, one row."""
        turns = [{"role": USER, "content": self.processor.image_tag + "\n" + question,
                  "images": [image]}, {"role": ASSISTANT, "content": ""}]
        batch = self.processor(conversations=turns, images=[image], force_batchify=True)
        ids = batch.input_ids[0].clone()
        embeds = self.model.prepare_inputs_embeds(
            input_ids=batch.input_ids, pixel_values=batch.pixel_values,
            images_emb_mask=batch.images_emb_mask, images_seq_mask=batch.images_seq_mask)
        return ids, embeds

    def answer(self, embeds, steps):
        """Greedy text: hidden [steps, H], lm_head logits [steps, vocab], ids [steps]."""
        lm, cache, record = self.model.language_model, None, []
        for _ in range(steps):
            out = lm.model(inputs_embeds=embeds, use_cache=True, past_key_values=cache)
            cache = out.past_key_values
            hidden = out.last_hidden_state[0, -1]
            logits = lm.lm_head(hidden)
            token = logits.argmax()
            record.append((hidden, logits, token))
            embeds = lm.get_input_embeddings()(token.reshape(1, 1))
        return tuple(torch.stack(x) for x in zip(*record))

    def decode(self, tokens):
        """Decoder output [samples, 3, S, S] before clipping."""
        side = checkpoints.grid(self.spec)
        shape = [tokens.shape[0], self.spec["vq"]["embed_dim"], side, side]
        return self.model.gen_vision_model.decode_code(tokens, shape=shape)


def forced(tokens):
    """A `choose` that follows a list."""
    def choose(step, guided):
        return torch.full((guided.shape[0],), tokens[step], dtype=torch.long)
    return choose


def greedy(_step, guided):
    """A `choose` that takes the largest guided logit."""
    return guided.argmax(dim=-1)
