"""A dataset as files of other programs: Parquet, or a folder of the `datasets` library.

    parquet   OUT/data/train-00000-of-00003.parquet ...   one for each shard, Zstandard
    hf        OUT/data-00000-of-00003.arrow ..., state.json, dataset_info.json
    both      OUT/tokenizer/                               as in the dataset

Columns, types and the order of rows are those of the dataset. Every shard is checked against its
hash, and by Arrow's rules, before a row of it is written.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lmprep.errors import UsageError
from lmprep.files import atomic_folder
from lmprep.settings import choice
from lmprep.shards.card import SPLITS
from lmprep.shards.manifest import Manifest, check_hash, parse_shard_name, read_manifest
from lmprep.shards.reader import Shard

FORMS = ("parquet", "hf")

Entry = dict[str, Any]
OnBytes = Callable[[int], object]


def convert(
    folder: Path,
    out: Path,
    to: str,
    *,
    copy: int | None = None,
    on_bytes: OnBytes = lambda _: None,
) -> int:
    """Write a dataset in another form; return the number of its rows.

    Args:
        folder: the OUT of `lmprep build`.
        out: a folder that does not exist yet; it appears whole or not at all.
        to: one of `FORMS`.
        copy: only this stored copy; None for all, one after another as they are stored.
        on_bytes: called with the bytes of each shard that is written.

    Raises:
        UsageError: `out` exists, or there is no such copy.
        DatasetError: the dataset is unfinished or damaged.
    """
    choice("form", to, FORMS)
    manifest = read_manifest(folder)
    entries = _entries(folder, manifest, copy)
    if out.exists():
        raise UsageError("already exists", path=out, fix="Choose another -o")
    if not entries:
        raise UsageError("holds no rows", path=folder, fix="There is nothing to convert")
    write = {"parquet": _write_parquet, "hf": _write_hf}[to]
    with atomic_folder(out) as target:
        write(folder, manifest, entries, target, on_bytes)
        shutil.copytree(folder / "tokenizer", target / "tokenizer")
    return sum(entry["rows"] for entry in entries)


def _entries(folder: Path, manifest: Manifest, copy: int | None) -> list[Entry]:
    """The shards of one copy, or all."""
    copies = manifest["settings"]["copies"]
    if copy is not None and not 0 <= copy < copies:
        raise UsageError(
            f"copy {copy} is not stored", path=folder, fix=f"It holds {copies}, counted from 0"
        )
    entries: list[Entry] = manifest["shards"]
    return [e for e in entries if copy is None or parse_shard_name(e["file"])[2] == copy]


def _write_parquet(
    folder: Path, manifest: Manifest, entries: Sequence[Entry], out: Path, on_bytes: OnBytes
) -> None:
    """One file for each shard, with a row group for each record batch."""
    (out / "data").mkdir()
    split = SPLITS[manifest["part"]]
    facts = {name: manifest[name] for name in ("objective", "fingerprint", "settings", "lmprep")}
    for number, entry in enumerate(entries):
        shard = _checked(folder, entry)
        schema = shard.schema.with_metadata({"lmprep": json.dumps(facts)})
        path = out / "data" / f"{split}-{number:05d}-of-{len(entries):05d}.parquet"
        with pq.ParquetWriter(path, schema, compression="zstd") as file:
            for batch in map(shard.record_batch, range(shard.batches)):
                file.write_batch(batch.replace_schema_metadata(schema.metadata))
        on_bytes(entry["bytes"])


def _write_hf(
    folder: Path, manifest: Manifest, entries: Sequence[Entry], out: Path, on_bytes: OnBytes
) -> None:
    """What `datasets` itself writes, with the features spelled out."""
    import datasets

    for entry in entries:
        shard = _checked(folder, entry)
        for number in range(shard.batches):
            shard.record_batch(number)  # checked as it is read
    parts = [datasets.Dataset.from_file(str(folder / entry["file"])) for entry in entries]
    split = datasets.NamedSplit(SPLITS[manifest["part"]])
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        whole = datasets.concatenate_datasets(parts, split=split)
        whole.save_to_disk(str(out), num_shards=min(len(parts), len(whole)))
    finally:
        if shown:
            datasets.enable_progress_bars()
    on_bytes(sum(entry["bytes"] for entry in entries))


def _checked(folder: Path, entry: Entry) -> Shard:
    check_hash(folder / entry["file"], entry)
    return Shard(folder / entry["file"], entry)
