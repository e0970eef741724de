"""A text cut into parts, which threads encode side by side; what they write ends up in one array.

A first, small part tells how many ids a byte of this text comes to. So each of the others gets
little more room than it needs, next to the one before, and hardly any memory is touched that does
not hold ids in the end: fresh memory costs more than what is done in it.

A thread that has done with a part takes the next. The parts become smaller and smaller: few and
large ones cost least, and small ones at the end leave no thread waiting long for a slower one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmprep.ragged import offsets_of
from lmprep.tokenization.scanning.bits import line_end, line_offsets
from lmprep.tokenization.scanning.lookup import Output
from lmprep.tokenization.scanning.scanner import Encoded, Scanner, room_for

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]

_FIRST = 1 << 18
"""Bytes of text of the first part."""
_SMALLEST = 1 << 20
"""Bytes of text that are worth a thread of their own."""
_LARGEST = 0.8
"""The largest part, as a share of what each thread would get if all were equal."""
_SPARE = 1.2
"""Room for ids, as a multiple of what the first part says is needed."""


class Part(NamedTuple):
    """Sentences that one thread encodes.

    Args:
        size: bytes of text.
        offsets: gives int64 [S + 1], where each sentence begins in the text, and where the last one
            ends; called by the thread.
    """

    size: int
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
    return [Part(int(run[-1] - run[0]), partial(np.asarray, run)) for run in runs]


def parts_of_lines(text: Bytes, threads: int) -> list[Part]:
    """Parts of lines, at least one; each line ends with a newline."""
    bounds = [0, *(line_end(text, at) for at in _cuts(len(text), threads)), len(text)]
    ranges = [(first, last) for first, last in pairwise(bounds) if first < last] or [(0, 0)]
    return [Part(b - a, partial(_lines_between, text, a, b)) for a, b in ranges]


def _lines_between(text: Bytes, first: int, last: int) -> Offsets:
    offsets = line_offsets(text[first:last])
    offsets += first
    return offsets


def _cuts(size: int, threads: int) -> Iterator[int]:
    """Where `size` bytes are cut, about."""
    if threads == 1 or size < 2 * _SMALLEST:
        return
    at = _FIRST
    while size - at >= 2 * _SMALLEST:
        yield at
        at += max(_SMALLEST, int((size - at) * _LARGEST / threads))
    yield at


def encode_parts(
    scanners: Sequence[Scanner], text: Bytes, parts: Sequence[Part], gap: int
) -> Encoded:
    """Encode all parts, one after another or as many at once as there are scanners.

    Args:
        text: UTF-8.
        gap: bytes at the end of every sentence that are not part of it.
    """
    first = scanners[0].encode(text, parts[0].offsets(), gap)
    if len(parts) == 1:
        return first
    needed = len(first[0]) / parts[0].size
    rooms = [len(first[0]), *(room_for(int(_SPARE * needed * p.size)) for p in parts[1:])]
    bounds = offsets_of(rooms).tolist()
    ids, word_start = np.empty(bounds[-1], np.int32), np.empty(bounds[-1], np.uint8)
    ids[: bounds[1]], word_start[: bounds[1]] = first[:2]
    encoded = {0: (ids[: bounds[1]], word_start[: bounds[1]].view(np.bool_), first[2])}
    waiting = iter(range(1, len(parts)))

    def work(scanner: Scanner) -> None:
        for number in waiting:
            offsets, room = parts[number].offsets(), slice(bounds[number], bounds[number + 1])
            out = Output(ids[room], word_start[room], np.zeros(len(offsets) - 1, np.int64))
            encoded[number] = scanner.encode(text, offsets, gap, out)

    with ThreadPoolExecutor(len(scanners)) as pool:
        list(pool.map(work, scanners))
    return _joined([encoded[n] for n in range(len(parts))], ids, word_start)


def _joined(encoded: list[Encoded], ids: NDArray[np.int32], word_start: Bytes) -> Encoded:
    """Join parts, which lie in `ids` and `word_start` with gaps, unless one did not fit there."""
    all_ids, all_starts, all_lengths = zip(*encoded, strict=True)
    lengths = np.concatenate(all_lengths)
    if not all(np.may_share_memory(part_ids, ids) for part_ids in all_ids):
        return np.concatenate(all_ids), np.concatenate(all_starts), lengths
    flags = word_start.view(np.bool_)
    count = 0
    for part_ids, part_starts in zip(all_ids, all_starts, strict=True):
        _move(part_ids, ids[count:])
        _move(part_starts, flags[count:])
        count += len(part_ids)
    return ids[:count], flags[:count], lengths


def _move(source: NDArray[Any], target: NDArray[Any]) -> None:
    """Copy an array to the beginning of another one, which may share its memory."""
    ctypes.memmove(target.ctypes.data, source.ctypes.data, source.nbytes)
