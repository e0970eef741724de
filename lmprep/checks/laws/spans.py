"""Laws of spans: what the columns `span_starts` and `span_lengths` say agrees with what is masked.

span: all that is predicted lies in merged spans, which neither overlap nor touch. infoword: one
n-gram, hidden whole, its number of words and its place uniform.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.masking import found, predicted_flags
from lmprep.checks.laws.positions import UniformPositions
from lmprep.checks.laws.rows import equal_law, rising_law
from lmprep.checks.laws.tokens import maskable
from lmprep.checks.laws.words import Words
from lmprep.checks.outcomes import RowLaw, statistical
from lmprep.checks.record import Batch, Check, Contract
from lmprep.checks.row_arrays import any_in_rows, in_rows, running
from lmprep.checks.statistics import chi_square
from lmprep.ragged import offsets_of

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

SPAN_COLUMNS = {"span_starts": "positions", "span_lengths": "positions"}


def span_sound() -> Sequence[RowLaw]:
    """Spans there must be before anything is said of what they hold."""
    return [
        equal_law("spans", ("span_starts", "span_lengths")),
        rising_law("span starts", "span_starts", "rising, within the row"),
        RowLaw("span lengths", "at least one, before the next span", _overlapping),
        RowLaw("spans predicted", "every token of a span", _unpredicted),
    ]


def span_flags(batch: Batch) -> Flags:
    """Which tokens of the batch lie in a span, bool [T]."""
    return batch.once(_span_flags)


def _span_flags(batch: Batch) -> Flags:
    starts, lengths = batch.places("span_starts"), batch.flat("span_lengths")
    steps = np.zeros(len(batch.ids.values) + 1, np.int64)
    np.add.at(steps, starts, 1)
    np.add.at(steps, starts + lengths, -1)
    inside: Flags = np.cumsum(steps)[:-1] > 0
    return inside


def _overlapping(batch: Batch) -> Flags:
    """A span is empty, or reaches over the start of the next or the row's end."""
    column, lengths = batch.lists("span_starts"), batch.flat("span_lengths").astype(np.int64)
    starts = column.values.astype(np.int64)
    nexts = np.append(starts[1:], 0)
    lasts = column.offsets[1:][column.lengths > 0] - 1
    nexts[lasts] = batch.ids.lengths[column.lengths > 0]
    return any_in_rows((lengths < 1) | (starts + lengths > nexts), column.offsets)


def _unpredicted(batch: Batch) -> Flags:
    return any_in_rows(span_flags(batch) & ~predicted_flags(batch), batch.ids.offsets)


def merged_span_sound() -> Sequence[RowLaw]:
    """Spans as SpanBERT merges them: what is predicted is in one of them."""
    return [*span_sound(), RowLaw("spans complete", "every predicted token in a span", _loose)]


def apart_law() -> RowLaw:
    """Spans that touch are merged, so that what the boundaries show is never predicted."""
    return RowLaw("spans apart", "a token that is not predicted on either side", _touching)


def _touching(batch: Batch) -> Flags:
    flags, starts = predicted_flags(batch), batch.places("span_starts")
    before = starts - 1
    after = np.minimum(starts + batch.flat("span_lengths"), len(flags) - 1)
    touching = flags[before] | flags[after]
    return any_in_rows(touching, batch.lists("span_starts").offsets)


def _loose(batch: Batch) -> Flags:
    return any_in_rows(predicted_flags(batch) & ~span_flags(batch), batch.ids.offsets)


def _not_words(batch: Batch) -> Flags:
    """A span begins or ends within a word, or holds a special token."""
    column, starts = batch.lists("span_starts"), batch.places("span_starts")
    stops = starts + batch.flat("span_lengths")
    word_start = np.append(batch.lists("word_start").values, True)
    special = np.append(0, np.cumsum(~maskable(batch)))
    cut = ~word_start[starts] | ~word_start[stops] | (special[stops] > special[starts])
    return any_in_rows(cut, column.offsets)


def span_units(batch: Batch) -> Places:
    """Every span is a unit: where it begins among the predicted tokens, all of which are in one."""
    return offsets_of(batch.flat("span_lengths"))[:-1]


