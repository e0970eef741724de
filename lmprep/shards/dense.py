"""Rows as dense arrays, named and labelled as Hugging Face models want them.

    mlm whole-word ngram span infoword   labels: the original ids at the masked positions
    clm bilm                             labels: input_ids (the model shifts them by itself)
    t5 bart ul2                          labels: the targets
    electra                              labels: 1 where a token was replaced, else 0

Where nothing is to be predicted the label is -100, which torch's and transformers' losses leave
out; ElectraForPreTraining has no such label and leaves out what the attention mask does.

ELECTRA's replacements come from a generator, which no collator has. As a stand-in 15 % of the
tokens (half to even, special tokens counted) are replaced by draws from the vocabulary without
special tokens; a draw that gives the same token counts as original.
Draws: row r from draw(... draw(draw(key, id_0), id_1) ..., id_n), so that a row's replacements
depend on its text and the key, not on its batch: token t is chosen by counter 2t, replaced by 2t+1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, plain, ragged
from lmprep.jit import bare_kernel, kernel
from lmprep.keyed_random import Keys, draw, integer_below, key_for
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary

Dense = dict[str, NDArray[np.int64]]

IGNORED = -100
PAIR_LABELS = ("next_sentence_label", "sentence_order_label")

_DRAWS = 2


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How wide the arrays are, in tokens; None: as the longest row of the batch.

    Args:
        length: of the inputs.
        target_length: of the labels, where they are a sequence of their own.
    """

    length: int | None = None
    target_length: int | None = None


def dense_columns(
    columns: Columns,
    objective: str,
    vocabulary: Vocabulary,
    key: np.uint64,
    shape: Shape = Shape(),
) -> Dense:
    """Rows as the arguments of a model, int64.

    Args:
        columns: rows as they are stored.
        objective: what they were made for.
        vocabulary: of the dataset.
        key: fixes what replaces tokens, for electra.
        shape: what to pad to.

    Returns:
        [B, L]: `input_ids`, `attention_mask` and, for pairs and segments of family bert,
        `token_type_ids`; `labels` [B, L], or [B, K] for targets; [B]: the pair label, if any.

    Raises:
        ValueError: the objective has no such form.
    """
    if objective not in _LABELS:
        raise ValueError(f"{objective} has no batches for Hugging Face models")
    ids = ragged(columns, "input_ids")
    length = shape.length or int(ids.lengths.max())
    if objective == "electra":
        ids, labels = replace_tokens(ids, vocabulary, key)
        columns = {**columns, "input_ids": ids, "labels": labels}
    dense: Dense = {
        "input_ids": ids.padded(length, padding_id(vocabulary), np.int64),
        "attention_mask": (np.arange(length) < ids.lengths[:, None]).astype(np.int64),
        "labels": _LABELS[objective](columns, length, shape.target_length),
    }
    if "first_segment_length" in columns and vocabulary.family == "bert":
        dense["token_type_ids"] = token_types(columns, length, np.int64)
    return dense | {n: plain(columns, n).astype(np.int64) for n in PAIR_LABELS if n in columns}


def replacement_key(seed: int, copy: int) -> np.uint64:
    """The key of ELECTRA's stand-in for a generator."""
    return key_for(seed, "replaced tokens", copy=copy)


def as_lists(dense: Dense) -> Columns:
    """Dense arrays as columns of lists of equal length, int32, which is how they are stored."""
    return {name: _as_list(array.astype(np.int32)) for name, array in dense.items()}


def _as_list(array: NDArray[np.int32]) -> Ragged | NDArray[np.int32]:
    if array.ndim == 1:
        return array
    return Ragged(array.ravel(), np.arange(len(array) + 1) * array.shape[1])


def padding_id(vocabulary: Vocabulary) -> int:
    """The padding token or, for gpt2, which has none, the separator under an attention mask of 0.

    Raises:
        ValueError: there is neither.
    """
    padding = vocabulary.sep if vocabulary.pad is None else vocabulary.pad
    if padding is None:
        raise ValueError(f"this vocabulary of family {vocabulary.family} has no padding token")
    return padding


def token_types(columns: Columns, length: int, dtype: type[np.integer[Any]]) -> NDArray[Any]:
    """1 on the tokens of a second segment, else 0: [B, length]."""
    lengths = ragged(columns, "input_ids").lengths
    if "first_segment_length" not in columns:
        return np.zeros((len(lengths), length), dtype)
    place = np.arange(length)
    first = plain(columns, "first_segment_length").astype(np.int64)
    second: NDArray[np.bool_] = (place >= first[:, None]) & (place < lengths[:, None])
    return second.astype(dtype)


