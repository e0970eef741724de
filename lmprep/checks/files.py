"""The files of a dataset: hashes, Arrow's own rules, columns and their types, copies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lmprep.checks.record import Check, Contract
from lmprep.files import file_sha256
from lmprep.shards.manifest import parse_shard_name
from lmprep.shards.schema import smallest
from lmprep.shards.trust import check_arrow, check_message

Entry = dict[str, Any]

EXPECTED = {
    "sha256": "as in the manifest",
    "arrow": "valid in full, no nulls, batches where the manifest says",
    "columns": "names and types of this objective",
}


def shard_faults(folder: Path, entry: Entry, contract: Contract) -> dict[str, str]:
    """What is wrong with a shard, by the name of the check; what stays unknown is left out."""
    path = folder / entry["file"]
    faults = {"sha256": _hash_fault(path, entry), "arrow": _arrow_fault(path, entry)}
    if not faults["arrow"]:
        faults["columns"] = _column_fault(path, contract)
    return faults


def is_readable(faults: dict[str, str]) -> bool:
    """Whether the rows of a shard with these faults can be looked at."""
    return not faults["arrow"] and not faults["columns"]


def file_checks(entries: list[Entry], faults: list[dict[str, str]], copies: int) -> list[Check]:
    """The faults of all shards as checks."""
    files = [entry["file"] for entry in entries]
    found = {name: [fault.get(name, "") for fault in faults] for name in EXPECTED}
    checks = [_check(name, EXPECTED[name], files, texts) for name, texts in found.items()]
    copy_check = _check("copies", f"{copies} of equal size", files, _copy_faults(entries, copies))
    return [*checks, copy_check]


def tokenizer_check(folder: Path, sha256: str) -> Check:
    """The tokenizer in the folder is the one the rows were made with."""
    path = folder / "tokenizer" / "tokenizer.json"
    found = file_sha256(path) if path.is_file() else "none"
    return Check(
        name="tokenizer",
        expected=f"{sha256[:12]}...",
        found=f"{found[:12]}..." if path.is_file() else "not there",
        tolerance="",
        passed=found == sha256,
    )


def _check(name: str, expected: str, files: list[str], faults: list[str]) -> Check:
    broken = [f"{file}: {fault}" for file, fault in zip(files, faults, strict=True) if fault]
    return Check(
        name=name,
        expected=expected,
        found=f"{len(files) - len(broken)} of {len(files)} shards",
        tolerance="",
        passed=not broken,
        detail=f"first in {broken[0]}" if broken else "",
    )


def stream(path: Path) -> Iterator[pa.RecordBatch]:
    """The record batches of a shard, memory-mapped, one after another."""
    with pa.memory_map(str(path)) as file:
        yield from pa.ipc.open_stream(file)


def _hash_fault(path: Path, entry: Entry) -> str:
    found = file_sha256(path)
    return "" if found == entry["sha256"] else f"{found[:12]}... is not {entry['sha256'][:12]}..."


def _arrow_fault(path: Path, entry: Entry) -> str:
    try:
        with pa.memory_map(str(path)) as file:
            messages = pa.ipc.MessageReader.open_stream(file)
            schema = pa.ipc.read_schema(messages.read_next_message())
            offsets = [file.tell()]
            for message in messages:
                check_message(message)
                check_arrow(pa.ipc.read_record_batch(message, schema))
                offsets.append(file.tell())
    except (pa.ArrowException, OSError, ValueError, StopIteration) as error:
        return str(error).splitlines()[0] if str(error) else "no schema"
    stated, found = entry["batch_offsets"], offsets[:-1]
    return "" if found == stated else f"batches at {found[:5]}..., not {stated[:5]}..."


LABEL_COLUMNS = {"nsp": "next_sentence_label", "sop": "sentence_order_label"}


def expected_columns(contract: Contract) -> dict[str, pa.DataType]:
    """The columns of the contract's objective over its sequences, with their types."""
    kinds = {**contract.subject.columns(contract), **_provenance(contract)}
    lists = {
        "ids": pa.list_(pa.from_numpy_dtype(smallest(contract.vocabulary.size))),
        "positions": pa.list_(pa.from_numpy_dtype(smallest(contract.length))),
        "flags": pa.list_(pa.bool_()),
    }
    return {
        name: lists[kind] if kind in lists else pa.from_numpy_dtype(np.dtype(kind))
        for name, kind in kinds.items()
    }


def _provenance(contract: Contract) -> dict[str, str]:
    """What rows of sequences say of their origin."""
    if not contract.subject.frame:
        return {}
    columns = {"document": "int64", "first_sentence": "int32"}
    if contract.has_document_starts:
        columns["document_starts"] = "positions"
    if contract.pairs != "none" or contract.subject.frame == "segments":
        columns["first_segment_length"] = "int32"
    if contract.pairs != "none":
        columns |= {"second_document": "int64", "second_sentence": "int32"}
        columns[LABEL_COLUMNS[contract.pairs]] = "int8"
    return columns


def _column_fault(path: Path, contract: Contract) -> str:
    with pa.memory_map(str(path)) as file:
        schema = pa.ipc.open_stream(file).schema
    expected = expected_columns(contract)
    if missing := [name for name in expected if name not in schema.names]:
        return f"column {missing[0]} is missing"
    if surplus := [name for name in schema.names if name not in expected]:
        return f"column {surplus[0]} does not belong here"
    wrong = [name for name in expected if schema.field(name).type != expected[name]]
    if wrong:
        return f"{wrong[0]} is {schema.field(wrong[0]).type}, not {expected[wrong[0]]}"
    return ""


def _copy_faults(entries: list[Entry], copies: int) -> list[str]:
    """A fault for each shard of a partition whose copies are not all there, equally long."""
    places = [parse_shard_name(entry["file"]) for entry in entries]
    rows: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    for (source, partition, copy), entry in zip(places, entries, strict=True):
        rows[source, partition][copy] = entry["rows"]
    return [_copy_fault(rows[place[:2]], copies) for place in places]


def _copy_fault(rows: dict[int, int], copies: int) -> str:
    if sorted(rows) != list(range(copies)):
        return f"its partition has copies {sorted(rows)}"
    if len(set(rows.values())) > 1:
        return f"the copies of its partition have {sorted(set(rows.values()))} rows"
    return ""
