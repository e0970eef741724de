"""How well replaced tokens are told from original ones, beside what the base rate alone gives.

The area under the ROC curve (AUC) is the probability that a replaced token gets a higher logit than
an original one, equal ones counting half. It is exact but for rounding logits to steps of 1/2048,
which takes no more memory however many tokens there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

# Logits from -16 to 16 in so many steps; beyond, every verdict is as sure.
_LIMIT, _STEPS = 16, 1 << 16


@dataclass(frozen=True, kw_only=True, eq=False)
class ReplacedScores:
    """Verdicts on tokens, summed.

    Args:
        logits: int64 [2, 65536], how many original and replaced tokens have a logit of each step.
        loss: binary cross-entropies, nats.
        correct: verdicts that are right, a logit above 0 meaning "replaced".
    """

    logits: NDArray[np.int64]
    loss: float
    correct: int

    def __add__(self, other: ReplacedScores) -> ReplacedScores:
        return ReplacedScores(
            logits=self.logits + other.logits,
            loss=self.loss + other.loss,
            correct=self.correct + other.correct,
        )

    @property
    def tokens(self) -> int:
        """Tokens judged."""
        return int(self.logits.sum())

    def figures(self) -> dict[str, float]:
        """`tokens`, cross_entropy, accuracy, auc; and what always giving the base rate achieves:
        `replaced_share`, base_cross_entropy, base_accuracy."""
        share = int(self.logits[1].sum()) / self.tokens
        return {
            "tokens": self.tokens,
            "cross_entropy": self.loss / self.tokens,
            "accuracy": self.correct / self.tokens,
            "auc": _area(*self.logits.astype(float)),
            "replaced_share": share,
            "base_cross_entropy": _entropy(share),
            "base_accuracy": max(share, 1 - share),
        }


def no_replaced_scores() -> ReplacedScores:
    """Of nothing."""
    return ReplacedScores(logits=np.zeros((2, _STEPS), np.int64), loss=0.0, correct=0)


def judged(logits_BL: Tensor, replaced_BL: Tensor, present_BL: Tensor) -> ReplacedScores:
    """The verdicts on the tokens of a batch.

    Args:
        logits_BL: float32, that a token was replaced.
        replaced_BL: bool, whether it was.
        present_BL: bool, where tokens stand.
    """
    logits_T, replaced_T = logits_BL[present_BL], replaced_BL[present_BL]
    losses_T = F.binary_cross_entropy_with_logits(logits_T, replaced_T.float(), reduction="none")
    steps_T = ((logits_T.double() + _LIMIT) * (_STEPS / (2 * _LIMIT))).floor()
    steps_T = steps_T.clamp(0, _STEPS - 1).long() + _STEPS * replaced_T
    counts = torch.bincount(steps_T, minlength=2 * _STEPS).cpu().numpy()
    return ReplacedScores(
        logits=counts.reshape(2, _STEPS),
        loss=float(losses_T.double().sum()),
        correct=int(((logits_T > 0) == replaced_T).sum()),
    )


def _area(original: NDArray[np.float64], replaced: NDArray[np.float64]) -> float:
    """The AUC; 0.5 when one of the two does not occur."""
    pairs = original.sum() * replaced.sum()
    if pairs == 0:
        return 0.5
    below = np.cumsum(original) - original
    return float((replaced * (below + original / 2)).sum() / pairs)


def _entropy(share: float) -> float:
    """Nats of a verdict that is one of two with this probability."""
    if share in (0, 1):
        return 0.0
    return -share * math.log(share) - (1 - share) * math.log(1 - share)
