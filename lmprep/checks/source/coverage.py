"""Laws of rows against their source: every token of it is in a row, or in a counted drop, once.

One partition is in memory at a time: its text, and its rows of the first copy. The other copies
hold the same rows, as another law says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, join_rows
from lmprep.checks.laws.counts import dropped_tokens
from lmprep.checks.laws.frames import template_places
from lmprep.checks.laws.skipgram import word_counts
from lmprep.checks.outcomes import RowLaw
from lmprep.checks.record import Batch, Check, Contract
from lmprep.checks.row_arrays import any_in_rows, place_in_row
from lmprep.checks.source.corpus import Text
from lmprep.checks.source.one_segment import OneSegmentShare
from lmprep.checks.source.placing import Placed, place
from lmprep.ragged import Ragged, offsets_of

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


def joined(batches: Sequence[Batch]) -> Batch:
    """The rows of one shard together."""
    columns: Columns = join_rows([batch.columns for batch in batches])
    numbers = np.concatenate([batch.numbers for batch in batches])
    # From 0 without gaps, also where rows are missing.
    ranks = np.argsort(np.argsort(np.concatenate([batch.ranks for batch in batches])))
    first = batches[0]
    return Batch(
        columns,
        numbers,
        ranks,
        first.file,
        first.source,
        first.partition,
        first.copy,
        first.contract,
    )


class SourceRows:
    """What all rows must share with the source."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._tokens = RowLaw.of_flags("source tokens", "as in the source, in its order")
        self._laws = {
            name: RowLaw.of_flags(name, text) for name, text in _laws_of(contract).items()
        }
        self._one_segment = OneSegmentShare(contract)
        self._input = self._lost = self._separators = 0
        self._counts = np.zeros(contract.vocabulary.size, np.int64)
        self.complete = True

    def see(self, text: Text, batch: Batch | None) -> None:
        """Hold a partition's rows, None where it has none, against its text."""
        ids = text.tokens.ids
        self._input += len(ids)
        self._counts += np.bincount(ids, minlength=len(self._counts))
        self._separators += int(text.starts_document().sum())
        if batch is None:
            self._lost += len(ids)
            return
        placed = place(batch, text)
        self._lost += placed.lost
        self._separators -= int(template_places(batch).sum())
        missing = placed.missing(len(batch))
        self._tokens.note(batch, missing)
        if self._contract.subject.frame == "segments":
            self._one_segment.note(batch, text, placed)
        for name, law in self._laws.items():
            law.note(batch, _BROKEN[name](batch, text, placed) & ~missing)

    def checks(self) -> list[Check]:
        """The outcome over all partitions."""
        rows = [self._tokens.check(), *(law.check() for law in self._laws.values())]
        if self._contract.subject.frame == "segments":
            rows.append(self._one_segment.check())
        return [*rows, self._coverage()] if self.complete else rows

    def _coverage(self) -> Check:
        contract = self._contract
        if contract.objective == "skipgram":
            return self._counted()
        dropped = dropped_tokens(contract.manifest["drops"])
        separators = self._separators if contract.subject.frame == "ended" else 0
        without = f", {separators} separators short" if separators else ""
        return Check(
            name="source coverage",
            expected=f"{self._input} tokens in rows, but for {dropped} dropped",
            found=f"all but {self._lost}{without}",
            tolerance="",
            passed=self._lost == dropped and not separators,
        )

    def _counted(self) -> Check:
        """Thinned rows do not tell what was dropped; the counts of the training documents do."""
        counts = word_counts(self._contract)
        train = self._contract.manifest["part"] == "train"
        wrong = counts is None or (train and not np.array_equal(counts, self._counts))
        stated = self._contract.manifest["input_tokens"]
        return Check(
            name="source coverage",
            expected=f"{self._input} tokens, counted by id",
            found=f"{stated} tokens{', other counts' if wrong else ''}",
            tolerance="",
            passed=not wrong and stated == self._input,
        )


