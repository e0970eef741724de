"""Words with their counts as flat arrays, in memory and in files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from lmprep.ragged import Ragged, concatenate, offsets_of

_ENTRY_BYTES = 16  # of offset and count


@dataclass(frozen=True, eq=False)
class CountedWords:
    """W words, in any order; one may be there several times, its counts are then to be added.

    Args:
        text: uint8, UTF-8, the words one after another; none is empty.
        offsets: int64 [W + 1], into `text`, from 0.
        counts: int64 [W], how often each occurs.
    """

    text: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, words: Sequence[str], counts: Sequence[int]) -> CountedWords:
        """From Python values."""
        encoded = [word.encode() for word in words]
        text = np.frombuffer(b"".join(encoded), np.uint8)
        return cls(text, offsets_of([len(w) for w in encoded]), np.array(counts, np.int64))

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def size(self) -> int:
        """Bytes that the arrays take."""
        return len(self.text) + _ENTRY_BYTES * len(self)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Bytes that each word takes of that: int64 [W]."""
        return np.diff(self.offsets) + _ENTRY_BYTES

    def take(self, places: NDArray[np.int64]) -> CountedWords:
        """The words at these places, copied, in the given order."""
        words = Ragged(self.text, self.offsets).take(places)
        return CountedWords(words.values, words.offsets, self.counts[places])

    def save(self, file: IO[bytes]) -> None:
        """Append the words to a file."""
        for array in (self.text, self.offsets, self.counts):
            np.save(file, array)


NO_WORDS = CountedWords(np.empty(0, np.uint8), np.zeros(1, np.int64), np.empty(0, np.int64))


def joined(parts: Iterable[CountedWords]) -> CountedWords:
    """The words of all parts, in order."""
    lists = [NO_WORDS, *parts]
    words = concatenate([Ragged(part.text, part.offsets) for part in lists])
    return CountedWords(
        words.values, words.offsets, np.concatenate([part.counts for part in lists])
    )


def saved_words(path: Path) -> Iterator[CountedWords]:
    """What was saved to a file, one piece after another."""
    stop = path.stat().st_size
    with path.open("rb") as file:
        while file.tell() < stop:
            yield CountedWords(*(np.load(file, allow_pickle=False) for _ in range(3)))
