"""A text cut into parts, which threads encode side by side; what they write ends up in one array.

A thread that has done with a part takes the next. The parts become smaller and smaller: few and
large ones cost least, and small ones at the end leave no thread waiting long for a slower one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmprep.ragged import offsets_of
from lmprep.tokenization.scanning.bits import line_end, line_offsets
from lmprep.tokenization.scanning.lookup import Output
from lmprep.tokenization.scanning.scanner import Encoded, Scanner, room_for

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]

_SMALLEST = 1 << 20
"""Bytes of text that are worth a thread of their own."""
_FIRST = 1.25
"""The first part is this share of what each thread would get if all were equal, upside down."""


class Part(NamedTuple):
    """Sentences that one thread encodes.

    Args:
        room: ids that there may be, but for rare characters.
        offsets: gives int64 [S + 1], where each sentence begins in the text, and where the last one
            ends; called by the thread.
    """

    room: int
    offsets: Callable[[], Offsets]


def parts_of_sentences(offsets: Offsets, threads: int) -> list[Part]:
    """Parts of sentences, at least one.

    Args:
        offsets: int64 [S + 1], where each begins, and where the last one ends.
    """
    start, size = int(offsets[0]), int(offsets[-1] - offsets[0])
    cuts = np.searchsorted(offsets, [start + at for at in _cuts(size, threads)])
    bounds = np.unique([0, *cuts, len(offsets) - 1]).tolist()
    if len(bounds) == 1:
        bounds *= 2  # no sentence at all
    runs = [offsets[first : last + 1] for first, last in pairwise(bounds)]
    return [Part(room_for(int(run[-1] - run[0])), partial(np.asarray, run)) for run in runs]


def parts_of_lines(text: Bytes, threads: int) -> list[Part]:
    """Parts of lines, at least one; each line ends with a newline."""
    bounds = [0, *(line_end(text, at) for at in _cuts(len(text), threads)), len(text)]
    ranges = [(first, last) for first, last in pairwise(bounds) if first < last] or [(0, 0)]
    return [Part(room_for(b - a), partial(_lines_between, text, a, b)) for a, b in ranges]


def _lines_between(text: Bytes, first: int, last: int) -> Offsets:
    offsets = line_offsets(text[first:last])
    offsets += first
    return offsets


def _cuts(size: int, threads: int) -> Iterator[int]:
    """Where `size` bytes are cut, about."""
    at = 0
    while threads > 1 and size - at >= 2 * _SMALLEST:
        at += max(_SMALLEST, int((size - at) / (_FIRST * threads)))
        yield at


def encode_parts(
    scanners: Sequence[Scanner], text: Bytes, parts: Sequence[Part], gap: int
) -> Encoded:
    """Encode all parts, one after another or as many at once as there are scanners.

    Args:
        text: UTF-8.
        gap: bytes at the end of every sentence that are not part of it.
    """
    if len(parts) == 1:
        return scanners[0].encode(text, parts[0].offsets(), gap)
    rooms = offsets_of([part.room for part in parts]).tolist()
    ids, word_start = np.empty(rooms[-1], np.int32), np.empty(rooms[-1], np.uint8)
    encoded: dict[int, Encoded] = {}
    waiting = iter(range(len(parts)))

    def work(scanner: Scanner) -> None:
        for number in waiting:
            offsets, room = parts[number].offsets(), slice(rooms[number], rooms[number + 1])
            out = Output(ids[room], word_start[room], np.zeros(len(offsets) - 1, np.int64))
            encoded[number] = scanner.encode(text, offsets, gap, out)

    with ThreadPoolExecutor(len(scanners)) as pool:
        list(pool.map(work, scanners))
        return _moved_together([encoded[n] for n in range(len(parts))], ids, word_start, pool)


def _moved_together(
    encoded: list[Encoded], ids: NDArray[np.int32], word_start: Bytes, pool: ThreadPoolExecutor
) -> Encoded:
    """Join parts whose results lie in `ids` and `word_start`, with gaps, by closing the gaps."""
    lengths = np.concatenate([part_lengths for _, _, part_lengths in encoded])
    count = sum(len(part_ids) for part_ids, _, _ in encoded)
    if not all(np.may_share_memory(part_ids, ids) for part_ids, _, _ in encoded):
        all_ids, all_starts, _ = zip(*encoded, strict=True)
        return np.concatenate(all_ids), np.concatenate(all_starts), lengths
    flags = word_start.view(np.bool_)
    at = len(encoded[0][0])
    for part_ids, part_starts, _ in encoded[1:]:
        _move(part_ids, ids[at : at + len(part_ids)], pool)
        _move(part_starts, flags[at : at + len(part_ids)], pool)
        at += len(part_ids)
    return ids[:count], flags[:count], lengths


def _move(
    source: NDArray[np.generic], target: NDArray[np.generic], pool: ThreadPoolExecutor
) -> None:
    """Copy an array, on all threads unless it is moved by less than its length."""
    if np.may_share_memory(source, target):
        target[:] = source
        return
    bounds = np.linspace(0, len(source), pool._max_workers + 1).astype(int)
    list(pool.map(lambda a, b: np.copyto(target[a:b], source[a:b]), bounds[:-1], bounds[1:]))
