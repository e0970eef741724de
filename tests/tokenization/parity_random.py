"""Random texts for parity: number and seed decide a text, so that any share can be drawn."""
# Letters that look alike are meant, and a list of words reads best as a text.
# ruff: noqa: RUF001, SIM905

from __future__ import annotations

import random
import sys
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache

WORDS = (
    "the of and a to in is you that it he was for on are as with his they I at be this have from "
    "or one had by word but not what all were we when your can said there use an each which she do "
    "tokenization unbelievable internationalisation antidisestablishmentarianism naïve façade "
    "Straße crème BRÛLÉE Ærøskøbing Łódź İstanbul ışık ΑΣ ὀδυσσεύς ΌΣΟΣ съешь ЁЛКА ǅungla ŉ ﬁx ﬄ"
).split()
SPECIAL = (
    "[MASK] [PAD] [UNK] [CLS] [SEP] <s> </s> <pad> <unk> <mask> <|endoftext|> <extra_id_0> "
    "<extra_id_99> [R] [S] [X] <|im_start|> <0x0A> ＜/s＞ <ﬀs> [mask] [MASK <s </ |> ## ##s @@"
).split()
ENDINGS = "'s 't 're 've 'm 'll 'd 'S 'T 'RE 'LL 'ſ ’s ’re '' 's's ''ll 'x '".split()
SPACES = (
    " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u2000\u2003\u2009\u200a\u2028\u2029"
    "\u202f\u205f\u3000"
)
INVISIBLE = (
    "\x00\x01\x08\x7f\x80\x9f\xad\u034f\u061c\u115f\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060"
    "\u2064\u206f\ufe00\ufe0f\ufeff\ufff9\ufffb\ufffc\ufffd\U000e0001\U000e007f\U000e0100"
)
EDGES = (
    "\ud7a3\ud7ff\ue000\uf8ff\ufdd0\uffef\uffff\ufffe\U00010000\U0001ffff\U000e0fff\U000f0000"
    "\U0010fffd\U0010ffff\u07ff\u0800\x7f\x80\u0378"
)
PIPELINE = "▁▅ĠĊĉÀ#@_`´'\"’“”<>[]|\\/.,;:!?-–—…$€+=~^*&%(){}¿¡§"
NUMBERS = "0123456789٠١٣۵०९๑Ⅷⅻ½⅓²³₄①㊿一二〇𝟘𝟡𐒠"
EMOJI = "😀 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ❤️ ☺ #️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🧑🏿‍🚀 🫠 ™️ ㊗️".split()
# Blocks of scripts: with and without case, with marks of their own, beyond the first plane.
RARE = (
    (0x0530, 0x058F), (0x0590, 0x05FF), (0x0600, 0x06FF), (0x0700, 0x074F), (0x0900, 0x097F),
    (0x0980, 0x09FF), (0x0B80, 0x0BFF), (0x0E00, 0x0E7F), (0x0E80, 0x0EFF), (0x0F00, 0x0FFF),
    (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1200, 0x137F), (0x13A0, 0x13FF), (0x1780, 0x17FF),
    (0x1800, 0x18AF), (0x1C90, 0x1CBF), (0x1E00, 0x1FFF), (0x2070, 0x209F), (0x2100, 0x218F),
    (0x2C00, 0x2D2F), (0xA640, 0xA69F), (0xA720, 0xA7FF), (0xAB30, 0xABBF), (0xFB00, 0xFDFF),
    (0xFE50, 0xFEFE), (0x10280, 0x1034F), (0x10400, 0x104FF), (0x10C80, 0x10CFF),
    (0x11000, 0x1107F), (0x12000, 0x1237F), (0x13000, 0x1342F), (0x16E40, 0x16E9F),
    (0x1D100, 0x1D1FF), (0x1D400, 0x1D7FF), (0x1E900, 0x1E95F), (0x1EE00, 0x1EEFF),
)  # fmt: skip
EAST_ASIAN = (
    (0x3041, 0x30FF), (0x3300, 0x33FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF), (0xFF00, 0xFFEF), (0x20000, 0x2A6DF), (0x2B820, 0x2CEAF), (0x2F800, 0x2FA1F),
)  # fmt: skip
HANGUL = ((0xAC00, 0xD7A3), (0xAC00, 0xD7A3), (0x1100, 0x11FF), (0x3130, 0x318F), (0xD7B0, 0xD7FB))


