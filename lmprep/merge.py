"""Datasets of equal settings, joined to one.

Sources are numbered on: those of the second dataset follow those of the first, in the names of
shards and in the numbers of documents, so that a number means one document. Nothing else in a row
changes. A shard's entry says as which source its rows were drawn (`drawn_as`), so that copies
which are drawn on reading are those that the datasets would have given by themselves.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lmprep import __version__
from lmprep.batches import DOCUMENT_SHIFT
from lmprep.engines import output
from lmprep.errors import DatasetError, UsageError
from lmprep.files import canonical_json, json_sha256
from lmprep.objectives import OBJECTIVES
from lmprep.shards.manifest import (
    Manifest,
    check_hash,
    drawn_place,
    parse_shard_name,
    read_manifest,
    write_manifest,
)
from lmprep.shards.reader import Shard
from lmprep.shards.schema import flat, flat_array
from lmprep.shards.writer import shard_name, write_batches
from lmprep.tokenization import folder as tokenizer_folder
from lmprep.tokenization.folder import TokenizerFolder

# What datasets must have in common.
_COMMON = ("objective", "part", "settings", "tokenizer_sha256", "vocabulary", "algorithms", "icu")
_NUMBERED = ("document", "second_document")

Entry = dict[str, Any]


def merge(
    folders: Sequence[Path],
    out: Path,
    *,
    force: bool = False,
    on_bytes: Callable[[int], object] = lambda _: None,
) -> Manifest:
    """Write a dataset with the rows of all these, in their order; return its manifest.

    Args:
        folders: datasets, at least two.
        out: the new one; must not exist, unless `force` and it is a dataset.
        on_bytes: called with the bytes of each shard that is written.

    Raises:
        UsageError: the settings differ, or one is given twice; `out` exists.
        DatasetError: one is unfinished or damaged.
    """
    manifests = [read_manifest(folder) for folder in folders]
    _refuse_unfit(folders, manifests)
    if out.resolve() in {folder.resolve() for folder in folders}:
        raise UsageError("is one of the datasets to be merged", path=out, fix="Choose another -o")
    tokenizer = _tokenizer(folders[0], manifests[0])
    paper = _paper(manifests)
    output.open_folders([out], paper, tokenizer, resume=False, force=force)
    try:
        content = {**paper, **_account(manifests), "shards": []}
        first_source = 0
        for folder, manifest in zip(folders, manifests, strict=True):
            for entry in manifest["shards"]:
                content["shards"].append(_add_shard(folder, entry, out, first_source))
                on_bytes(entry["bytes"])
            first_source += manifest["sources"]
        merged = write_manifest(out, content)
    except BaseException:
        output.clear([out])
        raise
    output.remove_plan(out)
    return merged


def _refuse_unfit(folders: Sequence[Path], manifests: Sequence[Manifest]) -> None:
    objective = manifests[0]["objective"]
    if OBJECTIVES[objective].second_stage != "none":
        raise UsageError(
            f"rows of {objective} depend on counts over the whole corpus, so datasets of it "
            "cannot be merged",
            fix="Build one from all inputs",
        )
    seen: dict[str, Path] = {}
    common = {name: manifests[0][name] for name in _COMMON}
    for folder, manifest in zip(folders, manifests, strict=True):
        if (same := seen.get(manifest["manifest_sha256"])) is not None:
            raise UsageError(f"is the same dataset as {same}", path=folder, fix="Name it once")
        seen[manifest["manifest_sha256"]] = folder
        if (found := output.first_difference(manifest, common)) is not None:
            name, here, there = found
            raise UsageError(
                f"{name} is {here!r} here and {there!r} in {folders[0]}",
                path=folder,
                fix="Merge datasets of equal settings; pretrain takes several datasets as they are",
            )


def _tokenizer(folder: Path, manifest: Manifest) -> TokenizerFolder:
    found = tokenizer_folder.load(folder / "tokenizer", manifest["vocabulary"]["family"])
    if found.sha256 != manifest["tokenizer_sha256"]:
        raise DatasetError(
            "this is not the tokenizer that the dataset was made with",
            path=folder / "tokenizer",
            fix="Build the dataset again",
        )
    return found


def _paper(manifests: Sequence[Manifest]) -> dict[str, Any]:
    """All that determines the bytes, with its fingerprint."""
    deciding = {
        **{name: manifests[0][name] for name in _COMMON},
        "inputs": [one for manifest in manifests for one in manifest["inputs"]],
        "merged": [one for manifest in manifests for one in _parts(manifest)],
    }
    paper: dict[str, Any] = json.loads(canonical_json(deciding))
    sources = sum(manifest["sources"] for manifest in manifests)
    fingerprint = json_sha256(deciding)
    return {**paper, "fingerprint": fingerprint, "lmprep": __version__, "sources": sources}


def _parts(manifest: Manifest) -> list[dict[str, Any]]:
    """The datasets that one was merged of, or itself: which they are, and what they number."""
    itself = {
        "fingerprint": manifest["fingerprint"],
        "manifest_sha256": manifest["manifest_sha256"],
        "inputs": len(manifest["inputs"]),
        "sources": manifest["sources"],
    }
    return list(manifest.get("merged", [itself]))


def _account(manifests: Sequence[Manifest]) -> dict[str, Any]:
    drops: Counter[str] = Counter()
    for manifest in manifests:
        drops.update(manifest["drops"])
    return {
        "documents": sum(manifest["documents"] for manifest in manifests),
        "input_tokens": sum(manifest["input_tokens"] for manifest in manifests),
        "drops": dict(sorted(drops.items())),
    }


def _add_shard(folder: Path, entry: Entry, out: Path, first_source: int) -> Entry:
    """Write a shard of one dataset as one of the new dataset; return its entry there."""
    path = folder / entry["file"]
    check_hash(path, entry)
    source, partition, copy = parse_shard_name(entry["file"])
    name = shard_name(first_source + source, partition, copy)
    written = write_batches(out, name, _renumbered(Shard(path, entry), first_source))
    drawn_as, _ = drawn_place(entry)
    return {**entry, **written, "drawn_as": drawn_as}


def _renumbered(shard: Shard, first_source: int) -> Iterator[pa.RecordBatch]:
    """The record batches of a shard, with the sources in document numbers counted on."""
    for number in range(shard.batches):
        batch = shard.record_batch(number)
        for name in _NUMBERED:
            if name in batch.schema.names:
                numbers = flat(batch.column(name)) + np.int64(first_source << DOCUMENT_SHIFT)
                place = batch.schema.get_field_index(name)
                batch = batch.set_column(place, batch.schema.field(name), flat_array(numbers))
        yield batch
