"""Rows as a step takes them: padded inputs, and what is to be predicted where.

    encoder            [CLS] a [MASK] c [SEP]     scored 2          labels b
    decoder            a b c </s>                 scored 0 1 2      labels b c </s>
    encoder-decoder    a <X> c </s>               the decoder sees  <pad> <X> b
                                                  scored 0 1 2      labels <X> b </s>

Inputs of a model are padded to the length of the dataset, so that all steps have one shape; what a
decoder behind an encoder sees, to the longest targets of the batch. Padding is never scored.

B rows, L positions, K positions of a decoder behind an encoder, M scored positions and S targets of
the boundary objective, both of the whole batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmprep.batches import Columns, plain, ragged
from lmprep.models.inputs import Boundaries, Change, Inputs
from lmprep.objectives.clm import next_tokens
from lmprep.ragged import Ragged
from lmprep.shards.dense import (
    PAIR_LABELS,
    flat_labels,
    flat_positions,
    padding_id,
    token_types,
)
from lmprep.training.tasks import Task

CORRUPTED, COPIED, MARK = range(3)
"""A scored token is one that the input does not show, one that it does, or a sentinel, a start or
an end."""
KINDS = ("corrupted", "copied", "marks")

Labels = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """One step's inputs and answers.

    Args:
        inputs: what the model sees, and which logits are wanted.
        labels_M: int64, ids to predict at `inputs.scored_M`.
        kinds_M: int8, `CORRUPTED`, `COPIED` or `MARK`.
        pairs_B: int64, next-sentence or sentence-order labels; None without pairs.
        boundary_labels_S: int64, ids to predict from `inputs.boundaries`; None without.
        tokens: of the rows before corruption, as the dataset counts them.
    """

    inputs: Inputs
    labels_M: Tensor
    kinds_M: Tensor
    pairs_B: Tensor | None = None
    boundary_labels_S: Tensor | None = None
    tokens: int

    def pinned(self) -> Batch:
        """In page-locked memory, from which a copy to a CUDA device need not be waited for."""
        return self._each(Tensor.pin_memory)

    def to(self, device: torch.device) -> Batch:
        """On the device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def _each(self, change: Change) -> Batch:
        own = {k: change(v) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, inputs=self.inputs.each(change), **own)  # type: ignore[arg-type]


def make_batch(columns: Columns, task: Task) -> Batch:
    """Collate rows."""
    make = {
        "encoder": _masked_batch,
        "decoder": _next_token_batch,
        "encoder-decoder": _denoising_batch,
    }
    return make[task.model_kind](columns, task)


def _masked_batch(columns: Columns, task: Task) -> Batch:
    lengths = ragged(columns, "input_ids").lengths
    labels = flat_labels(columns)
    pairs = next((plain(columns, name) for name in PAIR_LABELS if name in columns), None)
    boundaries = boundary_labels = None
    if task.boundaries:
        boundaries, boundary_labels = _boundaries(columns, task)
    segments = "first_segment_length" in columns and task.vocabulary.family == "bert"
    return Batch(
        inputs=Inputs(
            ids_BL=_padded(columns, task),
            types_BL=_tensor(token_types(columns, task.length, np.int32)) if segments else None,
            lengths_B=_lengths(lengths, task.length),
            documents_BL=_documents(columns, task.length),
            scored_M=_tensor(flat_positions(columns, task.length)),
            boundaries=boundaries,
            pairs=pairs is not None,
        ),
        labels_M=_tensor(labels),
        kinds_M=torch.full((len(labels),), CORRUPTED, dtype=torch.int8),
        pairs_B=None if pairs is None else _tensor(pairs.astype(np.int64)),
        boundary_labels_S=boundary_labels,
        tokens=int(lengths.sum()),
    )


def _boundaries(columns: Columns, task: Task) -> tuple[Boundaries, Tensor]:
    """Every masked token of a span between two tokens of its row, and what it was.

    The merged spans of a row are its masked positions, in the same order. Of a span longer than
    `task.longest_span` the first tokens are taken, as in SpanBERT's code.
    """
    spans = ragged(columns, "span_lengths")
    starts, lengths = _values(ragged(columns, "span_starts")), _values(spans)
    rows = np.repeat(np.arange(len(spans)), spans.lengths)
    row_lengths = ragged(columns, "input_ids").lengths[rows]
    inside = (starts > 0) & (starts + lengths < row_lengths)
    place = _places(lengths)
    kept = np.repeat(inside, lengths) & (place < task.longest_span)
    left = np.repeat(rows * task.length + starts - 1, lengths)[kept]
    right = np.repeat(rows * task.length + starts + lengths, lengths)[kept]
    boundaries = Boundaries(
        left_S=_tensor(left), right_S=_tensor(right), offset_S=_tensor(place[kept])
    )
    return boundaries, _tensor(flat_labels(columns)[kept])


