"""Rows to padded tensors: what is sparse and unpadded on disk becomes dense here, in one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmprep.batches import Columns
from lmprep.ragged import Ragged
from lmprep.shards.dense import (
    IGNORED,
    PAIR_LABELS,
    dense_columns,
    flat_labels,
    flat_positions,
    replacement_key,
    token_types,
)
from lmprep.shards.reader import Dataset
from lmprep.vocabulary import Vocabulary

__all__ = ["IGNORED", "PAIR_LABELS", "Collator", "flat_labels", "flat_positions", "token_types"]


class Collator:
    """Turns rows into the arguments of a Hugging Face model.

        collate = Collator("shards")
        loss = BertForPreTraining(config)(**collate(dataset.rows(indices))).loss

    BertForMaskedLM, BertForPreTraining, AlbertForPreTraining, RobertaForMaskedLM, GPT2LMHeadModel,
    T5ForConditionalGeneration, BartForConditionalGeneration and ElectraForPreTraining take what
    their objective's rows become as it is; see `shards.dense` for each. Documents that share a
    packed row see one another: for GPT-2 there are no position ids that would part them.

    Args:
        dataset: a dataset folder, or an opened dataset (`lmprep.load`).
        seed, copy: electra: fix which tokens are replaced, and by what. A row's replacements
            depend on these and its text alone, not on its batch: give each epoch another copy.
    """

    def __init__(self, dataset: str | Path | Any, *, seed: int = 0, copy: int = 0) -> None:
        opened = Dataset(dataset) if isinstance(dataset, str | Path) else dataset
        self._vocabulary: Vocabulary = opened.vocabulary
        self._objective: str = opened.manifest["objective"]
        self._key = replacement_key(seed, copy)

    def __call__(self, rows: Columns | Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Pad a batch to its longest row.

        Args:
            rows: columns as `Dataset.rows` gives them, or dictionaries, one for each row.

        Returns:
            int64 tensors: `input_ids`, `attention_mask`, `labels` and, with pairs,
            `token_type_ids` and the pair label; see `shards.dense.dense_columns`.
        """
        columns = rows if isinstance(rows, dict) else columns_from(rows)
        dense = dense_columns(columns, self._objective, self._vocabulary, self._key)
        return {name: torch.from_numpy(array) for name, array in dense.items()}


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
