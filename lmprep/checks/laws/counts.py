"""Counts of the manifest: of each shard's rows and tokens, and of all that went in.

Every input token ends in a row or in a counted drop. Rows of pairs may hold borrowed text, which is
counted where it is not borrowed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.frames import template_places
from lmprep.checks.record import Batch, Check
from lmprep.checks.row_arrays import in_rows

_COUNTED = ("rows", "tokens", "scored_tokens")


class ShardCounts:
    """Rows, tokens before corruption and tokens to be predicted, as each shard's entry says.

    Attributes:
        unsound: files with a row that is not sound, so that tokens cannot all be counted.
    """

    def __init__(self, entries: Sequence[Mapping[str, Any]]) -> None:
        self._entries = entries
        self._found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_COUNTED, 0))
        self.unsound: set[str] = set()

    def see(self, batch: Batch, sound: Batch) -> None:
        """Take note of a batch and of its rows that are sound."""
        found = self._found[batch.file]
        found["rows"] += len(batch)
        if len(sound) < len(batch):
            self.unsound.add(batch.file)
        found["tokens"] += len(sound.original.values)
        found["scored_tokens"] += batch.contract.subject.scored(sound)

    def check(self) -> Check:
        faults = [fault for entry in self._entries if (fault := self._fault(entry))]
        shards = len(self._entries)
        return Check(
            name="counts",
            expected="rows, tokens and scored tokens as in the manifest",
            found=f"{shards - len(faults)} of {shards} shards",
            tolerance="",
            passed=not faults,
            detail=f"first in {faults[0]}" if faults else "",
        )

    def _fault(self, entry: Mapping[str, Any]) -> str:
        file = entry["file"]
        names = ("rows",) if file in self.unsound else _COUNTED
        for name in (name for name in names if name in entry):
            if self._found[file][name] != entry[name]:
                return f"{file}: {self._found[file][name]} {name}, not {entry[name]}"
        return ""


class Coverage:
    """Tokens of the text that rows hold, and those dropped, are those that went in."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self._input = int(manifest["input_tokens"])
        self._drops = manifest["drops"]
        self._held = 0

    def see(self, batch: Batch) -> None:
        if batch.copy == 0:
            self._held += int(own_tokens(batch).sum())

    def check(self) -> Check:
        dropped = dropped_tokens(self._drops)
        return Check(
            name="coverage",
            expected=f"{self._input} tokens of input",
            found=f"{self._held} in rows, {dropped} dropped",
            tolerance="",
            passed=self._held + dropped == self._input,
        )


def dropped_tokens(drops: Mapping[str, int]) -> int:
    """Tokens dropped for any reason; a reason ends with its unit."""
    return sum(count for reason, count in drops.items() if reason.endswith("_tokens"))


def own_tokens(batch: Batch) -> NDArray[np.int64]:
    """Tokens of each row's text that are not borrowed from elsewhere, int64 [N]."""
    text = ~template_places(batch)
    offsets = batch.original.offsets
    own = in_rows(text, offsets)
    if batch.contract.pairs == "nsp":
        before = np.append(0, np.cumsum(text))
        second = before[offsets[1:]] - before[offsets[:-1] + batch.values("first_segment_length")]
        own = own - np.where(batch.values("next_sentence_label") == 1, second, 0)
    return own
