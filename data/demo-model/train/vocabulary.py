# SPDX-License-Identifier: MIT
# The tokenizer of the demo model: byte-level BPE in which every known word is one token.
"""`Vocabulary(words)` learns the merges, encodes prompts and gives what tokenizer.json holds."""

import collections

from model import SHAPE

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
BEGIN, END = "<begin_of_image>", "<end_of_image>"
PLACEHOLDER = "<image_placeholder>"
USER, ASSISTANT = "<|User|>", "<|Assistant|>"
SPECIAL = (BOS, EOS, PAD, BEGIN, END, PLACEHOLDER, USER, ASSISTANT)
SPACE = "\u0120"  # the byte symbol of a space


def byte_symbols():
    """The printable character that stands for each byte in the GPT-2 alphabet."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in printable]
    table = {byte: chr(byte) for byte in printable}
    table.update({byte: chr(256 + index) for index, byte in enumerate(hidden)})
    return table


def merge(parts, pair):
    """Joins every occurrence of a pair of neighbours."""
    joined, i = [], 0
    while i < len(parts):
        if tuple(parts[i:i + 2]) == pair:
            joined.append(parts[i] + parts[i + 1])
            i += 2
        else:
            joined.append(parts[i])
            i += 1
    return joined


def learn_merges(words):
    """Merges the most frequent pair again and again until each word is one symbol."""
    pieces, merges = [[SPACE, *word] for word in words], []
    while any(len(parts) > 1 for parts in pieces):
        pairs = collections.Counter(pair for parts in pieces for pair in zip(parts, parts[1:]))
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        pieces = [merge(parts, best) for parts in pieces]
    return merges


def punctuation_split(text):
    """Words with their leading space, punctuation marks alone."""
    pieces = []
    for mark in text:
        letter = mark.isalpha()
        if pieces and letter and (pieces[-1][-1].isalpha() or pieces[-1] == " "):
            pieces[-1] += mark
        else:
            pieces.append(mark)
    return pieces


class Vocabulary:
    """Merges, ids and the encoder for prompts of plain words and punctuation."""

    def __init__(self, words):
        self.merges = learn_merges(words)
        symbols = sorted(byte_symbols().values())
        self.base = {token: i for i, token in enumerate(symbols)}
        for pair in self.merges:
            self.base.setdefault("".join(pair), len(self.base))
        self.known = {}  # ids of the pieces met so far
        self.special = {token: len(self.base) + i for i, token in enumerate(SPECIAL)}

    def __len__(self):
        return len(self.base) + len(self.special)

    def word_ids(self):
        """Ids of whole words and beginnings of words."""
        return {i for token, i in self.base.items() if token[0] == SPACE and len(token) > 1}

    def encode_piece(self, piece):
        """Ids of a word or a mark."""
        table = byte_symbols()
        parts = [table[byte] for byte in piece.encode()]
        for pair in self.merges:
            if len(parts) > 1:
                parts = merge(parts, pair)
        return [self.base[part] for part in parts]

    def encode(self, text):
        """Ids of a text without special tokens."""
        pieces = punctuation_split(text)
        self.known.update({piece: self.encode_piece(piece)
                           for piece in pieces if piece not in self.known})
        return [i for piece in pieces for i in self.known[piece]]

    def prompt(self, text):
        """The whole sequence before the image tokens."""
        return [self.special[BOS], self.special[USER], *self.encode(f": {text}\n\n"),
                self.special[ASSISTANT], *self.encode(":"), self.special[BEGIN]]

    def picture_block(self):
        """What stands before the words of an edit: each picture slot lies behind its BEGIN."""
        n_image = SHAPE.grid ** 2
        return [self.special[BOS], self.special[USER], *self.encode(": "),
                self.special[BEGIN], *[self.special[PLACEHOLDER]] * n_image, self.special[END],
                self.special[BEGIN], *[self.special[PAD]] * n_image, self.special[END]]

    def instruction(self, text):
        """What stands between the picture block of an edit and the image tokens."""
        return [*self.encode(f"{text}\n\n"), self.special[ASSISTANT], *self.encode(":"),
                self.special[BEGIN]]

    def unconditional(self, n_tokens):
        """A prompt of padding, as long as the one that it stands beside."""
        return [self.special[BOS], *[self.special[PAD]] * (n_tokens - 2), self.special[BEGIN]]

    def tokenizer_json(self, pre_tokenizer):
        """The content of tokenizer.json around the given pre-tokenizer."""
        added = [{"id": i, "content": token, "single_word": False, "lstrip": False,
                  "rstrip": False, "normalized": False, "special": True}
                 for token, i in self.special.items()]
        first = [{"SpecialToken": {"id": BOS, "type_id": 0}},
                 {"Sequence": {"id": "A", "type_id": 0}}]
        second = [{"SpecialToken": {"id": BOS, "type_id": 1}},
                  {"Sequence": {"id": "B", "type_id": 1}}]
        post = {"type": "TemplateProcessing", "single": first, "pair": first + second,
                "special_tokens": {BOS: {"id": BOS, "ids": [self.special[BOS]], "tokens": [BOS]}}}
        return {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": {"type": "Sequence", "normalizers": []},
            "pre_tokenizer": pre_tokenizer, "post_processor": post,
            "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                        "use_regex": True},
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": False, "byte_fallback": False, "vocab": self.base,
                      "merges": [" ".join(pair) for pair in self.merges]},
        }