def _laws_of(contract: Contract) -> dict[str, str]:
    """The laws that go with the columns there are: name and expectation."""
    own = contract.subject.columns(contract)
    laws = {}
    if contract.pairs == "none" and contract.objective != "skipgram":
        laws["source origins"] = "the sentence that the row begins in"
    if contract.has_document_starts:
        laws["source documents"] = "begin where the row says"
    if "sentence_starts" in own:
        laws["source sentences"] = "begin where the row says"
    if "word_start" in own:
        laws["source words"] = "begin where the row says"
    if contract.subject.frame == "segments":
        laws["source segments"] = "parted at a sentence's end"
    return laws


def _first_of(batch: Batch, placed: Placed) -> tuple[Places, Places]:
    """The first token of each row's text, for rows that have any: row, and place in the source."""
    row, first = np.unique(placed.row, return_index=True)
    return row, placed.raw[first]


def _origins_broken(batch: Batch, text: Text, placed: Placed) -> Flags:
    row, raw = _first_of(batch, placed)
    first = batch.original.offsets[:-1][row]
    # A row of a stream may begin with the separator of the document before.
    behind = (batch.original.values[first] == batch.contract.vocabulary.sep) & (
        batch.contract.subject.frame == "ended"
    )
    document, sentence = text.origin(np.maximum(0, raw - behind))
    broken = np.zeros(len(batch), np.bool_)
    broken[row] = (document != batch.values("document")[row]) | (
        sentence != batch.values("first_sentence")[row]
    )
    return broken


def _documents_broken(batch: Batch, text: Text, placed: Placed) -> Flags:
    least = 2 if batch.contract.subject.frame == "template" else 1
    expected = _positions(batch, placed, text.starts_document(), least)
    return _differ(expected, batch.lists("document_starts"))


def _sentences_broken(batch: Batch, text: Text, placed: Placed) -> Flags:
    expected = _positions(batch, placed, text.starts_sentence(), 1)
    return _differ(expected, batch.lists("sentence_starts"))


def _positions(batch: Batch, placed: Placed, begins: Flags, least: int) -> Ragged:
    """The positions, from `least` on, of the tokens that begin something in the source."""
    position = place_in_row(batch.original)[placed.tokens]
    there = (placed.raw >= 0) & begins[placed.raw] & (position >= least)
    counts = np.bincount(placed.row[there], minlength=len(batch))
    return Ragged(position[there], offsets_of(counts))


def _differ(expected: Ragged, found: Ragged) -> Flags:
    """Rows in which two lists are not the same, bool [N]."""
    differ: Flags = expected.lengths != found.lengths
    same = np.flatnonzero(~differ)
    first, second = expected.take(same), found.take(same)
    differ[same] = any_in_rows(first.values != second.values, first.offsets)
    return differ


def _words_broken(batch: Batch, text: Text, placed: Placed) -> Flags:
    """Words begin where they do in the source, and wherever a piece of text does."""
    begins = batch.lists("word_start").values[placed.tokens]
    piece = np.append(True, np.diff(placed.tokens) > 1)[: len(begins)]
    piece |= np.append(True, placed.row[1:] != placed.row[:-1])[: len(begins)]
    expected = piece | text.tokens.word_start[np.maximum(0, placed.raw)]
    return np.bincount(placed.row[begins != expected], minlength=len(batch)) > 0


def _segments_broken(batch: Batch, text: Text, placed: Placed) -> Flags:
    """The second segment begins with a sentence."""
    position = place_in_row(batch.original)[placed.tokens]
    begin = batch.values("first_segment_length") + batch.contract.separators - 1
    second = position == begin[placed.row]
    wrong = second & ~text.starts_sentence()[np.maximum(0, placed.raw)]
    return np.bincount(placed.row[wrong], minlength=len(batch)) > 0


_BROKEN = {
    "source origins": _origins_broken,
    "source documents": _documents_broken,
    "source sentences": _sentences_broken,
    "source words": _words_broken,
    "source segments": _segments_broken,
}
