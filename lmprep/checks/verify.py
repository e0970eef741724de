"""`verify`: read a dataset folder whole and check every law it must obey.

Nothing here uses the code that made the data: counts, treatments and templates are worked out anew
from what the manifest promises. Shards are read one record batch at a time; statistics run over
all rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lmprep.batches import Columns
from lmprep.checks.copies import CopiesDiffer, copy_law
from lmprep.checks.files import Entry, file_checks, shard_faults, stream
from lmprep.checks.labels import Balance, label_laws
from lmprep.checks.masking import Positions, RandomTokens, Treatment, masking_laws
from lmprep.checks.record import Batch, Check, Contract
from lmprep.checks.rows import sound_laws, template_laws
from lmprep.errors import DatasetError
from lmprep.objective_settings import MlmSettings
from lmprep.ragged import Ragged
from lmprep.settings import SequenceSettings, settings_from
from lmprep.shards.manifest import parse_shard_name, read_manifest
from lmprep.shards.reader import vocabulary_from
from lmprep.shards.schema import from_arrow, widened

__all__ = ["Check", "verify"]


class Observer(Protocol):
    """Something that looks at all batches and decides at the end."""

    def see(self, batch: Batch) -> object: ...
    def check(self) -> Check: ...


def verify(folder: str | Path) -> list[Check]:
    """Check a dataset folder.

    What cannot be looked at is not reported: without a manifest there is one check that failed;
    content is checked in the shards that Arrow can read and that have the right columns.
    """
    folder = Path(folder)
    try:
        manifest = read_manifest(folder)
    except DatasetError as error:
        return [_manifest_check(str(error))]
    contract = contract_of(manifest)
    entries: list[Entry] = manifest["shards"]
    faults = [shard_faults(folder, entry, contract) for entry in entries]
    readable = [entry for entry, fault in zip(entries, faults, strict=True) if "counts" in fault]
    return [
        _manifest_check(""),
        *file_checks(entries, faults, contract.copies),
        *_row_checks(folder, readable, contract, manifest["drops"]),
    ]


def _manifest_check(fault: str) -> Check:
    return Check(
        name="manifest",
        expected="complete, canonical, all shards there in full size",
        found="not so" if fault else "so",
        tolerance="",
        passed=not fault,
        detail=fault,
    )


def contract_of(manifest: dict[str, Any]) -> Contract:
    """What a manifest promises of every row."""
    settings, vocabulary = manifest["settings"], vocabulary_from(manifest["vocabulary"])
    assert vocabulary.cls is not None
    assert vocabulary.sep is not None
    assert vocabulary.mask is not None
    return Contract(
        masking=settings_from(MlmSettings, settings["objective_settings"]),
        sequences=settings_from(SequenceSettings, settings["sequences"]),
        vocabulary=vocabulary,
        copies=settings["copies"],
        cls=vocabulary.cls,
        sep=vocabulary.sep,
        mask=vocabulary.mask,
    )


def _row_checks(
    folder: Path, entries: list[Entry], contract: Contract, drops: dict[str, int]
) -> list[Check]:
    sound = sound_laws(contract)
    others: list[Observer] = [
        *template_laws(contract),
        *masking_laws(contract),
        *label_laws(contract),
        Treatment(contract),
        RandomTokens(contract),
        Positions(contract),
    ]
    if contract.pairs != "none":
        others.append(Balance(contract, drops.get("nsp_balance_pairs", 0)))
    if contract.copies > 1:
        others += [copy_law(), CopiesDiffer()]
    for entry in sorted(entries, key=lambda entry: parse_shard_name(entry["file"])):
        for batch in _batches(folder, entry, contract):
            broken = np.zeros(len(batch), np.bool_)
            for law in sound:
                broken |= law.see(batch)
            rest = batch.take(np.flatnonzero(~broken)) if broken.any() else batch
            for observer in others:
                observer.see(rest)
    return [law.check() for law in sound] + [observer.check() for observer in others]


def _batches(folder: Path, entry: Entry, contract: Contract) -> Iterator[Batch]:
    """The record batches of a shard as columns in memory."""
    source, _, copy = parse_shard_name(entry["file"])
    row = 0
    for record in stream(folder / entry["file"]):
        columns: Columns = {name: _column(record.column(name)) for name in record.schema.names}
        numbers = np.arange(row, row + record.num_rows)
        yield Batch(columns, numbers, entry["file"], source, copy, contract)
        row += record.num_rows


def _column(array: pa.Array) -> Ragged | NDArray[np.generic]:
    """A column with ids and positions widened, offsets from 0."""
    column = from_arrow(array)
    if not isinstance(column, Ragged):
        return column
    start, stop = column.offsets[0], column.offsets[-1]
    values = column.values[start:stop]
    return Ragged(values.astype(widened(values.dtype)), column.offsets - start)
