"""Which partitions of a plan are whose, when several tasks build it without a coordinator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lmprep.corpus.plan import Source


@dataclass(frozen=True, kw_only=True)
class Share:
    """The partitions of one of several tasks: a function of the plan and of how many there are.

    Args:
        index, count: which task of how many; all of it by default.
        by_source: whole sources are dealt out; else each is read by all, its partitions dealt out.
    """

    index: int = 0
    count: int = 1
    by_source: bool = True

    def has_source(self, source: int) -> bool:
        """Whether any partition of a source may be ours."""
        return not self.by_source or source % self.count == self.index

    def has_partition(self, source: int, partition: int) -> bool:
        """Whether a partition is ours."""
        dealt = source if self.by_source else source + partition
        return dealt % self.count == self.index


ALL = Share()


def share_of(index: int, count: int, sources: Sequence[Source]) -> Share:
    """The share of task `index` of `count`, counted from 0."""
    if not 0 <= index < count:
        raise ValueError(f"task {index} of {count}: tasks count from 0 to {count - 1}")
    return Share(index=index, count=count, by_source=len(sources) >= count)
