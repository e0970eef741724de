"""BART: a text damaged in several ways; predict the text as it was.

BART (arXiv:1910.13461), section 2.2. The transformations, each with its rate, in this order:
sentence permutation, text infilling, token masking, token deletion, substitution (some mask tokens
become random ones), token insertion, rotation. Rates count the raw tokens, words or sentences of
the row; no raw token is hit twice. `<s>` and `</s>` stay at the ends, of the labels as well.

    <s> A B C . D E . </s>    ->    <s> D E . A <mask> . </s>      labels <s> A B C . D E . </s>
                                                                   noise_positions 2 3
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences, ragged
from lmprep.keyed_random import Keys
from lmprep.objective_settings import BartSettings
from lmprep.objectives.bart.infilling import infill
from lmprep.objectives.bart.sentence_order import permute_sentences
from lmprep.objectives.bart.sources import in_order, lost_positions, write_tokens
from lmprep.objectives.bart.token_noise import (
    delete_tokens,
    insert_tokens,
    mask_tokens,
    replace_masks,
    rotate,
)
from lmprep.objectives.counting import wanted_predictions
from lmprep.objectives.restoring import sequences_of
from lmprep.objectives.row_ends import with_ends, without_ends
from lmprep.objectives.t5.lengths import longest_row
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary


def corrupt(
    sequences: Sequences, settings: BartSettings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Damage the rows; row i draws only from keys[i] (uint64 [N]).

    Returns:
        `input_ids`, `labels`: int32, between `<s>` and `</s>`; `word_start`: bool, of the raw
        tokens; `noise_positions`: int32, where in `labels` stand raw tokens that the inputs do
        not hold any more, rising. All ragged, N rows.

    Raises:
        ValueError: sentences are to be permuted and the sequences do not say where they begin,
            or the vocabulary lacks a token.
    """
    if vocabulary.cls is None or vocabulary.sep is None or vocabulary.mask is None:
        raise ValueError(
            f"this vocabulary of family {vocabulary.family} lacks <s>, </s> or <mask>; "
            "one of family roberta has them"
        )
    sources = _damage(sequences, settings, keys)
    text = Ragged(sequences.ids, sequences.offsets)
    lost = lost_positions(sources, sequences)
    return {
        "input_ids": write_tokens(sources, sequences, vocabulary, keys),
        "labels": with_ends(text, (vocabulary.cls,), (vocabulary.sep,)),
        "word_start": Ragged(sequences.word_start, sequences.offsets),
        "noise_positions": Ragged(lost.values + np.int32(1), lost.offsets),
    }


def restore(columns: Columns, settings: BartSettings, vocabulary: Vocabulary) -> Sequences:
    """Undo `corrupt`: the labels without their ends, and the stored word and sentence starts."""
    return sequences_of(without_ends(ragged(columns, "labels"), 1, 1), columns, vocabulary)


def raw_lengths(
    settings: BartSettings, vocabulary: Vocabulary, length: int, key: np.uint64, rows: int
) -> tuple[NDArray[np.int64], None]:
    """Raw tokens in each of the first `rows` windows: all the length but for `<s>`, `</s>` and
    the tokens to be inserted; nothing else makes a row longer.

    Raises:
        ValueError: too short a length; says what would do.
    """

    def sizes(tokens: int) -> tuple[int, int]:
        inserted = _counts(np.array([0, tokens]), settings)[2]
        return tokens + int(inserted[0]) + 2, tokens + 2

    return np.full(rows, longest_row(sizes, length)), None


def longest_target(settings: BartSettings, vocabulary: Vocabulary, length: int) -> int:
    """Tokens in the labels of any row at most: the raw ones between `<s>` and `</s>`."""
    return int(raw_lengths(settings, vocabulary, length, np.uint64(0), 1)[0][0]) + 2


def _damage(sequences: Sequences, settings: BartSettings, keys: Keys) -> Ragged:
    """The rows after every transformation that has a rate, as sources."""
    masked, deleted, inserted = _counts(sequences.offsets, settings)
    sources = in_order(sequences.offsets)
    if settings.permute_rate:
        if sequences.sentence_starts is None:
            raise ValueError("permute_rate needs sequences that say where sentences begin")
        sources = permute_sentences(sources, sequences.sentence_starts, settings.permute_rate, keys)
    if settings.infill_rate:
        sources = infill(
            sources, sequences.word_start, settings.infill_rate, settings.poisson_lambda, keys
        )
    if settings.mask_rate:
        sources = mask_tokens(sources, masked, keys)
    if settings.delete_rate:
        sources = delete_tokens(sources, deleted, keys)
    if settings.random_share:
        sources = replace_masks(sources, settings.random_share, keys)
    if settings.insert_rate:
        sources = insert_tokens(sources, inserted, keys)
    if settings.rotate_rate:
        sources = rotate(sources, settings.rotate_rate, keys)
    return sources


def _counts(offsets: NDArray[np.int64], settings: BartSettings) -> list[NDArray[np.int64]]:
    """Tokens to mask, to delete and to insert in rows with these offsets, int64 [N] each.

    max(1, round_half_even(rate * raw tokens)) for each rate above 0.
    """
    return [
        wanted_predictions(offsets, rate) if rate else np.zeros(len(offsets) - 1, np.int64)
        for rate in (settings.mask_rate, settings.delete_rate, settings.insert_rate)
    ]