def flat_positions(columns: Columns, length: int) -> NDArray[np.int64]:
    """Where the masked tokens of a padded batch lie: `row * length + position`, int64 [M]."""
    positions = ragged(columns, "masked_positions")
    rows = np.repeat(np.arange(len(positions)), positions.lengths)
    return rows * length + _values(positions)


def flat_labels(columns: Columns) -> NDArray[np.int64]:
    """The original ids of the masked tokens, in the order of `flat_positions`: int64 [M]."""
    return _values(ragged(columns, "masked_labels"))


def _values(column: Ragged) -> NDArray[np.int64]:
    return column.values[column.offsets[0] : column.offsets[-1]].astype(np.int64)


def _masked_labels(columns: Columns, length: int, _: int | None) -> NDArray[np.int64]:
    """The original ids at the masked positions: int64 [B, length]."""
    dense = np.full((len(ragged(columns, "input_ids")), length), IGNORED, np.int64)
    dense.ravel()[flat_positions(columns, length)] = flat_labels(columns)
    return dense


def _next_labels(columns: Columns, length: int, _: int | None) -> NDArray[np.int64]:
    return ragged(columns, "input_ids").padded(length, IGNORED, np.int64)


def _target_labels(columns: Columns, _: int, target_length: int | None) -> NDArray[np.int64]:
    labels = ragged(columns, "labels")
    return labels.padded(target_length or int(labels.lengths.max()), IGNORED, np.int64)


def _replaced_labels(columns: Columns, length: int, _: int | None) -> NDArray[np.int64]:
    return ragged(columns, "labels").padded(length, 0, np.int64)


_LABELS: dict[str, Callable[[Columns, int, int | None], NDArray[np.int64]]] = {
    **dict.fromkeys(("mlm", "whole-word", "ngram", "span", "infoword"), _masked_labels),
    **dict.fromkeys(("clm", "bilm"), _next_labels),
    **dict.fromkeys(("t5", "bart", "ul2"), _target_labels),
    "electra": _replaced_labels,
}
OBJECTIVES = tuple(_LABELS)
"""The objectives whose rows have a dense form."""


def replace_tokens(ids: Ragged, vocabulary: Vocabulary, key: np.uint64) -> tuple[Ragged, Ragged]:
    """Rows with some tokens replaced, int32, and 1 where they differ from before, int8."""
    start, stop = ids.offsets[0], ids.offsets[-1]
    old, offsets = ids.values[start:stop].astype(np.int32), ids.offsets - start
    new = old.copy()
    _replace(
        offsets, _row_keys(old, offsets, key), vocabulary.maskable, vocabulary.replacements, new
    )
    return Ragged(new, offsets), Ragged((new != old).astype(np.int8), offsets)


@kernel
def _row_keys(ids: NDArray[np.int32], offsets: NDArray[np.int64], key: np.uint64) -> Keys:
    """A key for each row from all its ids: uint64 [N]."""
    keys = np.empty(len(offsets) - 1, np.uint64)
    for row in range(len(keys)):
        keys[row] = key
        for i in range(offsets[row], offsets[row + 1]):
            keys[row] = draw(keys[row], ids[i])
    return keys


@bare_kernel
def _replace(
    offsets: NDArray[np.int64],
    keys: Keys,
    maskable: NDArray[np.bool_],
    replacements: NDArray[np.int32],
    ids: NDArray[np.int32],
) -> None:
    """Replace 15 % of each row's tokens in place, by selection sampling among the maskable ones."""
    for row in range(len(keys)):
        start, stop = offsets[row], offsets[row + 1]
        candidates = 0
        for i in range(start, stop):
            candidates += maskable[ids[i]]
        left = min(candidates, max(1, _fifteen_percent(stop - start)))
        for i in range(start, stop):
            if not maskable[ids[i]]:
                continue
            if integer_below(candidates, keys[row], _DRAWS * (i - start)) < left:
                place = integer_below(len(replacements), keys[row], _DRAWS * (i - start) + 1)
                ids[i] = replacements[place]
                left -= 1
            candidates -= 1


@bare_kernel
def _fifteen_percent(tokens: int) -> int:
    """3/20 of them, rounded half to even."""
    quotient, rest = 3 * tokens // 20, 3 * tokens % 20
    return quotient + (rest > 10 or (rest == 10 and quotient % 2 == 1))