def random_text(number: int, seed: int = 0) -> str:
    """Text `number`: 0 to 24 parts of all kinds, joined mostly by nothing or a space."""
    rng = random.Random(f"{seed} {number}")
    kinds = PARTS if rng.random() < 0.7 else rng.sample(PARTS, 2)
    separators = rng.choice((("",), (" ",), ("", " "), ("", " ", " ", "  ", "\t", "\n ")))
    parts = (rng.choice(kinds)(rng) for _ in range(rng.randint(0, 24)))
    return "".join(part + rng.choice(separators) for part in parts)


def _word(rng: random.Random) -> str:
    word = rng.choice(WORDS)
    return rng.choice((word, word, word.upper(), word.capitalize(), word.swapcase()))


def _contraction(rng: random.Random) -> str:
    return rng.choice(WORDS) + rng.choice(ENDINGS)


def _special(rng: random.Random) -> str:
    return rng.choice(SPECIAL)


def _emoji(rng: random.Random) -> str:
    return rng.choice(EMOJI)


def _number(rng: random.Random) -> str:
    digits = NUMBERS if rng.random() < 0.3 else NUMBERS[:10]
    return "".join(rng.choices(digits, k=rng.randint(1, 9)))


def _marked(rng: random.Random) -> str:
    """Letters under marks of mixed combining classes, in any order; marks alone as well."""
    base = rng.choice(("", "a", "E", "i", "o\u0308", "Å", "か", "ш", "क", "\u1100"))
    return base + "".join(rng.choices(_marks(), k=rng.randint(1, 5)))


def _long_run(rng: random.Random) -> str:
    unit = rng.choice(
        ("a", "ab", "=", "-", " ", "é", "中", "\u0301", "\n", "1", "😀", "the", "\xa0")
    )
    return unit * rng.randint(20, 300)


def _any_scalar(rng: random.Random) -> str:
    number = rng.randrange(0x110000 - 0x800)
    return chr(number if number < 0xD800 else number + 0x800)


def _from_blocks(blocks: Sequence[tuple[int, int]]) -> Callable[[random.Random], str]:
    """A word of a script, with a character of another block now and then."""

    def part(rng: random.Random) -> str:
        block, other = rng.choice(blocks), rng.choice(blocks)
        drawn = (block if rng.random() < 0.9 else other for _ in range(rng.randint(1, 8)))
        return "".join(chr(rng.randint(*each)) for each in drawn)

    return part


def _from_characters(characters: str, longest: int) -> Callable[[random.Random], str]:
    return lambda rng: "".join(rng.choices(characters, k=rng.randint(1, longest)))


@cache
def _marks() -> list[str]:
    """Combining marks, those of half of the classes being rare ones."""
    marks = [chr(c) for c in range(sys.maxunicode + 1) if unicodedata.combining(chr(c))]
    return marks + [mark for mark in marks if mark < "\u0370"] * 4


PARTS: list[Callable[[random.Random], str]] = [
    *[_word] * 6,
    _contraction,
    _special,
    _emoji,
    _number,
    _marked,
    _long_run,
    _any_scalar,
    *[_from_blocks(RARE)] * 2,
    _from_blocks(EAST_ASIAN),
    _from_blocks(HANGUL),
    _from_characters(SPACES, 3),
    _from_characters(INVISIBLE, 2),
    _from_characters(EDGES, 2),
    *[_from_characters(PIPELINE, 3)] * 2,
]
