"""How well n-grams are matched with their contexts, beside blind choice."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmprep.models.info_nce import info_nce


@dataclass(frozen=True, kw_only=True)
class NgramScores:
    """Choices among candidates, summed over contexts.

    Args:
        contexts: how many there were.
        loss: cross-entropies, nats.
        information: cross-entropies below those of blind choice, nats.
        correct: contexts whose own n-gram has the highest score.
        candidates: they had, their own n-gram included.
        chance: right ones of a blind choice, on average.
    """

    contexts: int = 0
    loss: float = 0.0
    information: float = 0.0
    correct: int = 0
    candidates: int = 0
    chance: float = 0.0

    def __add__(self, other: NgramScores) -> NgramScores:
        return NgramScores(
            contexts=self.contexts + other.contexts,
            loss=self.loss + other.loss,
            information=self.information + other.information,
            correct=self.correct + other.correct,
            candidates=self.candidates + other.candidates,
            chance=self.chance + other.chance,
        )

    def figures(self) -> dict[str, float]:
        """`contexts`; means over them: cross_entropy, information, accuracy, candidates, and
        `chance`, the accuracy of a blind choice."""
        n = self.contexts
        return {
            "contexts": n,
            "cross_entropy": self.loss / n,
            "information": self.information / n,
            "accuracy": self.correct / n,
            "candidates": self.candidates / n,
            "chance": self.chance / n,
        }


def matched(scores_PP: Tensor, answers_P: Tensor) -> NgramScores:
    """The choices in a batch.

    Args:
        scores_PP: float32, minus infinity for what is no candidate.
        answers_P: int64, which candidate is the true one.
    """
    losses_P, information_P = info_nce(scores_PP, answers_P)
    candidates_P = (scores_PP > -torch.inf).sum(-1)
    return NgramScores(
        contexts=len(answers_P),
        loss=float(losses_P.double().sum()),
        information=float(information_P.double().sum()),
        correct=int((scores_PP.argmax(-1) == answers_P).sum()),
        candidates=int(candidates_P.sum()),
        chance=float((1 / candidates_P.double()).sum()),
    )
