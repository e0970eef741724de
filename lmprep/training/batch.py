"""Rows as a step takes them: ids in bins, and what is to be predicted where.

    encoder            [CLS] a [MASK] c [SEP]     scored 2          labels b
    decoder            a b c </s>                 scored 0 1 2      labels b c </s>
    encoder-decoder    a <X> c </s>               the decoder sees  <pad> <X> b
                                                  scored 0 1 2      labels <X> b </s>
    bi-lstm            [CLS] a b [SEP]            scored 0 1 and, read backwards, 2 3
                                                                    labels a b and a b

A bin (`lmprep.training.bins`) holds a row, or several one behind another, and then padding, which
is never scored. Several rows of a bin, and documents within a row, are runs that do not see one
another (`Documents`); positions count through a row. What a decoder behind an encoder sees is
padded to the longest targets, unless their length is given.

B bins, L positions in each, K positions of a decoder behind an encoder; N rows, M scored positions
and S targets of the boundary objective of the whole batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmprep.batches import Columns, plain, ragged
from lmprep.keyed_random import Keys
from lmprep.models.inputs import Boundaries, Change, Inputs, Labels
from lmprep.objectives.bilm import backward_targets, forward_targets
from lmprep.objectives.clm import next_tokens
from lmprep.ragged import Ragged
from lmprep.shards.dense import PAIR_LABELS, flat_labels
from lmprep.training.bins import Bins
from lmprep.training.generator_inputs import masked_for_generator
from lmprep.training.layout import (
    bin_lengths,
    count_up,
    kept_apart,
    laid,
    places,
    present,
    token_types,
    values,
)
from lmprep.training.ngram_inputs import hidden_ngrams
from lmprep.training.static_shapes import Counts, fill_up
from lmprep.training.tasks import Task

CORRUPTED, COPIED, MARK, BACKWARD = range(4)
"""A scored token is one that the input does not show, one that it does, a sentinel, a start or an
end; or one predicted from what follows it, by a model that reads both forwards and backwards."""
KINDS = ("corrupted", "copied", "marks", "backward")

Flat = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """One batch's inputs and answers.

    Args:
        inputs: what the model sees, and which logits are wanted.
        labels: the answers.
        kinds_M: int8, which of `KINDS` each label is; -1 for those that only fill
            up.
        tokens: of the rows before corruption, as the dataset counts them.
        row: the number of its first bin within its step.
    """

    inputs: Inputs
    labels: Labels
    kinds_M: Tensor
    tokens: int
    row: int = 0

    def pinned(self) -> Batch:
        """In page-locked memory, from which a copy to a CUDA device need not be waited for."""
        return self._each(Tensor.pin_memory)

    def to(self, device: torch.device) -> Batch:
        """On the device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def _each(self, change: Change) -> Batch:
        inputs, labels = self.inputs.each(change), self.labels.each(change)
        return replace(self, inputs=inputs, labels=labels, kinds_M=change(self.kinds_M))


def make_batch(
    columns: Columns,
    task: Task,
    bins: Bins,
    *,
    row: int = 0,
    counts: Counts | None = None,
    targets: int | None = None,
    keys: Keys | None = None,
) -> Batch:
    """Collate rows.

    Args:
        columns: N rows, from the first position of the bins to the last.
        bins: where they lie. A bin holds one row of an encoder-decoder at most.
        row: the number of the first bin within its step.
        counts: to what counts are filled up; None leaves them as they are.
        targets: K; None for the longest targets here.
        keys: uint64 [N], of the rows; only for what is masked here.

    Raises:
        ValueError: a row is longer than its bin, or overlaps the next.
    """
    constant = counts is not None and counts.runs > 0
    if task.replaces:
        assert keys is not None
        columns = masked_for_generator(columns, task.vocabulary, keys)
    if task.model_kind == "encoder":
        batch = _masked_batch(columns, task, bins, constant)
    elif task.model_kind == "bi-lstm":
        batch = _two_way_batch(columns, task, bins)
    elif task.model_kind == "decoder":
        batch = _next_token_batch(columns, task, bins, constant)
    else:
        batch = _denoising_batch(columns, task, bins, targets)
    batch = replace(batch, row=row)
    if counts is None:
        return batch
    inputs, labels, kinds_M = fill_up(batch.inputs, batch.labels, batch.kinds_M, counts)
    return replace(batch, inputs=inputs, labels=labels, kinds_M=kinds_M)


def _masked_batch(columns: Columns, task: Task, bins: Bins, constant: bool) -> Batch:
    lengths, flat = ragged(columns, "input_ids").lengths, bins.flat_N
    labels = flat_labels(columns)
    pairs = next((plain(columns, name) for name in PAIR_LABELS if name in columns), None)
    boundaries = boundary_labels = None
    if task.boundaries:
        boundaries, boundary_labels = _boundaries(columns, task, flat)
    ngrams = hidden_ngrams(columns, task.vocabulary, flat) if task.matches else None
    segments = "first_segment_length" in columns and task.vocabulary.family == "bert"
    return Batch(
        inputs=Inputs(
            ids_BL=laid(ragged(columns, "input_ids"), bins, task.vocabulary),
            types_BL=token_types(columns, bins) if segments else None,
            **kept_apart(columns, bins, constant=constant),
            scored_M=_tensor(places(ragged(columns, "masked_positions"), flat)),
            boundaries=boundaries,
            firsts_P=None if pairs is None else _tensor(flat),
            draws_M=_tensor(_float_values(columns)) if "draws" in columns else None,
            ngrams=None if ngrams is None else ngrams[0],
        ),
        labels=Labels(
            tokens_M=_tensor(labels),
            pairs_P=None if pairs is None else _tensor(pairs.astype(np.int64)),
            boundary_S=boundary_labels,
            present_BL=present(lengths, bins) if task.replaces or task.distils else None,
            ngrams_P=None if ngrams is None else ngrams[1],
        ),
        kinds_M=torch.full((len(labels),), CORRUPTED, dtype=torch.int8),
        tokens=int(lengths.sum()),
    )