def _next_token_batch(columns: Columns, task: Task) -> Batch:
    ids = ragged(columns, "input_ids")
    positions, targets = next_tokens(ids)
    labels = _values(targets)
    rows = np.repeat(np.arange(len(positions)), positions.lengths)
    return Batch(
        inputs=Inputs(
            ids_BL=_padded(columns, task),
            lengths_B=_lengths(ids.lengths, task.length),
            documents_BL=_documents(columns, task.length),
            scored_M=_tensor(rows * task.length + _values(positions)),
        ),
        labels_M=_tensor(labels),
        kinds_M=_tensor(_kinds(labels, task)),
        tokens=int(ids.lengths.sum()),
    )


def _denoising_batch(columns: Columns, task: Task) -> Batch:
    inputs, targets = ragged(columns, "input_ids"), ragged(columns, "labels")
    labels, width = _values(targets), int(targets.lengths.max())
    rows = np.repeat(np.arange(len(targets)), targets.lengths)
    kinds = _kinds(labels, task, _copied(columns, task))
    text = np.count_nonzero(kinds != MARK)
    if not task.whole_text:
        text += np.count_nonzero(task.vocabulary.maskable[_values(inputs)])
    return Batch(
        inputs=Inputs(
            ids_BL=_padded(columns, task),
            lengths_B=_lengths(inputs.lengths, task.length),
            decoder_ids_BK=_tensor(_shifted_right(targets, width, task)),
            scored_M=_tensor(rows * width + _places(targets.lengths)),
        ),
        labels_M=_tensor(labels),
        kinds_M=_tensor(kinds),
        tokens=int(text),
    )


def _shifted_right(targets: Ragged, width: int, task: Task) -> NDArray[np.int32]:
    """The start token and then the targets but for the last of the longest: int32 [B, K]."""
    padded = targets.padded(width, padding_id(task.vocabulary), np.int32)
    shifted = np.empty_like(padded)
    shifted[:, 0] = task.start_token
    shifted[:, 1:] = padded[:, :-1]
    return shifted


def _copied(columns: Columns, task: Task) -> NDArray[np.bool_] | None:
    """Which targets the input shows at the same place, bool [M]; None where it shows none."""
    targets = ragged(columns, "labels")
    if task.in_place:
        same: NDArray[np.bool_] = _values(targets) == _values(ragged(columns, "input_ids"))
        return same
    if task.objective != "bart":
        return None
    noise = ragged(columns, "noise_positions")
    copied = np.ones(targets.lengths.sum(), np.bool_)
    starts = targets.offsets[:-1] - targets.offsets[0]
    copied[np.repeat(starts, noise.lengths) + _values(noise)] = False
    return copied


def _kinds(labels: Labels, task: Task, copied: NDArray[np.bool_] | None = None) -> NDArray[np.int8]:
    """The kind of each label, int8 [M]: text never holds a special token but the unknown one."""
    kinds = np.full(len(labels), CORRUPTED, np.int8)
    if copied is not None:
        kinds[copied] = COPIED
    kinds[~task.vocabulary.maskable[labels]] = MARK
    return kinds


def _documents(columns: Columns, length: int) -> Tensor | None:
    """Which document of its row each position belongs to; None if no row has a second one."""
    if "document_starts" not in columns:
        return None
    starts = ragged(columns, "document_starts")
    if not starts.lengths.any():
        return None
    documents = np.zeros((len(starts), length), np.int32)
    rows = np.repeat(np.arange(len(starts)), starts.lengths)
    documents[rows, _values(starts)] = 1
    return _tensor(documents.cumsum(1, dtype=np.int32))


def _padded(columns: Columns, task: Task) -> Tensor:
    return _tensor(
        ragged(columns, "input_ids").padded(task.length, padding_id(task.vocabulary), np.int32)
    )


def _lengths(lengths: NDArray[np.int64], length: int) -> Tensor | None:
    return None if lengths.min() == length else _tensor(lengths)


def _places(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, ... within each of the runs with these lengths, one after another."""
    ends = np.cumsum(lengths)
    places: NDArray[np.int64] = np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
    return places


def _values(column: Ragged) -> NDArray[np.int64]:
    """The values of the rows and nothing beside them."""
    return column.values[column.offsets[0] : column.offsets[-1]].astype(np.int64)


def _tensor(array: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(array)
