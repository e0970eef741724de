"""Stored rows as records, chosen by number or by what their columns hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lmprep.batches import Columns
from lmprep.checks.inspect import Describer, Row
from lmprep.dynamic import Redrawn, load
from lmprep.objectives import stored_objective
from lmprep.settings import refuse_unknown
from lmprep.shards.reader import Dataset
from lmprep.shards.schema import flat
from lmprep.tokenization import folder as tokenizer_folder


def stored_rows(
    folder: Path, *, limit: int, copy: int = 0, where: Mapping[str, float] | None = None
) -> list[Row]:
    """The first rows of a dataset, or the first of those that a column holds a value for.

    Args:
        folder: the OUT of `lmprep build`.
        limit: rows at most.
        copy: which copy; beyond those stored, one corrupted anew.
        where: value by column, all of which must hold; list columns cannot be asked for.

    Raises:
        ValueError: the dataset has no such copy or column.
    """
    dataset = load(folder, copy)
    chosen = _matching(Dataset(folder), where or {}, limit)
    return describer_of(dataset).rows(dataset.rows(chosen), chosen.tolist()) if len(chosen) else []


def describer_of(dataset: Dataset | Redrawn) -> Describer:
    """What turns the columns of a dataset into records."""
    _, settings = stored_objective(dataset.manifest)
    tokenizer = tokenizer_folder.load(dataset.folder / "tokenizer").tokenizer
    return Describer(dataset.manifest["objective"], settings, dataset.vocabulary, tokenizer)


def originals(dataset: Dataset, columns: Columns) -> list[list[int]] | None:
    """The ids of each row as they were before corruption.

    None where that cannot be told, or nothing was corrupted.
    """
    objective, settings = stored_objective(dataset.manifest)
    if not objective.draws or objective.restore is None:
        return None
    sequences = objective.restore(columns, settings, dataset.vocabulary)
    bounds = zip(sequences.offsets[:-1], sequences.offsets[1:], strict=True)
    return [sequences.ids[start:stop].tolist() for start, stop in bounds]


def _matching(dataset: Dataset, where: Mapping[str, float], limit: int) -> NDArray[np.int64]:
    """The first rows that fit, int64 [at most limit]; every copy has them at the same places."""
    found = [np.empty(0, np.int64)]
    start = seen = 0
    for number, entry in enumerate(dataset.shards):
        for batch in range(len(entry["batch_offsets"])):
            record = dataset.shard(number).record_batch(batch)
            fits = np.flatnonzero(_fits(record, where))
            found.append(start + fits)
            start, seen = start + record.num_rows, seen + len(fits)
            if seen >= limit:
                return np.concatenate(found)[:limit]
    return np.concatenate(found)


def _fits(record: pa.RecordBatch, where: Mapping[str, float]) -> NDArray[np.bool_]:
    """Which rows hold all of the values."""
    names = [f.name for f in record.schema if not pa.types.is_list(f.type)]
    refuse_unknown("column", where, names)
    fits = np.ones(record.num_rows, np.bool_)
    for name, value in where.items():
        fits &= flat(record.column(name)) == value
    return fits