def _float_values(columns: Columns) -> NDArray[np.float32]:
    draws: NDArray[np.float32] = ragged(columns, "draws").values
    return draws


def _boundaries(columns: Columns, task: Task, flat: Flat) -> tuple[Boundaries, Tensor]:
    """Every masked token of a span between two tokens of its row, and what it was.

    The merged spans of a row are its masked positions, in the same order. Of a span longer than
    `task.longest_span` the first tokens are taken, as in SpanBERT's code.
    """
    spans = ragged(columns, "span_lengths")
    rows = np.repeat(np.arange(len(spans)), spans.lengths)
    starts, lengths = values(ragged(columns, "span_starts")), values(spans)
    row_lengths = ragged(columns, "input_ids").lengths[rows]
    inside = (starts > 0) & (starts + lengths < row_lengths)
    place = count_up(lengths)
    kept = np.repeat(inside, lengths) & (place < task.longest_span)
    left = np.repeat(flat[rows] + starts - 1, lengths)[kept]
    right = np.repeat(flat[rows] + starts + lengths, lengths)[kept]
    boundaries = Boundaries(
        left_S=_tensor(left), right_S=_tensor(right), offset_S=_tensor(place[kept])
    )
    return boundaries, _tensor(flat_labels(columns)[kept])


def _next_token_batch(columns: Columns, task: Task, bins: Bins, constant: bool) -> Batch:
    ids = ragged(columns, "input_ids")
    positions, targets = next_tokens(ids)
    labels = values(targets)
    return Batch(
        inputs=Inputs(
            ids_BL=laid(ids, bins, task.vocabulary),
            **kept_apart(columns, bins, constant=constant),
            scored_M=_tensor(places(positions, bins.flat_N)),
        ),
        labels=Labels(tokens_M=_tensor(labels)),
        kinds_M=_tensor(_kinds(labels, task)),
        tokens=int(ids.lengths.sum()),
    )


def _two_way_batch(columns: Columns, task: Task, bins: Bins) -> Batch:
    """Both directions of the same rows: the states that read backwards come after all others."""
    ids = ragged(columns, "input_ids")
    forward, backward = forward_targets(ids), backward_targets(ids)
    there = (places(forward[0], bins.flat_N), places(backward[0], bins.flat_N))
    labels = (values(forward[1]), values(backward[1]))
    scored = np.concatenate((there[0], there[1] + bins.count * bins.length))
    return Batch(
        inputs=Inputs(
            ids_BL=laid(ids, bins, task.vocabulary),
            lengths_B=bin_lengths(ids.lengths, bins),
            scored_M=_tensor(scored),
        ),
        labels=Labels(tokens_M=_tensor(np.concatenate(labels))),
        kinds_M=_tensor(
            np.repeat(np.array([CORRUPTED, BACKWARD], np.int8), list(map(len, labels)))
        ),
        tokens=int(ids.lengths.sum()),
    )


def _denoising_batch(columns: Columns, task: Task, bins: Bins, width: int | None) -> Batch:
    inputs, targets = ragged(columns, "input_ids"), ragged(columns, "labels")
    labels = values(targets)
    width = width or int(targets.lengths.max(initial=1))
    kinds = _kinds(labels, task, _copied(columns, task))
    text = np.count_nonzero(kinds != MARK)
    if not task.whole_text:
        text += np.count_nonzero(task.vocabulary.maskable[values(inputs)])
    return Batch(
        inputs=Inputs(
            ids_BL=laid(inputs, bins, task.vocabulary),
            lengths_B=bin_lengths(inputs.lengths, bins),
            decoder_ids_BK=_shifted_right(targets, width, bins, task),
            scored_M=_tensor(
                np.repeat(bins.bin_N * width, targets.lengths) + count_up(targets.lengths)
            ),
        ),
        labels=Labels(tokens_M=_tensor(labels)),
        kinds_M=_tensor(kinds),
        tokens=int(text),
    )


def _shifted_right(targets: Ragged, width: int, bins: Bins, task: Task) -> Tensor:
    """The start token and then the targets but for the last of the longest: int32 [B, K]."""
    places = replace(bins, length=width)
    padded_BK = laid(targets, places, task.vocabulary)
    start_B1 = padded_BK.new_full((bins.count, 1), task.start_token)
    return torch.cat((start_B1, padded_BK[:, :-1]), 1)


def _copied(columns: Columns, task: Task) -> NDArray[np.bool_] | None:
    """Which targets the input shows at the same place, bool [M]; None where it shows none."""
    targets = ragged(columns, "labels")
    if task.in_place:
        same: NDArray[np.bool_] = values(targets) == values(ragged(columns, "input_ids"))
        return same
    if task.objective != "bart":
        return None
    noise = ragged(columns, "noise_positions")
    copied = np.ones(targets.lengths.sum(), np.bool_)
    starts = targets.offsets[:-1] - targets.offsets[0]
    copied[np.repeat(starts, noise.lengths) + values(noise)] = False
    return copied


def _kinds(labels: Flat, task: Task, copied: NDArray[np.bool_] | None = None) -> NDArray[np.int8]:
    """The kind of each label, int8 [M]: text never holds a special token but the unknown one."""
    kinds = np.full(len(labels), CORRUPTED, np.int8)
    if copied is not None:
        kinds[copied] = COPIED
    kinds[~task.vocabulary.maskable[labels]] = MARK
    return kinds


def _tensor(array: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(array)
