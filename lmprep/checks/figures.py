"""What is counted over the rows of a dataset: lengths, spans, treatments, labels, sentinels.

Shards are read one record batch at a time; what is kept are counts by value, so memory does not
grow with the dataset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, plain, ragged
from lmprep.checks.histogram import Counts
from lmprep.objective_settings import InfoWordSettings
from lmprep.objectives import stored_objective
from lmprep.objectives.counting import wanted_predictions
from lmprep.ragged import Ragged, offsets_of
from lmprep.shards.manifest import parse_shard_name
from lmprep.shards.reader import Shard, vocabulary_from
from lmprep.vocabulary import Vocabulary

EXPONENT = 64

_PAIR_LABELS = ("next_sentence_label", "sentence_order_label")


@dataclass(kw_only=True)
class Figures:
    """What was counted over all rows.

    Args:
        lengths: tokens in the inputs of a row.
        targets: tokens in the labels of a row, where those are a sequence of their own.
        spans: tokens in a span: a run of masked tokens, a stored span, or what a sentinel stands
            for.
        sentinels: sentinels in the inputs of a row.
        labels: rows by the value of each pair label.
        denoisers: rows by denoiser.
        treatments: masked tokens by what became of them: mask, random, kept.
        wanted: tokens that the mask rate asks for.
        noise: tokens of the text that inputs beside labels do not hold, or hold as others.
        weights: co-occurrence counts by their binary exponent: value e counts weights from
            2 ** (e - 1 - `EXPONENT`) to below twice that.
        weight: the sum of these.
        documents: documents that rows of the first copy began in or borrowed from.
    """

    lengths: Counts = field(default_factory=Counts)
    targets: Counts = field(default_factory=Counts)
    spans: Counts = field(default_factory=Counts)
    sentinels: Counts = field(default_factory=Counts)
    labels: dict[str, Counts] = field(default_factory=dict)
    denoisers: Counts = field(default_factory=Counts)
    treatments: Counts = field(default_factory=Counts)
    wanted: int = 0
    noise: int = 0
    weights: Counts = field(default_factory=Counts)
    weight: float = 0.0
    documents: int = 0


def count(folder: Path, manifest: dict[str, Any]) -> Figures:
    """Go through all record batches once."""
    figures = Figures()
    vocabulary = vocabulary_from(manifest["vocabulary"])
    _, settings = stored_objective(manifest)
    for entry in manifest["shards"]:
        documents = []
        for columns in _batches(folder, entry):
            _count_rows(figures, columns, settings, vocabulary)
            documents += [
                np.unique(plain(columns, name))
                for name in ("document", "second_document")
                if name in columns
            ]
        # A document lies in one partition, so that each counts once in the first copy.
        if parse_shard_name(entry["file"])[2] == 0 and documents:
            figures.documents += len(np.unique(np.concatenate(documents)))
    return figures


def _batches(folder: Path, entry: dict[str, Any]) -> Iterator[Columns]:
    shard = Shard(folder / entry["file"], entry)
    for number in range(len(entry["batch_offsets"])):
        yield {name: _from_zero(column) for name, column in shard.batch(number).items()}


def _from_zero(column: Ragged | NDArray[Any]) -> Ragged | NDArray[Any]:
    """A column whose values begin with those of its first row."""
    if not isinstance(column, Ragged):
        return column
    start, stop = column.offsets[0], column.offsets[-1]
    return Ragged(column.values[start:stop], column.offsets - start)


def _count_rows(figures: Figures, columns: Columns, settings: Any, vocabulary: Vocabulary) -> None:
    if "weight" in columns:
        _count_weights(figures, plain(columns, "weight"))
        return
    figures.lengths.add(ragged(columns, "input_ids").lengths)
    if "masked_positions" in columns:
        _count_masked(figures, columns, settings, vocabulary)
    if "labels" in columns:
        figures.targets.add(ragged(columns, "labels").lengths)
        _count_sentinels(figures, columns, vocabulary)
        figures.noise += _noise(columns, getattr(settings, "noise", ""), vocabulary)
    for name in _PAIR_LABELS:
        if name in columns:
            figures.labels.setdefault(name, Counts()).add(plain(columns, name))
    if "denoiser" in columns:
        figures.denoisers.add(plain(columns, "denoiser"))


def _count_masked(
    figures: Figures, columns: Columns, settings: Any, vocabulary: Vocabulary
) -> None:
    ids, places = ragged(columns, "input_ids"), ragged(columns, "masked_positions")
    labels = ragged(columns, "masked_labels").values
    chosen = np.repeat(ids.offsets[:-1], places.lengths) + places.values
    found = ids.values[chosen]
    figures.treatments.add(np.where(found == vocabulary.mask, 0, np.where(found == labels, 2, 1)))
    maskable = vocabulary.maskable[ids.values]
    maskable[chosen] = True
    hidden = np.zeros(len(ids), np.int64)
    if isinstance(settings, InfoWordSettings):  # its n-gram comes on top of the rate
        hidden += _sums(ragged(columns, "span_lengths"))
    wanted = wanted_predictions(ids.offsets, settings.mask_rate)
    figures.wanted += int((hidden + np.minimum(_set(maskable, ids) - hidden, wanted)).sum())
    figures.spans.add(
        ragged(columns, "span_lengths").values
        if "span_lengths" in columns
        else _run_lengths(chosen)
    )


def _set(flags: NDArray[np.bool_], rows: Ragged) -> NDArray[np.int64]:
    """How many flags are set in each row, int64 [N]."""
    return _sums(Ragged(flags, rows.offsets))


def _sums(rows: Ragged) -> NDArray[np.int64]:
    """The sum of each row, int64 [N]."""
    running = offsets_of(rows.values)
    return running[rows.offsets[1:]] - running[rows.offsets[:-1]]


def _run_lengths(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Lengths of the runs of neighbouring places, rising; special tokens part those of two rows."""
    if not len(places):
        return places
    begins = np.flatnonzero(np.diff(places) != 1) + 1
    bounds = np.concatenate([[0], begins, [len(places)]])
    lengths: NDArray[np.int64] = np.diff(bounds)
    return lengths


def _count_sentinels(figures: Figures, columns: Columns, vocabulary: Vocabulary) -> None:
    """Sentinels of the inputs, and how many tokens each stands for in the labels."""
    if not vocabulary.sentinels:
        return
    is_sentinel = np.zeros(vocabulary.size, np.bool_)
    is_sentinel[list(vocabulary.sentinels)] = True
    ids, labels = ragged(columns, "input_ids"), ragged(columns, "labels")
    figures.sentinels.add(_set(is_sentinel[ids.values], ids))
    bounds = is_sentinel[labels.values]
    bounds[labels.offsets[1:] - 1] = True  # the end token
    places = np.flatnonzero(bounds)
    opens = is_sentinel[labels.values[places[:-1]]]
    runs = (np.diff(places) - 1)[opens]
    figures.spans.add(runs[runs > 0])


def _noise(columns: Columns, noise: str, vocabulary: Vocabulary) -> int:
    """Tokens that only the labels tell."""
    if "noise_positions" in columns:
        return len(ragged(columns, "noise_positions").values)
    ids, labels = ragged(columns, "input_ids"), ragged(columns, "labels")
    if noise in ("bert-style", "mass"):
        return int((ids.values != labels.values).sum())
    return 0 if noise == "deshuffle" else int(vocabulary.maskable[labels.values].sum())


def _count_weights(figures: Figures, weights: NDArray[np.float32]) -> None:
    figures.weights.add(np.frexp(weights)[1] + EXPONENT)
    figures.weight += float(weights.sum(dtype=np.float64))
