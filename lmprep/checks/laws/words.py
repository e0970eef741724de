"""Laws of words: none is cut, k is a ceiling, and no word that would still fit is left out.

A word is what stands from one word start to the next, within text: it ends before a special token,
and the first token behind one starts another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.frames import template_places
from lmprep.checks.laws.masking import predicted_flags
from lmprep.checks.laws.rows import equal_law
from lmprep.checks.laws.tokens import wanted_counts
from lmprep.checks.outcomes import RowLaw
from lmprep.checks.record import Batch, Contract
from lmprep.checks.row_arrays import any_in_rows, in_rows, running
from lmprep.settings import decimal

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

WORD_COLUMNS = {"word_start": "flags"}


@dataclass(frozen=True, eq=False)
class Words:
    """The W words of a batch of N rows.

    Args:
        firsts: int64 [W], the first token of each, as an index into the batch's ids.
        sizes: int64 [W], tokens of each.
        offsets: int64 [N + 1], which words are those of a row.
    """

    firsts: Places
    sizes: Places
    offsets: Places

    @classmethod
    def of(cls, batch: Batch) -> Words:
        """The words of a batch whose word starts are sound."""
        return batch.once(cls._of)

    @classmethod
    def _of(cls, batch: Batch) -> Words:
        offsets = batch.ids.offsets
        text = ~template_places(batch)
        starts = batch.lists("word_start").values
        firsts = np.flatnonzero(starts & text)
        # A word goes up to the next start, which every special token is too.
        ends = np.append(np.flatnonzero(starts), len(text))
        stops = ends[np.searchsorted(ends, firsts, side="right")]
        return cls(firsts, stops - firsts, np.searchsorted(firsts, offsets))

    @property
    def joined(self) -> Flags:
        """Whether the word before a word stands next to it, bool [W]."""
        stops = self.firsts + self.sizes
        joined = np.append(-1, stops)[:-1] == self.firsts
        joined[self.offsets[:-1][np.diff(self.offsets) > 0]] = False
        next_to: Flags = joined
        return next_to


def word_sound() -> list[RowLaw]:
    """Word starts there must be, one for each token, for words to be found at all."""
    return [
        equal_law("word starts", ("word_start", "input_ids")),
        RowLaw("words at special tokens", "a start there and behind", _starts_missing),
    ]


def _starts_missing(batch: Batch) -> Flags:
    """Special tokens, and the first token behind one, start words."""
    starts = batch.lists("word_start")
    special = ~batch.contract.vocabulary.maskable[batch.original.values]
    behind = np.roll(special, 1)
    return any_in_rows((special | behind) & ~starts.values, starts.offsets)


def chosen_tokens(batch: Batch) -> Places:
    """How many tokens of each word are predicted, int64 [W]."""
    words, before = Words.of(batch), running(predicted_flags(batch))
    count: Places = before[words.firsts + words.sizes] - before[words.firsts]
    return count


def word_units(batch: Batch) -> Places:
    """Every predicted word is a unit: where it begins among the predicted tokens."""
    places = batch.places("masked_positions")
    word = np.searchsorted(Words.of(batch).firsts, places, side="right")
    return np.flatnonzero(np.diff(word, prepend=-1))


def word_laws(contract: Contract) -> list[RowLaw]:
    """Words are chosen whole, up to a ceiling, as many as fit."""
    wanted, rate = wanted_counts(contract), decimal(contract.settings.mask_rate)
    return [
        RowLaw("whole words", "all of a word or nothing", _words_cut),
        RowLaw("predictions", f"at most {rate} of the length", lambda b: _too_many(b, wanted)),
        RowLaw("shortfall", "no word left out that fits", lambda b: _fitting_left(b, wanted)),
    ]


def _words_cut(batch: Batch) -> Flags:
    words = Words.of(batch)
    chosen = chosen_tokens(batch)
    return any_in_rows((chosen > 0) & (chosen < words.sizes), words.offsets)


def _too_many(batch: Batch, wanted: Places) -> Flags:
    """More than k tokens: only where no word fits, and then one of the shortest, whole."""
    words, limit = Words.of(batch), wanted[batch.ids.lengths]
    count = in_rows(predicted_flags(batch), batch.ids.offsets)
    shortest = _least(words.sizes, words.offsets)
    touched = in_rows(chosen_tokens(batch) > 0, words.offsets)
    alone: Flags = (count == shortest) & (shortest > limit) & (touched == 1)
    too_many: Flags = (count > limit) & ~alone
    return too_many


def _fitting_left(batch: Batch, wanted: Places) -> Flags:
    """A word of which nothing is predicted would fit into what is left of k."""
    words = Words.of(batch)
    count = in_rows(predicted_flags(batch), batch.ids.offsets)
    left = wanted[batch.ids.lengths] - count
    free = chosen_tokens(batch) == 0
    fits = words.sizes <= np.repeat(left, np.diff(words.offsets))
    nothing: Flags = (count == 0) & (np.diff(words.offsets) > 0)
    return any_in_rows(free & fits, words.offsets) | nothing


def _least(values: Places, offsets: Places) -> Places:
    """The least value of each row, 0 for a row without any: int64 [N]."""
    least = np.zeros(len(offsets) - 1, np.int64)
    filled = np.diff(offsets) > 0
    if filled.any():
        least[filled] = np.minimum.reduceat(values, offsets[:-1][filled])
    return least
