"""The second stage of objectives that must have seen the whole corpus first.

Skip-gram thins its rows out by how often each id occurs in all training documents: a task is a
partition, whose rows were left in partials. Co-occurrence counts are added up over all partitions:
a task is a range of words, and in the names of its shards the range stands for the partition.

Tasks are a function of the plan and of the first stage's receipts. As in the first stage, whoever
runs one, however often, writes the same bytes under the same names, then a receipt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lmprep import partials
from lmprep.build import Entry, Job, write_copy
from lmprep.errors import LmprepError
from lmprep.examples import PARTS, Place
from lmprep.objective_settings import CooccurrenceSettings
from lmprep.objectives import OBJECTIVES
from lmprep.objectives.cooccurrence import columns_of
from lmprep.objectives.pair_counts import Counts
from lmprep.objectives.pair_sums import PairSums
from lmprep.remote import AnyPath
from lmprep.shards.manifest import PARTIALS, RECEIPTS, WORD_COUNTS, write_receipt
from lmprep.shards.schema import to_arrow
from lmprep.shards.writer import shard_name, write_batches

Receipt = dict[str, Any]

_CELLS = 1 << 25
"""Counts that a task adds up at once, 8 bytes each; one word at least."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """The shards of one place.

    Args:
        place: where they belong; of co-occurrence the range's number stands for the partition.
        first_stage: a hash of what the first stage left; the receipt carries it.
        about: skip-gram: what the manifest says about the partition's text.
        partials: the files to read, as their entries.
        words: co-occurrence: the first word of the range, and the one after its last.
    """

    place: Place
    first_stage: str
    about: dict[str, Any]
    partials: Sequence[Entry]
    words: tuple[int, int] = (0, 0)


def receipt_path(out: AnyPath, place: Place) -> AnyPath:
    """Where the receipt of a task lies."""
    return out / RECEIPTS / f"second-{place.part}-{place.source:05d}-{place.partition:05d}.json"


def make_tasks(job: Job, receipts: Sequence[Receipt], first_stage: str) -> list[Task]:
    """All tasks, in the order of their shards.

    Args:
        receipts: of the first stage, in order.
        first_stage: a hash of them.
    """
    if OBJECTIVES[job.settings.objective].second_stage == "sums":
        return [task for part in PARTS for task in _ranges(job, receipts, part, first_stage)]
    return [
        Task(
            place=Place(part, receipt["source"], receipt["partition"]),
            first_stage=first_stage,
            about=receipt[part]["about"],
            partials=receipt[part]["partials"],
        )
        for part in PARTS
        for receipt in receipts
        if receipt[part]["partials"]
    ]


def _ranges(job: Job, receipts: Sequence[Receipt], part: str, first_stage: str) -> Iterator[Task]:
    """Ranges of words whose counts fit in memory: a function of the size of the vocabulary."""
    entries = [entry for receipt in receipts for entry in receipt[part]["partials"]]
    size = job.tokenizer.vocabulary.size
    words = max(1, _CELLS // size)
    for number, first in enumerate(range(0, size if entries else 0, words)):
        yield Task(
            place=Place(part, 0, number),
            first_stage=first_stage,
            about={},
            partials=entries,
            words=(first, min(size, first + words)),
        )


def prepare(job: Job, receipts: Sequence[Receipt], parts: Sequence[str]) -> None:
    """What all tasks need: the counts of all training documents, written to each folder."""
    if OBJECTIVES[job.settings.objective].second_stage == "sums":
        return
    entries = [entry for receipt in receipts for entry in receipt["train"]["partials"]]
    counts = partials.sum_counts(
        [job.out / PARTIALS / e["file"] for e in entries if e["file"].endswith(".npy")],
        job.tokenizer.vocabulary.size,
    )
    for part in parts:
        partials.write_counts(job.folder(part) / WORD_COUNTS, counts)


def papers(job: Job, receipts: Sequence[Receipt], part: str) -> dict[str, Any]:
    """What the manifest of a part says beside what its shards say.

    Args:
        receipts: of the first stage, in order.
    """
    second_stage = OBJECTIVES[job.settings.objective].second_stage
    if second_stage == "counts":
        content = (job.folder(part) / WORD_COUNTS).read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        return {"word_counts": {"file": WORD_COUNTS, "bytes": len(content), "sha256": sha256}}
    return _texts(receipts, part) if second_stage == "sums" else {}


def _texts(receipts: Sequence[Receipt], part: str) -> dict[str, Any]:
    """The texts of all partitions: no shard has one of its own."""
    texts = [
        {"source": r["source"], "partition": r["partition"], **r[part]["about"]}
        for r in receipts
        if r[part]["partials"]
    ]
    totals = {name: sum(text[name] for text in texts) for name in ("text_bytes", "words")}
    totals["tokens"] = sum(r[part]["input_tokens"] for r in receipts)
    return {"texts": texts, "totals": totals}


def run_task(job: Job, task: Task) -> Receipt:
    """Write the shards of a task, then its receipt; return the receipt."""
    second_stage = OBJECTIVES[job.settings.objective].second_stage
    shards, drops = (_thin if second_stage == "counts" else _sum)(job, task)
    receipt = {
        "fingerprint": job.fingerprint,
        "first_stage": task.first_stage,
        "part": task.place.part,
        "source": task.place.source,
        "partition": task.place.partition,
        "shards": shards,
        "drops": drops,
        "text_bytes": 0,  # all text was read in the first stage
        "warnings": [],
    }
    write_receipt(receipt_path(job.out, task.place), receipt)
    return receipt


def _thin(job: Job, task: Task) -> tuple[list[Entry], dict[str, int]]:
    """Skip-gram's shards of a partition; tokens dropped are those of the first copy."""
    rows = next(entry for entry in task.partials if entry["file"].endswith(".arrow"))
    sequences = partials.read_rows(job.folder(task.place.part), rows, job.tokenizer.vocabulary)
    counts = partials.read_counts(job.out / WORD_COUNTS)
    shards = [
        write_copy(job, sequences, task.place, copy, counts) | task.about
        for copy in range(job.settings.copies)
    ]
    dropped = len(sequences.ids) - shards[0]["tokens"]
    return shards, {"subsampled_tokens": dropped} if dropped else {}


def _sum(job: Job, task: Task) -> tuple[list[Entry], dict[str, int]]:
    """The shard of a range of words, if any of them has a neighbour."""
    folder = job.folder(task.place.part)
    sums = PairSums(*task.words, job.tokenizer.vocabulary.size)
    try:
        for entry in task.partials:
            for counts in partials.read_pairs(folder / PARTIALS / entry["file"]):
                sums.add(counts)
    except ValueError as error:
        raise LmprepError(str(error), fix="Count parts of the corpus by themselves") from None
    if not len(sums):
        return [], {}
    name = shard_name(task.place.source, task.place.partition, 0)
    batches = (_batch(job, counts) for counts in sums.blocks())
    entry = write_batches(folder, name, batches)
    return [entry | {"scored_tokens": entry["rows"]}], {}


def _batch(job: Job, counts: Counts) -> pa.RecordBatch:
    settings = job.settings.objective_settings
    assert isinstance(settings, CooccurrenceSettings)
    columns = columns_of(counts, settings.window)
    length = job.settings.sequences.length
    return to_arrow(columns, vocabulary_size=job.tokenizer.vocabulary.size, length=length)
