"""`verify`: read a dataset folder whole and check every law it must obey.

Nothing here uses the code that made the data: counts, treatments and templates are worked out anew
from what the manifest promises. Shards are read one record batch at a time; statistics run over
all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lmprep.batches import Columns
from lmprep.checks.files import (
    Entry,
    file_checks,
    is_readable,
    shard_faults,
    stream,
    tokenizer_check,
)
from lmprep.checks.laws.copies import copy_laws
from lmprep.checks.laws.counts import Coverage, ShardCounts
from lmprep.checks.laws.frames import frame_laws
from lmprep.checks.laws.labels import Balance
from lmprep.checks.laws.subjects import SUBJECTS
from lmprep.checks.record import Batch, Check, Contract, Observer
from lmprep.checks.source.comparison import Comparison
from lmprep.errors import DatasetError
from lmprep.keyed_random import key_for, permutation
from lmprep.objective_settings import FORMS
from lmprep.ragged import Ragged
from lmprep.settings import SequenceSettings, settings_from
from lmprep.shards.cached import local_folder
from lmprep.shards.manifest import (
    Manifest,
    drawn_place,
    parse_shard_name,
    read_manifest,
    refuse_dense,
)
from lmprep.shards.reader import vocabulary_from
from lmprep.shards.schema import from_arrow, widened

__all__ = ["Check", "verify"]


def verify(folder: str | Path, source: Sequence[str] = ()) -> list[Check]:
    """Check a dataset folder.

    What cannot be looked at is not reported: without a manifest there is one check that failed;
    content is checked in the shards that Arrow can read and that have the right columns.

    Args:
        folder: the OUT of `lmprep build`, or its OUT-valid.
        source: the corpus it was made of, to be read again and compared.

    Raises:
        UsageError: there is no such folder, or no such source.
        DatasetError: its rows are in padded form.
    """
    folder = local_folder(folder)
    try:
        manifest = read_manifest(folder)
    except DatasetError as error:
        return [_manifest_check(str(error))]
    refuse_dense(folder, manifest)
    contract = contract_of(folder, manifest)
    comparison = Comparison(contract, source) if source else None
    entries: list[Entry] = manifest["shards"]
    faults = [shard_faults(folder, entry, contract) for entry in entries]
    readable = [e for e, fault in zip(entries, faults, strict=True) if is_readable(fault)]
    rows = Rows(contract, readable, comparison)
    for entry in sorted(readable, key=lambda entry: parse_shard_name(entry["file"])):
        rows.see(entry)
    return [
        _manifest_check(""),
        tokenizer_check(folder, manifest["tokenizer_sha256"]),
        *file_checks(entries, faults, contract.copies),
        *rows.checks(),
        *(comparison.checks() if comparison else ()),
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


def contract_of(folder: Path, manifest: Manifest) -> Contract:
    """What a manifest promises of every row."""
    settings, objective = manifest["settings"], manifest["objective"]
    return Contract(
        objective=objective,
        settings=settings_from(FORMS[objective].settings, settings["objective_settings"]),
        sequences=settings_from(SequenceSettings, settings["sequences"]),
        vocabulary=vocabulary_from(manifest["vocabulary"]),
        copies=settings["copies"],
        subject=SUBJECTS[objective],
        folder=folder,
        manifest=manifest,
    )


class Rows:
    """All rows of the readable shards, seen by every law.

    Args:
        readable: the entries of shards whose rows can be looked at.
        comparison: with the source, if there is one.
    """

    def __init__(
        self, contract: Contract, readable: Sequence[Entry], comparison: Comparison | None
    ) -> None:
        self._contract, self._comparison = contract, comparison
        self._order, self._counts = Order(contract.manifest), ShardCounts(readable)
        self._sound = contract.subject.sound(contract)
        self._others: list[Observer] = [*contract.subject.laws(contract), *copy_laws(contract)]
        if contract.pairs != "none":
            self._others.append(Balance(contract))
        # What went in can be compared only with all that came out.
        self._all = len(readable) == len(contract.manifest["shards"])
        self._coverage = Coverage(contract.manifest)
        if contract.subject.frame:
            self._others = [*frame_laws(contract), *self._others, self._coverage]

    def see(self, entry: Entry) -> None:
        """Show a shard to all laws; shards come in their order."""
        kept: list[Batch] = []
        for batch in _batches(entry, self._contract, self._order):
            sound = self._sound_of(batch)
            self._counts.see(batch, sound)
            for observer in self._others:
                observer.see(sound)
            if self._comparison is not None:
                self._comparison.see(sound)
                kept += [sound] if self._comparison.keeps_rows and batch.copy == 0 else []
        if kept and self._comparison is not None:
            whole = entry["file"] not in self._counts.unsound
            self._comparison.see_shard(kept, whole=whole)

    def _sound_of(self, batch: Batch) -> Batch:
        """The rows that break no law of sound rows."""
        for law in self._sound:
            broken = law.see(batch)
            batch = batch.take(np.flatnonzero(~broken)) if broken.any() else batch
        return batch

    def checks(self) -> list[Check]:
        """The outcome, once all shards were seen."""
        others = self._others
        if not self._all or self._counts.unsound:
            others = [observer for observer in others if observer is not self._coverage]
        return [self._counts.check(), *(law.check() for law in (*self._sound, *others))]


class Order:
    """In which order a partition's rows stand in its shards, as the manifest promises."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self._part, self._settings = manifest["part"], manifest["settings"]

    def ranks(self, entry: Entry, start: int, stop: int) -> NDArray[np.int64]:
        """The place in the text's order of these rows of a shard, int64 [stop - start]."""
        # Where a shard has more rows than stated, which another check reports, there is no order.
        if self._settings["keep_order"] or stop > entry["rows"]:
            return np.arange(start, stop)
        source, partition = drawn_place(entry)
        seed, purpose = self._settings["seed"], f"order {self._part}"
        key = key_for(seed, purpose, source=source, partition=partition)
        return permutation(entry["rows"], key, start, stop)


def _batches(entry: Entry, contract: Contract, order: Order) -> Iterator[Batch]:
    """The record batches of a shard as columns in memory."""
    source, partition, copy = parse_shard_name(entry["file"])
    row = 0
    for record in stream(contract.folder / entry["file"]):
        columns: Columns = {name: _column(record.column(name)) for name in record.schema.names}
        stop = row + record.num_rows
        numbers, ranks = np.arange(row, stop), order.ranks(entry, row, stop)
        yield Batch(columns, numbers, ranks, entry["file"], source, partition, copy, contract)
        row = stop


def _column(array: pa.Array) -> Ragged | NDArray[np.generic]:
    """A column with ids and positions widened, offsets from 0."""
    column = from_arrow(array)
    if not isinstance(column, Ragged):
        return column
    start, stop = column.offsets[0], column.offsets[-1]
    values = column.values[start:stop]
    return Ragged(values.astype(widened(values.dtype)), column.offsets - start)
