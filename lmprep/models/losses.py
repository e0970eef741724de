"""The losses of a batch, as one module: what is compiled, and spread over devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmprep.models.dropout import DropoutKey
from lmprep.models.electra import put
from lmprep.models.encoder import EncoderModel
from lmprep.models.info_nce import info_nce
from lmprep.models.inputs import IGNORED, Inputs, Labels
from lmprep.models.language_model import LanguageModel, Targets
from lmprep.models.soft_cross_entropy import soft_cross_entropy

LOSSES = (
    "token_loss", "pair_loss", "boundary_loss", "replaced_loss", "teacher_loss", "cosine_loss",
    "ngram_loss", "ngram_information",
)  # fmt: skip
"""Of predicted tokens, of sentence pairs, of span boundaries, of replaced tokens; of distillation:
against the teacher's probabilities, and one minus the cosine with its states; of n-grams matched
with their contexts, and, only to be told, what that says of them (`info_nce`)."""


class Losses(nn.Module):
    """A model and its losses: every use of a parameter is within one forward pass.

    Args:
        model: attribute `model`.
        teacher: of a distillation. It is no part of this module: neither trained nor sharded.
        temperature: of the distillation.
    """

    def __init__(
        self,
        model: LanguageModel,
        teacher: EncoderModel | None = None,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.model = model
        self._teacher = () if teacher is None else (teacher,)  # hidden from nn.Module
        self._temperature = temperature

    def forward(self, inputs: Inputs, labels: Labels, key: DropoutKey | None = None) -> Tensor:
        """Sums of losses, in the order of `LOSSES`: float32.

        Zero where there are none; labels that are `IGNORED` have no part in them.

        Args:
            labels: for the targets that the inputs name.
            key: fixes the dropout masks; without one nothing is dropped.
        """
        targets = self.model.targets(inputs, key)
        nothing = targets.tokens.states_MD.new_zeros((), dtype=torch.float32)
        pairs = boundary = replaced = nothing
        if targets.pair_logits_P2 is not None and labels.pairs_P is not None:
            pairs = F.cross_entropy(
                targets.pair_logits_P2.float(),
                labels.pairs_P,
                ignore_index=IGNORED,
                reduction="sum",
            )
        if targets.boundary is not None and labels.boundary_S is not None:
            boundary = targets.boundary.loss(labels.boundary_S)
        if targets.replaced_logits_BL is not None and labels.present_BL is not None:
            replaced = _replaced_loss(targets, inputs, labels)
        tokens = targets.tokens.loss(labels.tokens_M)
        distilled = (nothing, nothing)
        for teacher in self._teacher:
            distilled = self._distilled(teacher, inputs, targets, labels)
        matched = (nothing, nothing)
        if targets.ngram_scores_PP is not None and labels.ngrams_P is not None:
            losses_P, information_P = info_nce(targets.ngram_scores_PP, labels.ngrams_P)
            matched = losses_P.sum(), information_P.detach().sum()
        parts = (tokens, pairs, boundary, replaced, *distilled, *matched)
        return torch.stack([each.float() for each in parts])

    def _distilled(
        self, teacher: EncoderModel, inputs: Inputs, targets: Targets, labels: Labels
    ) -> tuple[Tensor, Tensor]:
        """Of all tokens that are no padding, summed: cross-entropy and one minus the cosine."""
        assert isinstance(self.model, EncoderModel)
        assert targets.hidden_BLD is not None
        assert labels.present_BL is not None
        with torch.no_grad():
            taught_BLD = teacher.states(inputs)
            taught = teacher.everywhere(taught_BLD)
        present_T = labels.present_BL.flatten().to(taught_BLD.dtype)
        soft = soft_cross_entropy(
            self.model.everywhere(targets.hidden_BLD), taught, present_T, self._temperature
        )
        if taught_BLD.shape != targets.hidden_BLD.shape:
            return soft, torch.zeros_like(soft)
        cosines_BL = F.cosine_similarity(targets.hidden_BLD, taught_BLD, dim=-1)
        return soft, ((1 - cosines_BL) * labels.present_BL).sum()

    if TYPE_CHECKING:  # nn.Module's own call is untyped

        def __call__(
            self, inputs: Inputs, labels: Labels, key: DropoutKey | None = None
        ) -> Tensor: ...


def replaced_labels(drawn_M: Tensor, inputs: Inputs, labels: Labels) -> Tensor:
    """Which tokens a generator replaced: bool [B, L]. One drawn as it was is not replaced."""
    nowhere_BL = torch.zeros_like(inputs.ids_BL, dtype=torch.bool)
    different_M = drawn_M != labels.tokens_M
    return put(nowhere_BL, inputs.scored_M, different_M, labels.tokens_M != IGNORED)


def _replaced_loss(targets: Targets, inputs: Inputs, labels: Labels) -> Tensor:
    """Binary cross-entropies of all tokens that are no padding, summed."""
    assert targets.drawn_M is not None
    assert targets.replaced_logits_BL is not None
    assert labels.present_BL is not None
    return F.binary_cross_entropy_with_logits(
        targets.replaced_logits_BL.float(),
        replaced_labels(targets.drawn_M, inputs, labels).float(),
        weight=labels.present_BL.float(),
        reduction="sum",
    )
