"""How well a model does on held-out rows, as they are stored."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from lmprep.errors import DatasetError
from lmprep.models.bert import Bert
from lmprep.training.data import Batch, Rows, make_batch, prefetched
from lmprep.training.fit import sequence_length
from lmprep.training.steps import forward

# Tokens in a batch: large enough to keep two cores busy, small enough for 300 MB of logits.
BATCH_TOKENS = 8192


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Sums over the rows of a dataset.

    Args:
        rows: scored.
        labels: int64 [V], how often each id is the label of a masked token.
        mlm_loss: sum of the cross-entropy over masked tokens, nats.
        mlm_correct: masked tokens whose label has the highest logit.
        pairs: rows of each pair label, int64 [2]; zeros without pairs.
        pair_loss, pair_correct: as for masked tokens, over rows.
    """

    rows: int
    labels: NDArray[np.int64]
    mlm_loss: float
    mlm_correct: int
    pairs: NDArray[np.int64]
    pair_loss: float
    pair_correct: int

    def means(self) -> dict[str, float]:
        """What training reports of a validation."""
        masked, pairs = int(self.labels.sum()), int(self.pairs.sum())
        means = {
            "mlm_loss": self.mlm_loss / masked,
            "mlm_accuracy": self.mlm_correct / masked,
        }
        if pairs:
            means["pair_loss"] = self.pair_loss / pairs
            means["pair_accuracy"] = self.pair_correct / pairs
        return means


@torch.no_grad()
def score(
    model: Bert,
    dataset: Rows,
    precision: torch.dtype,
    *,
    before_batch: Callable[[], None] = lambda: None,
) -> Scores:
    """Score every row with its stored masks, nothing dropped; the rows in their order.

    Args:
        before_batch: called before each batch; what it raises ends the scoring.

    Raises:
        DatasetError: there are none.
    """
    if len(dataset) == 0:
        raise DatasetError("the dataset holds no rows to score", path=dataset.folder)
    device = model.pair_head.weight.device
    length = sequence_length(dataset.manifest)
    rows_a_batch = max(1, BATCH_TOKENS // length)

    def make(number: int) -> Batch:
        start = number * rows_a_batch
        rows = np.arange(start, min(start + rows_a_batch, len(dataset)))
        return make_batch(dataset.rows(rows), length, dataset.vocabulary)

    sums = torch.zeros(4, dtype=torch.float64, device=device)
    labels = np.zeros(dataset.vocabulary.size, np.int64)
    pairs = np.zeros(2, np.int64)
    with closing(prefetched(make, 0, -(-len(dataset) // rows_a_batch))) as batches:
        for batch in batches:
            before_batch()
            labels += np.bincount(batch.labels_M.numpy(), minlength=len(labels))
            if batch.pairs_B is not None:
                pairs += np.bincount(batch.pairs_B.numpy(), minlength=2)
            sums += _sums(model, batch.to(device), precision)
    mlm_loss, mlm_correct, pair_loss, pair_correct = sums.tolist()
    return Scores(
        rows=len(dataset),
        labels=labels,
        mlm_loss=mlm_loss,
        mlm_correct=int(mlm_correct),
        pairs=pairs,
        pair_loss=pair_loss,
        pair_correct=int(pair_correct),
    )


def _sums(model: Bert, batch: Batch, precision: torch.dtype) -> torch.Tensor:
    """Loss and correct predictions, of masked tokens and of pairs: [4]."""
    logits_MV, pairs_B2 = forward(model, batch, precision)
    sums = [
        F.cross_entropy(logits_MV, batch.labels_M, reduction="sum"),
        (logits_MV.argmax(-1) == batch.labels_M).sum(),
    ]
    if pairs_B2 is not None and batch.pairs_B is not None:
        sums += [
            F.cross_entropy(pairs_B2, batch.pairs_B, reduction="sum"),
            (pairs_B2.argmax(-1) == batch.pairs_B).sum(),
        ]
    padded = torch.zeros(4, dtype=torch.float64, device=logits_MV.device)
    padded[: len(sums)] = torch.stack([value.double() for value in sums])
    return padded
