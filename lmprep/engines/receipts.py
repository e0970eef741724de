"""What is done of a build: its receipts, and what they add up to.

A receipt is written after the files it lists. Those of the second stage carry a hash of the first
stage's receipts: when a partition had to be built again and came out differently, they do not
count.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmprep.build import Job
from lmprep.corpus.plan import Source
from lmprep.errors import InputError
from lmprep.examples import PARTS, Place
from lmprep.files import json_sha256
from lmprep.shards.manifest import PARTIALS, RECEIPTS

Receipt = dict[str, Any]


def first_stage(job: Job) -> dict[tuple[int, int], Receipt]:
    """The receipts of this plan's partitions, by source and partition, in order."""
    found = {(r["source"], r["partition"]): r for r in _receipts(job, "[0-9]*.json")}
    return dict(sorted(found.items()))


def second_stage(job: Job, first_stage: str) -> dict[Place, Receipt]:
    """The receipts of this plan's second stage, by place.

    Args:
        first_stage: `digest` of the receipts of the first stage.
    """
    places = {Place(r["part"], r["source"], r["partition"]): r for r in _receipts(job, "second-*")}
    return {place: r for place, r in places.items() if r["first_stage"] == first_stage}


def _receipts(job: Job, pattern: str) -> list[Receipt]:
    receipts = []
    for path in (job.out / RECEIPTS).glob(pattern):
        try:
            receipt = json.loads(path.read_bytes())
        except ValueError:
            continue  # cut short by a crash of the machine: what it was for is done again
        if receipt.get("fingerprint") == job.fingerprint:
            receipts.append(receipt)
    return receipts


def digest(receipts: Sequence[Receipt]) -> str:
    """A hash of the first stage: SHA-256 of its receipts in order."""
    return json_sha256(list(receipts))


def is_intact(job: Job, receipt: Receipt) -> bool:
    """Whether all files that a receipt of the first stage lists are there in their full size."""
    return all(
        _are_there(job.folder(part), receipt[part]["shards"])
        and _are_there(job.folder(part) / PARTIALS, receipt[part]["partials"])
        for part in PARTS
    )


def is_second_intact(job: Job, receipt: Receipt) -> bool:
    """The same for a receipt of the second stage."""
    return _are_there(job.folder(receipt["part"]), receipt["shards"])


def _are_there(folder: Path, entries: Iterable[Mapping[str, Any]]) -> bool:
    files = [(folder / entry["file"], entry["bytes"]) for entry in entries]
    return all(path.is_file() and path.stat().st_size == size for path, size in files)


def account(first: Sequence[Receipt], second: Iterable[Receipt], part: str) -> dict[str, Any]:
    """What the receipts of both stages say of a part, added up."""
    parts = [receipt[part] for receipt in first]
    later = [receipt for receipt in second if receipt["part"] == part]
    drops: Counter[str] = Counter()
    for each in (*parts, *later):
        drops.update(each["drops"])
    return {
        "documents": sum(each["documents"] for each in parts),
        "input_tokens": sum(each["input_tokens"] for each in parts),
        "shards": [shard for each in (*parts, *later) for shard in each["shards"]],
        "drops": dict(sorted(drops.items())),
    }


def refuse_incomplete(
    sources: Sequence[Source], receipts: Mapping[tuple[int, int], Receipt]
) -> None:
    """Raise unless every source is covered from its first partition to its last, and no further."""
    left = set(receipts)
    for source in sources:
        ordinal = 0
        while not receipts.get((source.index, ordinal), {"last": True})["last"]:
            left.discard((source.index, ordinal))
            ordinal += 1
        if (source.index, ordinal) not in left:
            name = source.parts[0].file.name
            raise InputError(
                f"partition {ordinal} of source {source.index} ({name} ...) was not built",
                fix="Run the same command with --resume",
            )
        left.discard((source.index, ordinal))
    if left:
        raise InputError(
            f"the folder holds partition {min(left)} beyond the end of its source, as if the "
            "input had been longer before",
            fix="Give the same input again, or start over with --force",
        )
