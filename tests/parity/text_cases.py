# SPDX-License-Identifier: MIT
"""Golden ids of the tokenizers: raw texts, whole prompts, and prompts with tags in them."""

import json
import pathlib
import random

from tokenizers import Tokenizer

import toy_tokenizer

RAW = [
    "", " ", "  ", "\n", "\n\n", "\r\n", " \n ", "\t", "a", " a", "a ", "a  ", "a \n", "\n a",
    "The fox looks at the moon.", "  The  fox   looks    at the moon.  ", "A4 2024, 1,000.50 €",
    "don't! (really?) [yes] {no} <tag> a/b\\c_d-e=f+g*h&i%j$k#l@m^n`o~p|q;r:s\"t'u",
    "Führer Ångström naïve Übergröße ÿ ø õ", "ÀÁÂÃ þý úûü ÷", "Kaffee für zwölf Männer",
    "Кошка спит на окне.", "Η γάτα", "山の上に雪が降る。狐は月を見る。", "红色的狐狸 坐在雪地里！",
    "하늘에 별이 있다", "नमस्ते दुनिया", "مرحبا ١٢٣", "שלום", "🦊🌙 👩‍👩‍👧 🇩🇪 a🦊b", "é à ñ z̧",
    "½ ² Ⅷ ㊿ 𝟘𝟙 三百", "ﬀ ﬁ Ａｂｃ１２３ ！？", "\u1f7d \u1fd3 \u1fdb \u1fbe \u2126 \u212a",
    "𐐀𐐨 𐒰 𞤀𞤢", "“quoted” ‘single’ … — –", "  　全角　空白　", "\u00a0nbsp\u00a0", "a\u0085b",
    "a\u2028b\u2029c", "a\u200bb\u200dc\ufeffd", "\u180eq", "a\x0bb\x0cc", "\x1c\x1d\x1e\x1f",
    "\ufffd\ue000\uffff\U0010ffff", "\x01\x7f\x80\x9f", "a\u0300\u0301\u0302", "\u3000\u3000x",
    "aaaaaaaaaaaaaaaa", "thethethe the the", "t\u0020\u0020\u0020", "x\n\n\ny\r\r\nz", "123456789",
    "<begin_of_image>", "a<|User|>b", "<|User|>: x\n\n<|Assistant|>:", " <end_of_image> ",
    "<image_placeholder><image_placeholder>", "<|User", "<|user|>", "<|User|><|Assistant|>",
    "<｜▁pad▁｜> <｜end▁of▁sentence｜>x", "<｜begin▁of▁sentence｜>hi", "<|begin▁of▁sentence|>",
    "tail of run  <|grounding|>  next run  ", "ü<|User|>ü", "x ü y  ü",
    "a\nü\n", "<<begin_of_image>>",
]

PROMPTS = [
    "A red fox.", "", "   ", "\n", "  both sides  ", "trailing\n\n", "a\n\nb", "1 2 3", "Ü",
    "für ü", "雪の山", "\u3000全角\u3000", "\u00a0nbsp\u00a0", "\x1cunit\x1f", "\u200bzero\u200b",
    "\u0085next\u2028", "ends with colon:", ": starts", "...", "🦊", "\ufeffmark",
]

TAGGED = [
    "<end_of_image>", "a <|User|> b", "<image_placeholder>", "  <begin_of_image> \n",
    "ü <|User|> ü",
    "<｜▁pad▁｜>", "<｜end▁of▁sentence｜>", "x<|Assistant|>:", "plain", " für 2 Füchse ",
]

POOL = list("  abcdeTHEfoxiznt.,:!0123") + [
    "\n", "\t", "\r", "ü", "ø", "ß", "é", "π", "Ж", "雪", "の", "。", "별", "🦊", "\u0301", "\u00a0",
    "\u3000", "’", "—", "½", "٣", "İ", "ǅ", "ª", "ﬁ", "\u2028", "the", " moon", "<|User|>", "<|"]


def mixed(n_texts):
    """Seeded texts drawn from the pool."""
    rng = random.Random(11)
    return ["".join(rng.choices(POOL, k=rng.randint(1, 24))) for _ in range(n_texts)]


def plain_tokenizer(style):
    """The same tokenizer without its special tokens: what typed text goes through."""
    data = toy_tokenizer.build(style)
    data["added_tokens"] = [t for t in data["added_tokens"] if not t["special"]]
    for i, token in enumerate(data["added_tokens"]):
        token["id"] = len(data["model"]["vocab"]) + i
    data["post_processor"] = None
    return Tokenizer.from_str(json.dumps(data))


def literal_ids(ref, plain, prompt):
    """Ids of a picture's prompt when tags in the typed text are plain text."""
    vocab = ref.processor.tokenizer.get_vocab()
    typed = prompt.strip()

    def encode(text):
        return [vocab[token] for token in plain.encode(text).tokens]

    user = encode(": " + typed + "\n\n") if typed else encode(":")
    return [vocab[toy_tokenizer.BOS], vocab["<|User|>"], *user, vocab["<|Assistant|>"],
            *encode(":"), vocab["<begin_of_image>"]]


def golden(ref, name):
    """All cases of one tokenizer."""
    folder = pathlib.Path(ref.processor.tokenizer.name_or_path)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in RAW:
        assert tokenizer.encode(text).ids == ref.processor.tokenizer.encode(text), text
    plain = plain_tokenizer(ref.spec["tokenizer"])
    for prompt in PROMPTS:
        assert literal_ids(ref, plain, prompt) == ref.prompt_ids(prompt), prompt
    edits = [p for p in PROMPTS if p.strip()]
    return {
        "checkpoint": name,
        "raw": [{"text": t, "ids": tokenizer.encode(t, add_special_tokens=False).ids}
                for t in RAW + mixed(80)],
        "text_prompts": [{"prompt": p, "ids": ref.prompt_ids(p)} for p in PROMPTS],
        "edit_prompts": [{"prompt": p, "ids": ref.prompt_ids(ref.edit_content(p))}
                         for p in edits],
        "literal_prompts": [{"prompt": p, "ids": literal_ids(ref, plain, p)} for p in TAGGED],
    }
