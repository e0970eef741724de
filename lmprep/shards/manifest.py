"""The papers of a dataset folder: plan and receipts while it is made, the manifest when complete.

    OUT/plan.json        settings, inputs and fingerprint; created first, exclusively
    OUT/receipts/*.json  one for each partition, written after its shards
    OUT/partials/        objectives of two stages: what the first leaves for the second
    OUT/word_counts.npy  skipgram: how often each id occurs in the training documents, int64 [V]
    OUT/manifest.json    written last: its presence means the folder is complete
    OUT/state.json, dataset_info.json    what `datasets.load_from_disk` looks for
    OUT/README.md        the same for people and hubs (`lmprep.shards.card`)

All are canonical JSON (`lmprep.files`); the manifest carries its own SHA-256.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lmprep.errors import DatasetError, UsageError
from lmprep.files import atomic_file, canonical_json, file_sha256, json_sha256, sizes_of, write_json
from lmprep.remote import AnyPath
from lmprep.shards.card import dataset_card
from lmprep.shards.manifest_form import SHARD_NAME, check_form

FORMAT = 1
MANIFEST, PLAN, RECEIPTS, PARTIALS = "manifest.json", "plan.json", "receipts", "partials"
WORD_COUNTS = "word_counts.npy"
CARD = "README.md"
# A manifest is held in memory whole.
_MOST_BYTES = 128_000_000
_TOTALS = ("rows", "tokens", "scored_tokens", "text_bytes", "words", "bytes")

Manifest = dict[str, Any]
Receipt = dict[str, Any]


def parse_shard_name(name: str) -> tuple[int, int, int]:
    """Source, partition and copy of a shard; `ValueError` for any other name."""
    found = SHARD_NAME.fullmatch(name)
    if not found:
        raise ValueError(f"{name!r} is not the name of a shard")
    source, partition, copy = (int(group) for group in found.groups())
    return source, partition, copy


def drawn_place(entry: dict[str, Any]) -> tuple[int, int]:
    """The source and partition as which a shard's rows were drawn and put in order.

    They are the shard's own, but for a merged dataset: there sources are numbered anew.
    """
    source, partition, _ = parse_shard_name(entry["file"])
    return entry.get("drawn_as", source), partition


def totals(shards: list[dict[str, Any]]) -> dict[str, int]:
    """The sums over all shard entries, of what each of them states."""
    stated = [name for name in _TOTALS if all(name in shard for shard in shards)]
    return {name: sum(shard[name] for shard in shards) for name in stated}


def write_manifest(folder: AnyPath, content: Manifest) -> Manifest:
    """Write the manifest, the two files for `datasets` and the card; the manifest last.

    `content` has its own totals of what its shards do not state: of co-occurrence counts no text
    belongs to one shard.
    """
    found = {**content.get("totals", {}), **totals(content["shards"])}
    manifest = {**content, "format": FORMAT, "totals": found}
    manifest["manifest_sha256"] = json_sha256(manifest)
    write_json(folder / "state.json", _datasets_state(manifest))
    write_json(folder / "dataset_info.json", {"description": "", "features": None})
    with atomic_file(folder / CARD) as file:
        file.write(dataset_card(manifest).encode())
    write_json(folder / MANIFEST, manifest)
    return manifest


def _datasets_state(manifest: Manifest) -> dict[str, Any]:
    return {
        "_data_files": [{"filename": shard["file"]} for shard in manifest["shards"]],
        "_fingerprint": manifest["fingerprint"][:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }


def write_receipt(path: AnyPath, receipt: Receipt) -> None:
    """Write a receipt with its own SHA-256."""
    write_json(path, {**receipt, "receipt_sha256": json_sha256(receipt)})


def read_receipt(path: Path) -> Receipt | None:
    """A receipt without its hash; None where there is none, or where it is damaged."""
    if path.is_symlink() or not path.is_file():
        return None
    return parse_receipt(path.read_bytes())


def parse_receipt(content: bytes) -> Receipt | None:
    """A receipt without its hash, or None for a damaged one: what it was for is done again."""
    try:
        receipt = json.loads(content)
        stated = receipt.pop("receipt_sha256")
        return receipt if stated == json_sha256(receipt) else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def read_manifest(folder: AnyPath) -> Manifest:
    """The manifest of a complete folder, checked as far as it can be without opening shards.

    Raises:
        UsageError: there is no such folder.
        DatasetError: it is unfinished, damaged, or not ours.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise UsageError(
            "there is no such dataset folder", path=folder, fix="Make one with `lmprep build`"
        )
    if not path.exists() and not (isinstance(path, Path) and path.is_symlink()):
        unfinished = (folder / PLAN).exists()
        what = "the dataset is unfinished" if unfinished else "this is not a dataset folder"
        fix = (
            "Run the same `lmprep build` with --resume to finish it"
            if unfinished
            else "It has no manifest.json; give the OUT folder of `lmprep build`"
        )
        raise DatasetError(what, path=folder, fix=fix)
    sizes = sizes_of(folder)
    manifest = _read_canonical(path, sizes.get(MANIFEST))
    stated = manifest.pop("manifest_sha256", None)
    if stated != json_sha256(manifest):
        raise DatasetError("its checksum does not fit its content", path=path, fix=_REBUILD)
    if manifest.get("format") != FORMAT:
        raise DatasetError(
            f"format {manifest.get('format')} is not {FORMAT}, the one this version reads",
            path=path,
            fix="Upgrade lmprep, or build the dataset again",
        )
    try:
        check_form(manifest)
    except ValueError as error:
        raise DatasetError(str(error), path=path, fix=_REBUILD) from None
    for shard in manifest["shards"]:
        _check_size(folder / shard["file"], "shard", shard["bytes"], sizes)
    if "word_counts" in manifest:
        _check_word_counts(folder, manifest["word_counts"], sizes)
    return {**manifest, "manifest_sha256": stated}


