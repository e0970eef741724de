"""What the first of two stages leaves of a partition for the second, in OUT/partials.

    00000-00003-rows.arrow     the sequences, before corruption
    00000-00003-counts.npy     how often each id occurs in them, int64 [V]
    00000-00003-pairs.arrow    pairs of ids and their counts in units, sorted

The numbers are source and partition. Nothing of this is left in a complete folder.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lmprep.batches import Sequences
from lmprep.build_settings import BuildSettings
from lmprep.examples import Place
from lmprep.files import atomic_file, local_file, make_folder
from lmprep.objective_settings import CooccurrenceSettings
from lmprep.objectives import OBJECTIVES
from lmprep.objectives.pair_counts import Counts, count_pairs
from lmprep.objectives.whole_rows import restore_whole
from lmprep.ragged import Ragged
from lmprep.remote import AnyPath
from lmprep.shards.manifest import PARTIALS
from lmprep.shards.reader import Shard
from lmprep.shards.schema import flat, flat_array
from lmprep.shards.writer import write_batches, write_shard
from lmprep.vocabulary import Vocabulary

Entry = dict[str, Any]


def save(
    folder: AnyPath,
    place: Place,
    sequences: Sequences,
    settings: BuildSettings,
    vocabulary: Vocabulary,
) -> list[Entry]:
    """Write what the second stage needs of these sequences.

    Args:
        folder: of the dataset.
        place: of the sequences.

    Returns:
        An entry for each file: its name in `folder` / partials, its bytes and, for Arrow, what
        `Shard` needs to read it.
    """
    here = folder / PARTIALS
    make_folder(here)
    name = f"{place.source:05d}-{place.partition:05d}"
    if OBJECTIVES[settings.objective].second_stage == "counts":
        counts = np.bincount(sequences.ids, minlength=vocabulary.size)
        return [
            _save_rows(here, f"{name}-rows.arrow", sequences, settings, vocabulary),
            write_counts(here / f"{name}-counts.npy", counts),
        ]
    return [_save_pairs(here, f"{name}-pairs.arrow", sequences, settings, vocabulary)]


def _save_rows(
    folder: AnyPath,
    name: str,
    sequences: Sequences,
    settings: BuildSettings,
    vocabulary: Vocabulary,
) -> Entry:
    columns = {"input_ids": Ragged(sequences.ids, sequences.offsets), **sequences.provenance()}
    length = settings.sequences.length
    return write_shard(folder, name, columns, vocabulary_size=vocabulary.size, length=length)


def _save_pairs(
    folder: AnyPath,
    name: str,
    sequences: Sequences,
    settings: BuildSettings,
    vocabulary: Vocabulary,
) -> Entry:
    """Count the pairs of the sequences, and write them block by block as they are found."""
    assert isinstance(settings.objective_settings, CooccurrenceSettings)
    blocks = count_pairs(sequences, settings.objective_settings.window, vocabulary.size)
    return write_batches(folder, name, map(_batch, blocks))


def _batch(counts: Counts) -> pa.RecordBatch:
    columns = [flat_array(column) for column in counts]
    return pa.RecordBatch.from_arrays(columns, ["word", "context", "units"])


def read_rows(folder: AnyPath, entry: Entry, vocabulary: Vocabulary) -> Sequences:
    """The sequences that a file of rows holds."""
    with local_file(folder / PARTIALS / entry["file"]) as file:
        columns = Shard(file, entry).rows(np.arange(entry["rows"]))
    return restore_whole(columns, None, vocabulary)


def write_counts(path: AnyPath, counts: NDArray[np.int64]) -> Entry:
    """Write counts of ids, int64 [V]; return the file's entry."""
    with atomic_file(path) as file:
        np.save(file, counts, allow_pickle=False)
        size = file.tell()
    return {"file": path.name, "bytes": size}


def read_counts(path: AnyPath) -> NDArray[np.int64]:
    """Counts of ids that `write_counts` wrote, int64 [V]."""
    counts: NDArray[np.int64] = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    return counts


def sum_counts(paths: Iterable[AnyPath], vocabulary_size: int) -> NDArray[np.int64]:
    """The counts of all these files added up, int64 [V]."""
    total = np.zeros(vocabulary_size, np.int64)
    for path in paths:
        total += read_counts(path)
    return total


def read_pairs(path: AnyPath) -> Iterator[Counts]:
    """The counts that a file of pairs holds, block by block, memory-mapped."""
    with local_file(path) as local, pa.memory_map(str(local)) as file:
        for batch in pa.ipc.open_stream(file):
            words, contexts, units = map(flat, batch.columns)
            yield words, contexts, units
