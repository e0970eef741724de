"""Word vectors as text, in word2vec's format, which gensim's KeyedVectors reads.

    2 3
    cat 0.25 -1 0.5
    sat 0.125 0 2

A first line of two numbers, words and width, then a word a line with its values. GloVe's files lack
the first line; they are read, too, and so are those that end in `.gz`.
"""

from __future__ import annotations

import gzip
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from lmprep.errors import UsageError
from lmprep.files import atomic_file

Floats = NDArray[np.float32]
_NOT_VECTORS = "Give a text file of word vectors: a word a line, then its values"


def write_vectors(path: Path, words: Sequence[str], vectors: Floats) -> None:
    """Write a file; every float32 comes back as it was.

    Args:
        vectors: float32 [N, D], of N words without white space.
    """
    written = " ".join(["%.9g"] * vectors.shape[1])
    with atomic_file(path) as file:
        file.write(f"{len(words)} {vectors.shape[1]}\n".encode())
        for word, vector in zip(words, vectors, strict=True):
            file.write(f"{word} {written % tuple(vector.tolist())}\n".encode())


def read_vectors(path: Path, wanted: Container[str]) -> tuple[list[str], Floats]:
    """The words of a file that are wanted, each at its first place, and their vectors.

    Returns:
        N words; float32 [N, D], where D is the file's even if no word is found.

    Raises:
        UsageError: no such file, or a line that does not go with the others.
    """
    words: dict[str, list[float]] = {}
    width = 0
    for number, word, values in _lines(path):
        if not width:
            width = len(values)
        if len(values) != width:
            raise UsageError(
                f"{len(values)} values where the lines before have {width}",
                path=path,
                line=number,
                fix=_NOT_VECTORS,
            )
        if word in wanted and word not in words:
            words[word] = _numbers(values, path, number)
    if not width:
        raise UsageError("no vectors in it", path=path, fix=_NOT_VECTORS)
    return list(words), np.array(list(words.values()), np.float32).reshape(-1, width)


def _lines(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Number, word and values of each line, the first one of two numbers left out."""
    try:
        with _opened(path) as file:
            for number, line in enumerate(file, 1):
                word, *values = line.decode("utf-8", "replace").rstrip().split(" ")
                if not (number == 1 and len(values) == 1 and (word + values[0]).isdecimal()):
                    yield number, word, values
    except (FileNotFoundError, IsADirectoryError):
        raise UsageError("there is no such file", path=path, fix=_NOT_VECTORS) from None
    except (gzip.BadGzipFile, EOFError):
        raise UsageError("not a whole gzip file", path=path, fix=_NOT_VECTORS) from None


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _numbers(values: Sequence[str], path: Path, line: int) -> list[float]:
    try:
        return [float(value) for value in values]
    except ValueError:
        raise UsageError(
            f"{' '.join(values)[:40]!r} are not all numbers", path=path, line=line, fix=_NOT_VECTORS
        ) from None
