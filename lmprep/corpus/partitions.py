"""Partitions: the documents of a source in stretches of about equal size, cut at document ends.

Readers hand over `Piece`s as their blocks come; `cut` collects them and lets go of a partition as
soon as it is certain where it ends. So memory is bounded by the size of a partition and of the
longest document, and partitions do not depend on where blocks end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Drops

Number = TypeVar("Number", np.uint8, np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """Documents as a reader finds them: some may have begun in the piece before.

    Args:
        text: uint8 [B], texts of documents one after another.
        starts: int64 [K], where in `text` documents begin; bytes before the first of them belong
            to the last document of the piece before.
        drops: what was left out, by reason.
        warnings: what the user should know.
    """

    text: NDArray[np.uint8]
    starts: NDArray[np.int64]
    drops: Drops = field(default_factory=Drops)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Partition:
    """The documents of one unit of work.

    Args:
        source: index of the source it is from.
        ordinal: place among the partitions of its source, from 0.
        text: uint8 [B], UTF-8, documents one after another, nothing between them.
        document_offsets: int64 [D + 1], into `text`; no document is empty.
        first_document: ordinal of the first of them among the documents of the source.
        last: whether the source ends here.
        input_format: one of `settings.FORMATS`.
        drops: what was left out since the partition before: `empty_documents`, `bad_records`,
            `lines_not_utf8`.
        warnings: what the user should know; one of a kind in a source is enough.
    """

    source: int
    ordinal: int
    text: NDArray[np.uint8]
    document_offsets: NDArray[np.int64]
    first_document: int
    last: bool
    input_format: str
    drops: Drops
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.document_offsets) - 1


def cut(
    pieces: Iterable[Piece], *, source: int, input_format: str, partition_bytes: int
) -> Iterator[Partition]:
    """Cut the documents of a source into partitions of `partition_bytes` or a little more.

    A partition ends with the document that fills it, holds at least two documents, and leaves at
    least two or none: a lone document at the end goes with the partition before it. A source
    without documents is one partition without documents, so that its drops are counted.
    """
    collected = _Collected()
    ordinal = first_document = 0
    for last, piece in _with_end(pieces):
        if piece is not None:
            collected.add(piece)
        while (count := collected.complete(partition_bytes, last)) or (last and not ordinal):
            text, offsets = collected.take(count)
            yield Partition(
                source=source,
                ordinal=ordinal,
                text=text,
                document_offsets=offsets,
                first_document=first_document,
                last=last and not collected.size,
                input_format=input_format,
                drops=collected.take_drops(),
                warnings=collected.take_warnings(),
            )
            ordinal += 1
            first_document += count


def _with_end(pieces: Iterable[Piece]) -> Iterator[tuple[bool, Piece | None]]:
    for piece in pieces:
        yield False, piece
    yield True, None


class _Collected:
    """Pieces that are not yet in a partition; joined only when a partition is taken."""

    def __init__(self) -> None:
        self.size = 0
        self._texts = [np.empty(0, np.uint8)]
        self._starts = [np.empty(0, np.int64)]
        self._drops = Drops()
        self._warnings: tuple[str, ...] = ()

    def add(self, piece: Piece) -> None:
        self._texts.append(piece.text)
        self._starts.append(piece.starts + self.size)
        self.size += len(piece.text)
        self._drops.update(piece.drops)
        self._warnings += piece.warnings

    def complete(self, partition_bytes: int, last: bool) -> int:
        """Number of documents of the next partition, 0 while it cannot be known."""
        if self.size < partition_bytes and not last:
            return 0
        starts = _joined(self._starts)
        self._starts = [starts]
        # The first document from the third on that starts where the partition is full.
        count = max(2, int(np.searchsorted(starts, partition_bytes)))
        if count + 1 < len(starts):
            return count
        return len(starts) if last else 0

    def take(self, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Text and offsets of the first `count` documents, which are collected no more."""
        text, starts = _joined(self._texts), _joined(self._starts)
        stop = int(starts[count]) if count < len(starts) else self.size
        self._texts, self._starts = [text[stop:]], [starts[count:] - stop]
        self.size -= stop
        return text[:stop], np.append(starts[:count], stop)

    def take_drops(self) -> Drops:
        drops, self._drops = self._drops, Drops()
        return drops

    def take_warnings(self) -> tuple[str, ...]:
        warnings, self._warnings = self._warnings, ()
        return warnings


def _joined(arrays: list[NDArray[Number]]) -> NDArray[Number]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
