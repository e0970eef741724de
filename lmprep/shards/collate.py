"""Rows to padded tensors: what is sparse and unpadded on disk becomes dense here, in one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmprep.batches import Columns
from lmprep.ragged import Ragged
from lmprep.shards.reader import Dataset
from lmprep.vocabulary import Vocabulary

# The label that torch's and transformers' losses leave out.
IGNORED = -100
PAIR_LABELS = ("next_sentence_label", "sentence_order_label")


class Collator:
    """Turns rows into the arguments of a Hugging Face model.

        collate = Collator("shards")
        loss = BertForPreTraining(config)(**collate(dataset.rows(indices))).loss

    Args:
        dataset: a dataset folder, or anything with its `vocabulary`.
    """

    def __init__(self, dataset: str | Path | Any) -> None:
        opened = Dataset(dataset) if isinstance(dataset, str | Path) else dataset
        self._vocabulary: Vocabulary = opened.vocabulary

    def __call__(self, rows: Columns | Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Pad a batch to its longest row.

        Args:
            rows: columns as `Dataset.rows` gives them, or dictionaries, one for each row.

        Returns:
            int64 tensors [B, L]: `input_ids`, `attention_mask`, `labels` (-100 where nothing is
            to be predicted), with pairs `token_type_ids`; int64 [B]: the pair label, if any.
        """
        columns = rows if isinstance(rows, dict) else columns_from(rows)
        ids = ragged(columns, "input_ids")
        length = int(ids.lengths.max())
        arrays: dict[str, NDArray[np.generic]] = {
            "input_ids": padded_ids(columns, length, self._vocabulary, np.int64),
            "attention_mask": (np.arange(length) < ids.lengths[:, None]).astype(np.int64),
            "labels": dense_labels(columns, length),
        }
        if "first_segment_length" in columns:
            arrays["token_type_ids"] = token_types(columns, length, np.int64)
        for name in PAIR_LABELS:
            if name in columns:
                arrays[name] = plain(columns, name).astype(np.int64)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def columns_from(rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Dictionaries of one row each (as `datasets` gives them) as columns."""
    columns: Columns = {}
    for name, value in rows[0].items():
        values = [row[name] for row in rows]
        if np.ndim(value):
            columns[name] = Ragged.from_rows(values, np.int32)
        else:
            columns[name] = np.array(values, np.int64)
    return columns


def padded_ids(
    columns: Columns, length: int, vocabulary: Vocabulary, dtype: type[np.integer]
) -> NDArray[np.generic]:
    """Token ids [B, length], padded on the right."""
    if vocabulary.pad is None:
        raise ValueError(f"family {vocabulary.family} has no padding token")
    return ragged(columns, "input_ids").padded(length, vocabulary.pad, dtype)


def token_types(columns: Columns, length: int, dtype: type[np.integer]) -> NDArray[np.generic]:
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


def dense_labels(columns: Columns, length: int) -> NDArray[np.int64]:
    """The original ids at the masked positions and `IGNORED` elsewhere: int64 [B, length]."""
    rows = len(ragged(columns, "input_ids"))
    dense = np.full((rows, length), IGNORED, np.int64)
    dense.ravel()[flat_positions(columns, length)] = flat_labels(columns)
    return dense


def ragged(columns: Columns, name: str) -> Ragged:
    """A column that must be ragged."""
    column = columns[name]
    if not isinstance(column, Ragged):
        raise TypeError(f"column {name} is not ragged")
    return column


def plain(columns: Columns, name: str) -> NDArray[np.generic]:
    """A column that must be a plain array."""
    column = columns[name]
    if isinstance(column, Ragged):
        raise TypeError(f"column {name} is ragged")
    return column


def _values(column: Ragged) -> NDArray[np.int64]:
    return column.values[column.offsets[0] : column.offsets[-1]].astype(np.int64)
