"""What is done of a build: its receipts, and what they add up to.

A receipt is written after the files it lists. Those of the second stage carry a hash of the first
stage's receipts: when a partition had to be built again and came out differently, they do not
count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lmprep.build import Job
from lmprep.corpus.plan import Source
from lmprep.errors import InputError
from lmprep.examples import PARTS, Place
from lmprep.files import json_sha256, read_all, sizes_of
from lmprep.shards.manifest import PARTIALS, RECEIPTS, Receipt, parse_receipt


class NotBuilt(InputError):
    """A partition of the plan has no receipt."""


def first_stage(job: Job) -> dict[tuple[int, int], Receipt]:
    """The receipts of this plan's partitions, by source and partition, in order."""
    found = {(r["source"], r["partition"]): r for r in _receipts(job, "[0-9]*.json")}
    return dict(sorted(found.items()))


def intact_first_stage(job: Job) -> dict[tuple[int, int], Receipt]:
    """Those of them whose files are all there in full size."""
    files = Files(job)
    return {place: receipt for place, receipt in first_stage(job).items() if files.hold(receipt)}


def second_stage(job: Job, first_stage: str) -> dict[Place, Receipt]:
    """The receipts of this plan's second stage, by place.

    Args:
        first_stage: `digest` of the receipts of the first stage.
    """
    places = {Place(r["part"], r["source"], r["partition"]): r for r in _receipts(job, "second-*")}
    return {place: r for place, r in places.items() if r["first_stage"] == first_stage}


def _receipts(job: Job, pattern: str) -> list[Receipt]:
    receipts = []
    for content in read_all(job.out / RECEIPTS, pattern):
        receipt = parse_receipt(content)
        if receipt is not None and receipt.get("fingerprint") == job.fingerprint:
            receipts.append(receipt)
    return receipts


def digest(receipts: Sequence[Receipt]) -> str:
    """A hash of the first stage: SHA-256 of its receipts in order."""
    return json_sha256(list(receipts))


class Files:
    """What a dataset folder and its held-out part hold, as of now: looked at once."""

    def __init__(self, job: Job) -> None:
        self._shards = {part: sizes_of(job.folder(part)) for part in PARTS}
        self._partials = {part: sizes_of(job.folder(part) / PARTIALS) for part in PARTS}

    def hold(self, receipt: Receipt) -> bool:
        """Whether all files that a receipt of the first stage lists are there in full size."""
        return all(
            _are_there(self._shards[part], receipt[part]["shards"])
            and _are_there(self._partials[part], receipt[part]["partials"])
            for part in PARTS
        )

    def hold_second(self, receipt: Receipt) -> bool:
        """The same for a receipt of the second stage."""
        return _are_there(self._shards[receipt["part"]], receipt["shards"])


def _are_there(sizes: Mapping[str, int], entries: Iterable[Mapping[str, Any]]) -> bool:
    return all(sizes.get(entry["file"]) == entry["bytes"] for entry in entries)


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
    for source in sources:
        ordinal = 0
        while (receipt := receipts.get((source.index, ordinal))) and not receipt["last"]:
            ordinal += 1
        if receipt is None:
            name = source.parts[0].file.name
            raise NotBuilt(
                f"partition {ordinal} of source {source.index} ({name} ...) was not built",
                fix="Run the same command with --resume",
            )
    ends: dict[int, int] = {}
    for (index, ordinal), receipt in sorted(receipts.items()):
        if receipt["last"]:
            ends.setdefault(index, ordinal)
    left = [(index, ordinal) for index, ordinal in receipts if ordinal > ends.get(index, -1)]
    if left:
        raise InputError(
            f"the folder holds partition {min(left)} beyond the end of its source, as if the "
            "input had been longer before",
            fix="Give the same input again, or start over with --force",
        )
