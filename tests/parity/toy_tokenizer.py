# SPDX-License-Identifier: MIT
"""Small byte-level BPE tokenizers with the pre-tokenizer of the DeepSeek LLM family."""

import json
import pathlib
import random

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
TAGS = ["<|Assistant|>", "<image_placeholder>", PAD, "<end_of_image>", "<|User|>",
        "<begin_of_image>", EOS, "<|grounding|>", BOS]
# Byte symbols that never occur in UTF-8; the 7B family has them as ordinary added tokens.
STRAY = "øöúÿõ÷ûýÀùÁþü"
MERGES = 100

CORPUS = """A red fox sits in the snow under a tall pine tree, painted in ink on white paper.
The fox looks at the moon; the moon looks back. Turn the image into a night scene with stars.
A portrait of a young woman in a green coat, film grain, soft light, best quality, 4k detail.
Make the sky red and the sea calm. Remove the tree. Add three small boats, all of them white.
a still life with oranges, a blue vase and a letter on a wooden table near the window light
Ein alter Mann liest die Zeitung. Les enfants jouent dans le jardin. Кошка спит на окне дома.
山の上に雪が降る。狐は雪の中で月を見る。 红色的狐狸坐在雪地里。 하늘에 별이 있다.
The city at dawn: wet streets, yellow cabs, people with umbrellas, and the river in the mist.
"""


def byte_symbols():
    """The 243 printable stand-ins of the bytes that UTF-8 can contain."""
    return sorted(set(pre_tokenizers.ByteLevel.alphabet()) - set(STRAY))


def pre_tokenizer_json():
    """The pre-tokenizer sequence as tokenizer.json holds it."""
    path = pathlib.Path(__file__).with_name("pre_tokenizer.json")
    return json.loads(path.read_text(encoding="utf-8"))


def wrap(model, pre_tokenizer, added_tokens, post_processor):
    """The outer layout of a tokenizer.json."""
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added_tokens,
        "normalizer": {"type": "Sequence", "normalizers": []}, "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                    "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, **model},
    }


def train_merges():
    """Merges ["a", "b"] learned from the corpus above, best first."""
    symbols = byte_symbols()
    empty = {"vocab": {s: i for i, s in enumerate(symbols)}, "merges": []}
    text = json.dumps(wrap(empty, pre_tokenizer_json(), [], None))
    tokenizer = Tokenizer.from_str(text)
    tokenizer.model = models.BPE()
    trainer = trainers.BpeTrainer(vocab_size=len(symbols) + MERGES, initial_alphabet=symbols,
                                  show_progress=False)
    tokenizer.train_from_iterator(CORPUS.splitlines(keepends=True), trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [m.split(" ") if isinstance(m, str) else m for m in merges]


def post_processor(bos_id):
    """Template that puts BOS in front."""
    special = {"SpecialToken": {"id": BOS, "type_id": 0}}
    return {"type": "TemplateProcessing",
            "single": [special, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [special, {"Sequence": {"id": "A", "type_id": 0}},
                     {"SpecialToken": {"id": BOS, "type_id": 1}},
                     {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {BOS: {"id": BOS, "ids": [bos_id], "tokens": [BOS]}}}


def build(style):
    """tokenizer.json as a dict.

    "seven": ids in merge order, merges as "a b", stray bytes as added tokens.
    "one":   shuffled ids (only the list of merges ranks them), merges as pairs, no stray bytes.
    """
    merges = train_merges()
    words = byte_symbols() + ["".join(m) for m in merges]
    tags = list(TAGS)
    if style == "one":
        random.Random(5).shuffle(words)
        tags.reverse()
        vocab = {w: i for i, w in enumerate(words)}
        stored = merges
    else:
        vocab = {w: i for i, w in enumerate(words)}
        tags = tags[:3] + list(STRAY) + tags[3:]
        stored = [" ".join(m) for m in merges]
    first = len(words)
    added = [{"id": first + i, "content": t, "single_word": False, "lstrip": False,
              "rstrip": False, "normalized": t in STRAY, "special": t not in STRAY}
             for i, t in enumerate(tags)]
    bos_id = first + tags.index(BOS)
    model = {"vocab": vocab, "merges": stored}
    return wrap(model, pre_tokenizer_json(), added, post_processor(bos_id))


def config():
    """tokenizer_config.json in the published form."""
    return {"add_bos_token": True, "add_eos_token": False, "bos_token": BOS,
            "clean_up_tokenization_spaces": False, "eos_token": EOS, "legacy": True,
            "model_max_length": 4096, "pad_token": None, "sp_model_kwargs": {},
            "tokenizer_class": "LlamaTokenizer", "unk_token": None}
