"""UL2: a mixture of seven denoisers, each announced by its mode token.

UL2 (arXiv:2205.05131), section 3.1 and table 1; the code was never published. R and X denoisers
are T5's random spans of several means and densities (`t5.random_spans`); S hides one span that ends
the row and is not rotated. The inputs open with the mode token `[R]`, `[S]` or `[X]`, which counts
in the length. Each denoiser has raw rows of its own length, so that its inputs fill the length.

    S, density 0.25    a b c d e f g h   ->   [S] a b c d e f X </s>      X g h </s>

Window w of a partition has a denoiser drawn in proportion to the weights, by counter w of the
partition's key; all copies of a row have the same.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences, ragged
from lmprep.jit import bare_kernel
from lmprep.keyed_random import Keys, integer_below
from lmprep.objective_settings import DENOISERS, Ul2Settings
from lmprep.objectives.restoring import sequences_of
from lmprep.objectives.t5.lengths import longest_row, noise_counts, span_counts
from lmprep.objectives.t5.sentinels import splice, unsplice
from lmprep.objectives.t5.span_masks import span_mask
from lmprep.ragged import Ragged
from lmprep.settings import decimal
from lmprep.vocabulary import Vocabulary

MODES = ("R", "S", "X")


def corrupt(
    sequences: Sequences, settings: Ul2Settings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Inputs behind their mode token and labels; int32, ragged, N rows.

    Raises:
        ValueError: the sequences do not say which denoiser they are for.
    """
    if sequences.denoiser is None:
        raise ValueError("ul2 needs sequences with a denoiser each")
    text, denoiser = Ragged(sequences.ids, sequences.offsets), sequences.denoiser
    noise, spans = _counts(text.lengths, denoiser)
    rotated = np.array([mode != "S" for mode, _, _ in DENOISERS])[denoiser]
    mask = span_mask(text.offsets, noise, spans, rotated, keys)
    mode_of = [vocabulary.modes[MODES.index(mode)] for mode, _, _ in DENOISERS]
    modes = np.array(mode_of, np.int32)[denoiser]
    inputs, labels = splice(text, mask, vocabulary, modes=modes)
    return {"input_ids": inputs, "labels": labels}


def restore(columns: Columns, settings: Ul2Settings, vocabulary: Vocabulary) -> Sequences:
    """Undo `corrupt`: the spans back in their places."""
    inputs, labels = ragged(columns, "input_ids"), ragged(columns, "labels")
    return sequences_of(unsplice(inputs, labels, vocabulary, lead=1), columns, vocabulary)


def raw_lengths(
    settings: Ul2Settings, vocabulary: Vocabulary, length: int, key: np.uint64, rows: int
) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Raw tokens in each of the first `rows` windows, and its denoiser.

    Raises:
        ValueError: no mode tokens, too short a length, or too few sentinels for a denoiser of
            some weight; says what would do.
    """
    if len(vocabulary.modes) != len(MODES):
        raise ValueError(
            "ul2 needs the mode tokens [R], [S] and [X]; a vocabulary made with --family ul2 has "
            "them"
        )
    lengths = np.array([denoiser_length(denoiser, length) for denoiser in range(len(DENOISERS))])
    for denoiser, weight in enumerate(settings.whole_weights):
        if weight:
            _check_sentinels(denoiser, int(lengths[denoiser]), vocabulary)
    denoisers = np.empty(rows, np.int8)
    _draw_denoisers(np.array(list(accumulate(settings.whole_weights)), np.int64), key, denoisers)
    return lengths[denoisers], denoisers


def longest_target(settings: Ul2Settings, vocabulary: Vocabulary, length: int) -> int:
    """Tokens in the labels of any row at most, under any denoiser of some weight."""
    used = [denoiser for denoiser, weight in enumerate(settings.whole_weights) if weight]
    return max(sizes(denoiser, denoiser_length(denoiser, length))[1] for denoiser in used)


def denoiser_length(denoiser: int, length: int) -> int:
    """The most raw tokens whose inputs under this one of `DENOISERS` fit `length`."""
    return longest_row(partial(sizes, denoiser), length, DENOISERS[denoiser][2])


def sizes(denoiser: int, tokens: int) -> tuple[int, int]:
    """Tokens in inputs and labels of a row of so many raw tokens, mode and end tokens included."""
    noise, spans = _counts(np.array([tokens]), np.array([denoiser], np.int8))
    return 1 + tokens - int(noise[0]) + int(spans[0]) + 1, int(noise[0]) + int(spans[0]) + 1


def _counts(
    lengths: NDArray[np.int64], denoiser: NDArray[np.int8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Noise tokens and spans in rows of these lengths and denoisers, int64 [N] each."""
    noise, spans = np.empty_like(lengths), np.empty_like(lengths)
    for number, (_, mean_span_length, density) in enumerate(DENOISERS):
        rows = denoiser == number
        noise[rows], spans[rows] = _counts_under(lengths[rows], density, mean_span_length)
    return noise, spans


def _counts_under(
    lengths: NDArray[np.int64], density: Fraction, mean_span_length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    noise = noise_counts(lengths, density)
    if mean_span_length == 0:  # S: one span
        return noise, np.minimum(noise, 1)
    return noise, span_counts(noise, lengths - noise, mean_span_length)


def _check_sentinels(denoiser: int, tokens: int, vocabulary: Vocabulary) -> None:
    spans = int(_counts(np.array([tokens]), np.array([denoiser], np.int8))[1][0])
    if spans > len(vocabulary.sentinels):
        mode, mean_span_length, density = DENOISERS[denoiser]
        raise ValueError(
            f"denoiser {mode} (mean span length {mean_span_length}, density {decimal(density)}) "
            f"needs {spans} sentinels in a row of {tokens} tokens; this vocabulary has "
            f"{len(vocabulary.sentinels)}. A vocabulary made with --sentinels {spans} would do, "
            f"or weights with 0 for denoiser {denoiser + 1} of {len(DENOISERS)}"
        )


@bare_kernel
def _draw_denoisers(upto: NDArray[np.int64], key: np.uint64, out: NDArray[np.int8]) -> None:
    """Draw a denoiser for each window; upto: int64 [denoisers], cumulative weights."""
    for window in range(len(out)):
        value = integer_below(upto[-1], key, window)
        denoiser = 0
        while value >= upto[denoiser]:
            denoiser += 1
        out[window] = denoiser
