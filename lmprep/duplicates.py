"""Documents that occur more than once: the first stays, found exactly and in bounded memory.

    OUT/receipts/hashes-00000.json          a source: documents and text hash of each partition
    OUT/partials/00000-00003-hashes.npy     a partition: uint64 [3, K], the halves of the hashes of
                                            its different documents, rising, and their ordinals
    OUT/partials/first.npy, starts.npy      bool [N], for all documents in order: the first of its
                                            text? int64 [S + 1]: where in it the sources begin

Two documents are the same when their texts are, byte for byte as they are read. Texts are compared
by their BLAKE2b hashes of 128 bits: that two of 10^9 different documents had the same one has a
probability below 10^-20.

Every source is read once before the build. Whoever reads one, however often, writes the same
files, so that tasks on several machines need no coordinator. Which document stays is decided by
document numbers alone: by the order of the inputs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.corpus.formats import Partition, read_partitions
from lmprep.corpus.plan import Source
from lmprep.errors import InputError
from lmprep.files import atomic_file, make_folder
from lmprep.ragged import offsets_of
from lmprep.remote import AnyPath
from lmprep.settings import CorpusSettings
from lmprep.shards.manifest import PARTIALS, RECEIPTS, read_receipt, write_receipt

REASON = "duplicate_documents"

# Hashes that are sorted at a time, 64 bytes each.
_BUCKET_ROWS = 4_000_000
_HASH_BYTES = 16

Receipt = dict[str, Any]


def hash_source(
    out: AnyPath, fingerprint: str, source: Source, settings: CorpusSettings, partition_bytes: int
) -> Receipt:
    """Read a source, write the hashes of its documents, then a receipt; return the receipt."""
    make_folder(out / PARTIALS)
    partitions = []
    text_bytes = 0
    for partition in read_partitions(source, settings, partition_bytes):
        with atomic_file(_hashes_path(out, source.index, partition.ordinal)) as file:
            np.save(file, _different(partition), allow_pickle=False)
        sha256 = hashlib.sha256(partition.text.data).hexdigest()
        partitions.append({"documents": len(partition), "text_sha256": sha256})
        text_bytes += len(partition.text)
    receipt = {
        "fingerprint": fingerprint,
        "source": source.index,
        "partitions": partitions,
        "text_bytes": text_bytes,
        "warnings": [],  # they come when the source is read to be built
    }
    write_receipt(_receipt_path(out, source.index), receipt)
    return receipt


def _hashes_path(out: AnyPath, source: int, partition: int) -> Path:
    return _local(out) / PARTIALS / f"{source:05d}-{partition:05d}-hashes.npy"


def _local(out: AnyPath) -> Path:
    assert isinstance(out, Path), "planning refuses to look for duplicates elsewhere"
    return out


def _receipt_path(out: AnyPath, source: int) -> Path:
    return _local(out) / RECEIPTS / f"hashes-{source:05d}.json"


def _different(partition: Partition) -> NDArray[np.uint64]:
    """The first document of each text: uint64 [3, K], halves of the hash, rising, and ordinal."""
    high, low = hashes_of(partition)
    order = np.lexsort((low, high))  # equal ones keep their order
    high, low = high[order], low[order]
    first = _is_first(high, low)
    return np.stack((high[first], low[first], order[first].astype(np.uint64)))


def hashes_of(partition: Partition) -> NDArray[np.uint64]:
    """The two halves of each document's hash: uint64 [2, D]."""
    text, offsets = partition.text.data, partition.document_offsets.tolist()
    digests = b"".join(
        hashlib.blake2b(text[start:stop], digest_size=_HASH_BYTES).digest()
        for start, stop in pairwise(offsets)
    )
    return np.frombuffer(digests, "<u8").reshape(-1, 2).T


