"""The texts on which the encoder must equal the library: every file of real text, all characters.

A text set is read by number, so that a run may take a seeded share of it.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from parity_random import random_text
from tokenization_examples import DATA

RANDOM_TEXTS = 200_000
CONTEXTS = {"c": "{}", "acb": "a{}b", "A c B": "A {} B"}


@dataclass(frozen=True, kw_only=True, eq=False)
class TextSet:
    """Numbered texts.

    Args:
        name: for the table.
        size: number of texts.
        read: the text of a number below `size`.
    """

    name: str
    size: int
    read: Callable[[int], str]

    def sample(self, share: float, seed: int = 0) -> Sequence[int]:
        """The numbers of a seeded share of the texts, ascending."""
        if share >= 1:
            return range(self.size)
        drawn = np.random.default_rng([seed, self.size]).random(self.size) < share
        return np.flatnonzero(drawn).tolist()


def text_sets() -> dict[str, Callable[[], TextSet]]:
    """Every set by name; a folder of real text is read when its set is made."""
    sets: dict[str, Callable[[], TextSet]] = {}
    for name in sorted({path.relative_to(DATA).parts[0] for path in data_files()}):
        sets[name] = lambda name=name: _of_folder(name)
    for name, form in CONTEXTS.items():
        sets[f"characters {name}"] = lambda name=name, form=form: _of_characters(name, form)
    sets["random"] = lambda: TextSet(name="random", size=RANDOM_TEXTS, read=random_text)
    return sets


def _of_folder(name: str) -> TextSet:
    paths = [path for path in data_files() if path.relative_to(DATA).parts[0] == name]
    lines = [line for path in paths for line in lines_of(path)]
    return TextSet(name=name, size=len(lines), read=lines.__getitem__)


def _of_characters(name: str, form: str) -> TextSet:
    """Every Unicode scalar value: 0 to U+10FFFF without the 2,048 surrogates."""
    return TextSet(
        name=f"characters {name}",
        size=0x110000 - 0x800,
        read=lambda number: form.format(chr(number if number < 0xD800 else number + 0x800)),
    )


@cache
def data_files() -> tuple[Path, ...]:
    """All files of the shared corpora, sorted; none where they are not."""
    return tuple(sorted(path for path in DATA.rglob("*") if path.is_file()))


def lines_of(path: Path) -> list[str]:
    """The texts of a file, parted at line feeds alone; what is not UTF-8 is replaced."""
    content = _content(path).decode("utf-8", errors="replace")
    name = path.name.removesuffix(".gz")
    if name.endswith(".jsonl"):
        texts = [text for row in content.split("\n") for text in _strings_of_row(row)]
    elif name.endswith(".json"):
        texts = list(_strings(json.loads(content)))
    elif name.endswith(".conll"):
        texts = [_words(block) for block in content.split("\n\n")]
    else:
        texts = [content]
    return [line for text in texts for line in _scalar(text).split("\n")]


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked as far as they go where it says that it is packed."""
    raw = path.read_bytes()
    if path.suffix != ".gz":
        return raw
    try:
        return gzip.decompress(raw)
    except EOFError:
        return zlib.decompressobj(wbits=31).decompress(raw)
    except gzip.BadGzipFile:
        return raw


def _strings_of_row(row: str) -> Iterator[str]:
    """The strings of a row of JSON lines; the row itself where it is none."""
    try:
        yield from _strings(json.loads(row))
    except (ValueError, RecursionError):
        yield row


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _words(block: str) -> str:
    """The tokens of an annotated sentence as a text."""
    return " ".join(line.partition("\t")[0] for line in block.split("\n"))


def _scalar(text: str) -> str:
    """A text without lone surrogates, which JSON may smuggle in and UTF-8 cannot hold."""
    return text.encode("utf-8", errors="replace").decode()
