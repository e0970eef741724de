"""What is checked of UL2: a mixture of denoisers, each row announced by its mode token."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.copies import log_choices
from lmprep.checks.laws.noise import Undone, full_length, span_noise, spans_of, table_of
from lmprep.checks.laws.rows import length_law, vocabulary_law
from lmprep.checks.laws.sentinels import end_laws, sentinel_law, spliced
from lmprep.checks.laws.span_noise import SpanLengths, SpanPlaces
from lmprep.checks.laws.streams import window_laws
from lmprep.checks.outcomes import RowLaw, statistical
from lmprep.checks.record import Batch, Check, Contract, Law, Observer, Subject
from lmprep.checks.row_arrays import in_rows
from lmprep.checks.statistics import chi_square

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

# Mode, mean span length, density: table 1 of the paper (arXiv:2205.05131). S hides one span that
# ends the row.
_DENOISERS = (
    ("R", 3, Fraction(3, 20)),
    ("R", 8, Fraction(3, 20)),
    ("S", 0, Fraction(1, 4)),
    ("X", 3, Fraction(1, 2)),
    ("X", 8, Fraction(1, 2)),
    ("X", 64, Fraction(3, 20)),
    ("X", 64, Fraction(1, 2)),
)
_MODES = "RSX"
_IS_S = np.array([mode == "S" for mode, _, _ in _DENOISERS])


def _counts(length: int, denoiser: int) -> tuple[int, int]:
    """Noise tokens and spans of a row of so many raw tokens."""
    _, mean, density = _DENOISERS[denoiser]
    noise = span_noise(length, density)
    return noise, spans_of(length, noise, mean)


def _sizes(length: int, denoiser: int) -> tuple[int, int]:
    """Tokens in inputs, mode and end token included, and in labels."""
    noise, spans = _counts(length, denoiser)
    return 1 + length - noise + spans + 1, noise + spans + 1


def _full_lengths(contract: Contract) -> Places:
    """Raw tokens of a full row of each denoiser, int64 [7]."""
    lengths = [
        full_length(lambda n, d=d: _sizes(n, d), contract.length, _DENOISERS[d][2])  # type: ignore[misc]
        for d in range(len(_DENOISERS))
    ]
    return np.array(lengths, np.int64)


def undone(batch: Batch) -> Undone:
    """The raw tokens and what of them is noise."""
    return batch.once(_undone)


def _undone(batch: Batch) -> Undone:
    return spliced(batch, lead=1)


def _sound(contract: Contract) -> Sequence[Law]:
    return [
        length_law(3, contract.length),
        vocabulary_law("ids", "input_ids", contract),
        vocabulary_law("labels", "labels", contract),
        RowLaw("denoiser", "one of seven that has some weight", _unknown_denoiser),
        RowLaw("mode token", "that of the denoiser, first", _wrong_mode),
        *end_laws(contract),
        sentinel_law(final=False),
        RowLaw("raw tokens", "at least one", lambda batch: batch.original.lengths < 1),
    ]


def _unknown_denoiser(batch: Batch) -> Flags:
    weights = np.array([float(share) for share in batch.contract.settings.shares])
    denoiser = batch.values("denoiser")
    known = (denoiser >= 0) & (denoiser < len(_DENOISERS))
    unknown: Flags = ~known
    unknown[known] = weights[denoiser[known]] == 0
    return unknown


def _wrong_mode(batch: Batch) -> Flags:
    modes = batch.contract.vocabulary.modes
    expected = np.array([modes[_MODES.index(mode)] for mode, _, _ in _DENOISERS])
    first = batch.flat("input_ids")[batch.ids.offsets[:-1]]
    wrong: Flags = first != expected[batch.values("denoiser")]
    return wrong


def _laws(contract: Contract) -> Sequence[Observer]:
    full = _full_lengths(contract)

    def has_spans(batch: Batch) -> Flags:
        return ~_IS_S[batch.values("denoiser")]

    return [
        _exact_law("noise", "the denoiser's density", full, 0),
        _exact_law("spans", "as the denoiser's mean length asks", full, 1),
        RowLaw("suffix", "the one span of S ends the row", _not_at_end),
        SpanLengths(undone, has_spans),
        SpanPlaces(undone, has_spans),
        Shares(contract),
        *window_laws(contract, lambda batch: full[batch.values("denoiser")]),
    ]


def _exact_law(name: str, expected: str, full: Places, which: int) -> RowLaw:
    """Every row has its denoiser's number of noise tokens (0) or of spans (1)."""
    longest = int(full.max())
    denoisers = range(len(_DENOISERS))
    tables = np.array([table_of(lambda n, d=d: _counts(n, d)[which], longest) for d in denoisers])  # type: ignore[misc]

    def broken(batch: Batch) -> Flags:
        rows = undone(batch)
        found = in_rows((rows.noise, rows.starts)[which], rows.original.offsets)
        lengths = np.minimum(rows.original.lengths, longest)
        differ: Flags = found != tables[batch.values("denoiser"), lengths]
        return differ

    return RowLaw(name, expected, broken)


def _not_at_end(batch: Batch) -> Flags:
    rows = undone(batch)
    last = rows.noise[rows.original.offsets[1:] - 1]
    once = in_rows(rows.starts, rows.original.offsets) == 1
    wrong: Flags = _IS_S[batch.values("denoiser")] & ~(last & once)
    return wrong


class Shares:
    """Denoisers come in proportion to their weights. All copies of a row have the same one."""

    def __init__(self, contract: Contract) -> None:
        shares = contract.settings.shares
        self._weights = np.array([float(share / sum(shares)) for share in shares])
        self._counts = np.zeros(len(_DENOISERS), np.int64)

    def see(self, batch: Batch) -> None:
        if batch.copy == 0:
            self._counts += np.bincount(batch.values("denoiser"), minlength=len(_DENOISERS))

    def check(self) -> Check:
        total = int(self._counts.sum())
        return statistical(
            "denoiser shares",
            _percents(self._weights),
            _percents(self._counts / max(1, total)),
            "chi-square",
            chi_square(self._counts, self._weights * total),
        )


def _percents(shares: NDArray[np.float64]) -> str:
    return " ".join(f"{100 * share:.1f}" for share in shares) + " %"


def _ways(batch: Batch) -> NDArray[np.float64]:
    """At least the ways to place the spans; S has one way."""
    rows = undone(batch)
    spans = in_rows(rows.starts, rows.original.offsets)
    return np.where(_IS_S[batch.values("denoiser")], 0.0, log_choices(rows.original.lengths, spans))


UL2 = Subject(
    frame="bare",
    columns=lambda contract: {"input_ids": "ids", "labels": "ids", "denoiser": "int8"},
    undo=lambda batch: undone(batch).original,
    scored=lambda batch: len(batch.flat("labels")),
    sound=_sound,
    laws=_laws,
    redrawn=("input_ids", "labels"),
    ways=_ways,
)