def _is_first(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which sorted hashes are not the one before them: bool [K]."""
    first = np.ones(len(high), np.bool_)
    first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return first


def is_hashed(out: AnyPath, fingerprint: str, source: Source) -> bool:
    """Whether a source has its receipt."""
    receipt = read_receipt(_receipt_path(out, source.index))
    return receipt is not None and receipt["fingerprint"] == fingerprint


def is_marked(out: AnyPath) -> bool:
    """Whether the first documents are known."""
    return _first_path(out).exists()


def _first_path(out: AnyPath) -> Path:
    return _local(out) / PARTIALS / "first.npy"


def _starts_path(out: AnyPath) -> Path:
    return _local(out) / PARTIALS / "starts.npy"


def mark_first(out: AnyPath, sources: Sequence[Source]) -> None:
    """Find the first document of each text, when all sources have their hashes."""
    receipts = [_receipt_of(out, source.index) for source in sources]
    documents = [[p["documents"] for p in receipt["partitions"]] for receipt in receipts]
    with atomic_file(_starts_path(out)) as file:
        np.save(file, offsets_of([sum(each) for each in documents]), allow_pickle=False)
    starts = offsets_of([count for each in documents for count in each])
    paths = [
        _hashes_path(out, source.index, ordinal)
        for source, each in zip(sources, documents, strict=True)
        for ordinal in range(len(each))
    ]
    total = int(starts[-1])
    buckets = -(-total // _BUCKET_ROWS)
    with atomic_file(_first_path(out)) as file:
        # One byte more: an empty file cannot be mapped.
        first = np.lib.format.open_memmap(file.name, "w+", np.bool_, (total + 1,))
        for bucket in range(buckets):
            low, high = (number * (1 << 64) // buckets for number in (bucket, bucket + 1))
            found = [_between(path, low, high) for path in paths]
            first[_first_of(found, starts)] = True
        first.flush()


def _between(path: Path, low: int, high: int) -> NDArray[np.uint64]:
    """The hashes of a partition whose high half is from `low` to below `high`: uint64 [3, K]."""
    table = np.load(path, mmap_mode="r", allow_pickle=False)
    start = np.searchsorted(table[0], np.uint64(low))
    stop = np.searchsorted(table[0], np.uint64(high - 1), side="right")
    return np.array(table[:, start:stop])


def _first_of(tables: Sequence[NDArray[np.uint64]], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first documents among those of all partitions, counted through: int64, in any order."""
    numbers = [
        table[2].astype(np.int64) + start for table, start in zip(tables, starts[:-1], strict=True)
    ]
    high, low, _ = np.concatenate(tables, axis=1)
    order = np.lexsort((low, high))  # the partitions' order is kept among equal ones
    found: NDArray[np.int64] = np.concatenate(numbers)[order][_is_first(high[order], low[order])]
    return found


def first_in(out: AnyPath, partition: Partition) -> NDArray[np.bool_]:
    """Which documents of a partition are the first of their text: bool [D].

    Raises:
        InputError: it does not hold the text that was hashed.
    """
    stated = _receipt_of(out, partition.source)["partitions"]
    found = hashlib.sha256(partition.text.data).hexdigest()
    if partition.ordinal >= len(stated) or stated[partition.ordinal]["text_sha256"] != found:
        raise InputError(
            f"partition {partition.ordinal} of source {partition.source} does not hold the text "
            "it held when its duplicates were looked for",
            path=out,
            fix="Give the same input again, or start over with --force",
        )
    starts = np.load(_starts_path(out), allow_pickle=False)
    first = np.load(_first_path(out), mmap_mode="r", allow_pickle=False)
    start = int(starts[partition.source]) + partition.first_document
    return np.array(first[start : start + len(partition)])


def _receipt_of(out: AnyPath, source: int) -> Receipt:
    receipt = read_receipt(_receipt_path(out, source))
    if receipt is None:
        raise InputError(
            f"the hashes of source {source} are missing or damaged",
            path=out,
            fix="Run the same command with --resume",
        )
    return receipt
