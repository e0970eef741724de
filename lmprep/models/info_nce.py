"""InfoNCE: which of the candidates belongs to this context? (arXiv:1807.03748; InfoWord,
arXiv:1910.08350, section 2.)

With f the score of the true one among n candidates, itself included,

    information = f - logsumexp(scores of the candidates) + log n

is a lower bound of the mutual information in nats, and never above log n; what is minimised is
log n - information, a cross-entropy. With all words as candidates for a hidden one it is that of
masked language modelling, up to the constant log n.

P contexts, C candidates.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lmprep.models.inputs import IGNORED


def among_candidates(scores_PC: Tensor, excluded_PC: Tensor) -> Tensor:
    """The scores, minus infinity for what is no candidate: float32 [P, C]."""
    return scores_PC.float().masked_fill(excluded_PC, -torch.inf)


def info_nce(scores_PC: Tensor, answers_P: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy and information of each context, nats: float32 [P], 0 where ignored.

    Args:
        scores_PC: minus infinity for what is no candidate; each context has one at least.
        answers_P: int64, which candidate is the true one, or `IGNORED`.
    """
    losses_P = F.cross_entropy(scores_PC, answers_P, ignore_index=IGNORED, reduction="none")
    candidates_P = (scores_PC > -torch.inf).sum(-1)
    information_P = candidates_P.float().log() - losses_P
    return losses_P, information_P * (answers_P != IGNORED)