# --- InfoWord: one n-gram a row. -----------------------------------------------------------------


def in_ngram(batch: Batch) -> Flags:
    """Which predicted tokens belong to the row's n-gram, bool [K]."""
    inside: Flags = span_flags(batch)[batch.places("masked_positions")]
    return inside


def outside_ngram(batch: Batch) -> Flags:
    """Which tokens are masked as in BERT if chosen: text outside the n-gram, bool [T]."""
    return maskable(batch) & ~span_flags(batch)


def ngram_laws(contract: Contract) -> Sequence[RowLaw]:
    """What the n-gram of a row must be."""
    most = contract.settings.ngram_max
    return [
        RowLaw("n-gram", f"one of whole words, at most {most}", lambda b: _ngram_broken(b, most)),
        RowLaw("n-gram hidden", "mask tokens only", _ngram_shown),
    ]


def _ngram_broken(batch: Batch, most: int) -> Flags:
    words = Words.of(batch)
    wanted = np.diff(words.offsets) > 1  # a row of one word has none
    counts = batch.lists("span_starts").lengths
    size = _ngram_words(batch)
    broken: Flags = (counts != wanted) | (wanted & ((size < 1) | (size > most)))
    broken |= wanted & (size >= np.diff(words.offsets))
    return broken | _not_words(batch)


def _ngram_shown(batch: Batch) -> Flags:
    shown = in_ngram(batch) & (found(batch) != batch.contract.mask)
    return any_in_rows(shown, batch.lists("masked_positions").offsets)


def _ngram_words(batch: Batch) -> Places:
    """Words in the n-gram of each row, int64 [N]."""
    starts = np.zeros(len(batch.ids.values), np.bool_)
    starts[Words.of(batch).firsts] = True
    return in_rows(starts & span_flags(batch), batch.ids.offsets)


def _standing_together(words: Words, most: int) -> Places:
    """How many words stand together up to each word, itself included, `most` at most."""
    together, joined = np.ones(len(words.firsts), np.int64), words.joined[1:]
    for _ in range(most - 1):
        together[1:] = np.where(joined, np.minimum(together[:-1] + 1, most), 1)
    return together


class NgramLengths:
    """n is uniform from 1 to the most there may be, in rows where so many words stand together."""

    def __init__(self, contract: Contract) -> None:
        self._most = contract.settings.ngram_max
        self._counts = np.zeros(self._most + 1, np.int64)

    def see(self, batch: Batch) -> None:
        words, most = Words.of(batch), self._most
        room = in_rows(_standing_together(words, most) == most, words.offsets) > 0
        free = room & (np.diff(words.offsets) > most)
        size = np.minimum(_ngram_words(batch)[free], most)
        self._counts += np.bincount(size, minlength=most + 1)

    def check(self) -> Check:
        counts = self._counts[1:]
        shares = counts / max(1, counts.sum())
        return statistical(
            "n-gram lengths",
            f"1 to {self._most} words, equally often",
            f"{100 * shares.min():.2f} to {100 * shares.max():.2f} %",
            "chi-square",
            chi_square(counts, np.full(self._most, counts.sum() / self._most)),
        )


class NgramPlaces:
    """The n-gram's place is uniform over those where n words stand together."""

    def __init__(self, contract: Contract) -> None:
        self._most = contract.settings.ngram_max
        self._test = UniformPositions("n-gram places", contract.length)

    def see(self, batch: Batch) -> None:
        words, size = Words.of(batch), _ngram_words(batch)
        needed = np.repeat(size, np.diff(words.offsets))
        possible = _standing_together(words, self._most) >= needed
        lawful = (batch.lists("span_starts").lengths == 1) & (size > 0) & (size <= self._most)
        rows = np.flatnonzero(lawful)
        starts = batch.places("span_starts")[batch.lists("span_starts").offsets[rows]]
        last = np.searchsorted(words.firsts, starts) + size[rows] - 1
        before = running(possible)
        ranks = before[last] - before[words.offsets[rows]]
        places = in_rows(possible, words.offsets)[rows]
        self._test.add(ranks, np.ones(len(rows), np.int64), places)

    def check(self) -> Check:
        return self._test.check()
