"""BART's rows beside twins: what is lost, where, what is added, in what order the rest comes."""

from __future__ import annotations

from fractions import Fraction
from math import exp

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.bart_draw import MASK, damage
from lmprep.checks.laws.bart_order import blocks_of
from lmprep.checks.laws.positions import tenth_of
from lmprep.checks.laws.remains import Remains, remains
from lmprep.checks.laws.twins import SEED, Twins, table
from lmprep.checks.record import Batch, Check, Contract
from lmprep.checks.row_arrays import place_in_row, row_of
from lmprep.keyed_random import Keys, key_for, sub_keys
from lmprep.ragged import Ragged, offsets_of

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

_RUNS = (1, 2, 3, 5, 8)  # the last word count of a class of runs; longer ones are one more
_GAPS = (1, 2, 4, 8, 16, 32)  # the same, for tokens from one mask to the next
_FIGURES = (
    *(f"lost tokens in tenth {tenth}" for tenth in range(1, 11)),
    *(f"masks in tenth {tenth}" for tenth in range(1, 11)),
    *(f"lost runs of up to {words} words" for words in _RUNS),
    "longer lost runs",
    *(f"masks up to {tokens} tokens apart" for tokens in _GAPS),
    "masks further apart",
    "random tokens",
    *(f"rows that begin in tenth {tenth}" for tenth in range(1, 11)),
    "sentences before their next",
    "steps back",
    "parted sentences",
)


class BartTwins:
    """What is lost and added, where, and in what order the rest comes: as a twin has it."""

    def __init__(self, contract: Contract) -> None:
        self._settings, self._mask = contract.settings, contract.mask
        self._pool = np.flatnonzero(contract.in_pool).astype(np.int32)
        self._poisson = _poisson(contract.settings.poisson_lambda)
        self._key, self._rows = key_for(SEED, "twins"), 0
        self._test = Twins("noise as a whole", "as drawn anew", _FIGURES)

    def see(self, batch: Batch) -> None:
        rest, starts = remains(batch), batch.lists("sentence_starts")
        words = batch.lists("word_start").values
        keys = sub_keys(self._key, np.arange(self._rows, self._rows + len(batch)))
        self._rows += len(batch)
        twin = self._twin(rest.original, words, starts, keys)
        self._test.add(_figures(rest, words, starts), _figures(twin, words, starts))

    def check(self) -> Check:
        return self._test.check()

    def _twin(self, original: Ragged, words: Flags, starts: Ragged, keys: Keys) -> Remains:
        """Damage the rows anew; twin r draws only from keys[r]."""
        settings = self._settings
        rates = (
            settings.permute_rate,
            settings.infill_rate,
            settings.mask_rate,
            settings.delete_rate,
            settings.random_share,
            settings.insert_rate,
            settings.rotate_rate,
        )
        shares = np.array([[rate.numerator, rate.denominator] for rate in rates], np.int64)
        room = 2 * original.lengths + 2
        offsets = offsets_of(room)
        out, sizes = np.empty(offsets[-1], np.int64), np.zeros(len(keys), np.int64)
        damage(
            original.offsets,
            words,
            starts.values.astype(np.int64),
            starts.offsets,
            shares,
            self._poisson,
            keys,
            offsets,
            out,
            sizes,
        )
        inside = np.arange(len(out)) - np.repeat(offsets[:-1], room) < np.repeat(sizes, room)
        return self._remains(original, Ragged(out[inside], offsets_of(sizes)))

    def _remains(self, original: Ragged, sources: Ragged) -> Remains:
        """The twins as tokens: sources are raw positions, `MASK` or `RANDOM`."""
        kept = sources.values >= 0
        place = original.offsets[:-1][row_of(sources)] + np.maximum(0, sources.values)
        lost = np.ones(len(original.values), np.bool_)
        lost[place[kept]] = False
        random = sub_keys(self._key ^ np.uint64(1), np.arange(len(kept))) % len(self._pool)
        tokens = np.where(sources.values == MASK, self._mask, self._pool[random])
        tokens[kept] = original.values[place[kept]]
        return Remains(original, lost, Ragged(tokens.astype(np.int32), sources.offsets), self._mask)


def _poisson(mean: Fraction) -> NDArray[np.float64]:
    """Cumulative probabilities of 0, 1, 2, ... under the Poisson law."""
    chances = [exp(-float(mean))]
    while len(chances) < 200:
        chances.append(chances[-1] * float(mean) / len(chances))
    return np.cumsum(chances)


def _figures(rest: Remains, words: Flags, sentence_starts: Ragged) -> NDArray[np.float64]:
    """What `_FIGURES` names, of each row: float64 [N, C]."""
    rows, inputs, n = rest.original, rest.inputs, len(rest.original)
    row, at = row_of(rows), row_of(inputs)
    tenth = tenth_of(place_in_row(rows), rows.lengths[row])
    masks = inputs.values == rest.mask
    mask_tenth = tenth_of(place_in_row(inputs), inputs.lengths[at])
    mask_row, mask_place = at[masks], place_in_row(inputs)[masks]
    beside = mask_row[1:] == mask_row[:-1]
    apart = np.diff(mask_place)[beside]
    run_row, run_words = _lost_runs(rest, words, sentence_starts)
    blocks = blocks_of(rest, sentence_starts)
    opens = np.flatnonzero(blocks.opens)
    first_tenth = tenth_of(blocks.first[opens], rows.lengths[blocks.row[opens]])
    follows = np.append(False, np.diff(blocks.sentence) == 1)[: len(blocks.row)] & ~blocks.opens
    return np.hstack(
        [
            table(row[rest.lost], tenth[rest.lost], n, 10),
            table(at[masks], mask_tenth[masks], n, 10),
            table(run_row, np.searchsorted(_RUNS, run_words), n, len(_RUNS) + 1),
            table(mask_row[1:][beside], np.searchsorted(_GAPS, apart), n, len(_GAPS) + 1),
            rest.random_counts[:, None],
            table(blocks.row[opens], first_tenth, n, 10),
            np.bincount(blocks.row[follows], minlength=n)[:, None],
            blocks.falls()[:, None],
            blocks.surplus()[:, None],
        ]
    )


def _lost_runs(rest: Remains, words: Flags, sentence_starts: Ragged) -> tuple[Places, Places]:
    """The rows of the runs of lost tokens within a sentence, and how many words begin in each."""
    rows = rest.original
    new = np.zeros(len(rest.lost), np.bool_)
    new[rows.offsets[:-1]] = True
    starts = np.repeat(rows.offsets[:-1], sentence_starts.lengths) + sentence_starts.values
    new[starts] = True
    begins = rest.lost & (new | ~np.append(False, rest.lost[:-1]))
    run = np.cumsum(begins)[rest.lost] - 1
    count = np.bincount(run, words[rest.lost], int(begins.sum())).astype(np.int64)
    return row_of(rows)[begins], np.maximum(1, count)