def refuse_dense(folder: AnyPath, manifest: Manifest) -> None:
    """Raise for a dataset whose rows are in their padded form, which lmprep does not read back."""
    if manifest["settings"].get("dense"):
        raise DatasetError(
            "this dataset is dense: padded columns for other programs, which lmprep does not read",
            path=folder,
            fix="Read it with datasets.load_from_disk, or build it without --dense",
        )


_REBUILD = "The dataset was changed after it was made; build it again"


def _read_canonical(path: AnyPath, size: int | None) -> Manifest:
    if size is None:
        raise DatasetError("not a plain file", path=path, fix=_REBUILD)
    if size > _MOST_BYTES:
        what = f"{size} bytes; a manifest has at most {_MOST_BYTES}"
        raise DatasetError(what, path=path, fix="Build with a larger --partition-size")
    content = path.read_bytes()
    try:
        manifest = json.loads(content)
    except ValueError as error:
        raise DatasetError(f"not valid JSON ({error})", path=path, fix=_REBUILD) from None
    except RecursionError:
        raise DatasetError("nested too deeply", path=path, fix=_REBUILD) from None
    if not isinstance(manifest, dict) or not _is_canonical(manifest, content):
        raise DatasetError("not in the form lmprep writes", path=path, fix=_REBUILD)
    return manifest


def _is_canonical(manifest: Manifest, content: bytes) -> bool:
    try:
        return canonical_json(manifest) == content
    except ValueError:  # numbers and characters that are in no file of ours
        return False


def _check_word_counts(folder: AnyPath, entry: dict[str, Any], sizes: dict[str, int]) -> None:
    if entry["file"] != WORD_COUNTS:
        what = f"{entry['file']!r} is not the name of word counts"
        raise DatasetError(what, path=folder / MANIFEST, fix=_REBUILD)
    _check_size(folder / WORD_COUNTS, "file", entry["bytes"], sizes)


def check_hash(path: Path, entry: dict[str, Any]) -> None:
    """Raise `DatasetError` unless a shard holds the bytes that its manifest entry says."""
    if file_sha256(path) != entry["sha256"]:
        what, fix = "its checksum is not the manifest's", "Build the dataset again"
        raise DatasetError(what, path=path, fix=fix)


def _check_size(path: AnyPath, what: str, size: int, sizes: dict[str, int]) -> None:
    found = sizes.get(path.name)
    if found is None:
        raise DatasetError(f"the {what} is missing or not a plain file", path=path, fix=_REBUILD)
    if found != size:
        raise DatasetError(
            f"{found} bytes where the manifest says {size}",
            path=path,
            fix=f"The {what} was cut short or changed; build the dataset again",
        )
