"""What objectives and sequences need to know of a vocabulary: its size and its special tokens.

Ids only. Names, text and files stay in `lmprep.tokenization`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lmprep.settings import FAMILIES


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The ids of a tokenizer with a role.

    Args:
        family: one of `settings.FAMILIES`: fixes which special tokens exist and where they stand.
        size: number of ids, special tokens and sentinels included.
        special: ids of all special tokens, sentinels included, [UNK] too; ascending.
        pad, unk, cls, sep, mask: ids of the roles, None where the family has no such token.
            cls opens a sequence (`[CLS]`, `<s>`), sep closes a segment or a document (`[SEP]`,
            `</s>`, `<|endoftext|>`).
        sentinels: ids of the sentinel tokens in the order they are used.
        modes: ids of UL2's mode tokens `[R]`, `[S]`, `[X]`, in that order.
    """

    family: str
    size: int
    special: tuple[int, ...]
    pad: int | None = None
    unk: int | None = None
    cls: int | None = None
    sep: int | None = None
    mask: int | None = None
    sentinels: tuple[int, ...] = ()
    modes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"unknown family {self.family!r}; one of {', '.join(FAMILIES)}")
        outside = [i for i in self.special if not 0 <= i < self.size]
        if outside:
            raise ValueError(
                f"special token id {outside[0]} is outside a vocabulary of {self.size}"
            )

    @cached_property
    def maskable(self) -> NDArray[np.bool_]:
        """Which ids a mask may fall on: all but special tokens, [UNK] included; bool [size]."""
        table = np.ones(self.size, np.bool_)
        table[[i for i in self.special if i != self.unk]] = False
        return table

    @cached_property
    def replacements(self) -> NDArray[np.int32]:
        """The ids random replacements are drawn from: the vocabulary without special tokens."""
        table = np.ones(self.size, np.bool_)
        table[list(self.special)] = False
        return np.flatnonzero(table).astype(np.int32)
