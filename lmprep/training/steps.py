"""One update: forward and backward for each micro-batch, clip, judge, step.

The loss of an update is a sum over all its micro-batches, on all ranks, divided by the number of
targets in all of them: neither accumulation nor the number of processes changes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lmprep.models.construction import outline
from lmprep.models.dropout import DropoutKey
from lmprep.models.encoder import EncoderModel
from lmprep.models.inputs import IGNORED, Outputs
from lmprep.models.language_model import LanguageModel
from lmprep.models.losses import LOSSES as PARTS
from lmprep.models.losses import Losses
from lmprep.pretrain_settings import PretrainSettings
from lmprep.training.batch import Batch
from lmprep.training.devices import compiles, computing_in
from lmprep.training.distributed import Ranks, full, is_sharded, like, synchronized, wrapped
from lmprep.training.guard import Guard
from lmprep.training.optimizers import Optimizer

LOSSES = ("loss", *PARTS, "grad_norm")
# Those that are asked of every token, if they are asked for.
_OF_ALL_TOKENS = ("replaced_loss", "teacher_loss", "cosine_loss")
_OF_CONTEXTS = ("ngram_loss", "ngram_information")


class Updater:
    """A model with its optimizer, made to train.

    Args:
        model: on its device, with the same weights on every rank.
        precision: of the matrix products.
        teacher: of a distillation, on its device.
    """

    def __init__(
        self,
        model: LanguageModel,
        settings: PretrainSettings,
        precision: torch.dtype,
        ranks: Ranks | None = None,
        teacher: EncoderModel | None = None,
    ) -> None:
        self.model, self.guard = model, Guard(settings)
        self._settings, self._precision = settings, precision
        self._ranks, self._device = ranks or Ranks(), model.device
        losses = Losses(model, teacher, settings.temperature)
        self._module = wrapped(losses, self._ranks, settings.sharding, self._device)
        self.optimizer = Optimizer(model, settings)
        self._weights = loss_weights(settings)
        self._compiled = self._module
        if compiles(settings.compile, self._device):
            self._compiled = torch.compile(self._module, dynamic=False)  # type: ignore[assignment]

    def update(
        self, batches: Sequence[Batch], counts: Sequence[float], step: int, rate: float
    ) -> tuple[dict[str, float], bool]:
        """`gradients`, and with them a step of the optimizer, unless the guard finds them unfit."""
        found, admitted = self.gradients(batches, counts, step)
        if admitted:
            self.optimizer.step(rate)
        return found, admitted

    def gradients(
        self, batches: Sequence[Batch], counts: Sequence[float], step: int
    ) -> tuple[dict[str, float], bool]:
        """The clipped gradients of a step; no weight changes yet.

        Args:
            batches: this rank's, in their order.
            counts: of what is to be predicted, as `targets` has them, over all ranks.
            step: number of the update, from 0.

        Returns:
            The values of `LOSSES`, the norm before clipping; and whether the guard admits them.
        """
        self.optimizer.zero_grad()
        sums = self._backward(batches, counts, step)
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(parameters, self._settings.clip)
        means = [
            total / max(1.0, count)
            for total, count in zip(self._ranks.total(sums, self._device), counts, strict=True)
        ]
        loss = sum(weight * mean for weight, mean in zip(self._weights, means, strict=True))
        found = dict(zip(LOSSES, (loss, *means, float(full(norm))), strict=True))
        return found, self.guard.admits(found["loss"], found["grad_norm"])

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weights and optimizer for a checkpoint, whole; every rank must ask."""
        weights = {name: full(tensor) for name, tensor in self.model.named_parameters()}
        return weights, self.optimizer.tensors()

    def load(self, weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor]) -> None:
        """The way back from `tensors`, for any number of ranks."""
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(like(weights[name], parameter))
        self.optimizer.load(optimizer)

    def whole_model(self) -> LanguageModel:
        """The model with all its weights on this rank, to be scored."""
        if not any(map(is_sharded, self.model.parameters())):
            return self.model
        weights = {name: full(p).detach() for name, p in self.model.named_parameters()}
        model = outline(self.model.settings)
        model.load_state_dict(weights, assign=True)
        return model

    def _backward(
        self, batches: Sequence[Batch], counts: Sequence[float], step: int
    ) -> list[float]:
        """Gradients of the step's loss; the sums of the losses on this rank."""
        # The ranks' gradients are averaged, so each counts for as many as there are.
        shares = torch.tensor(
            [
                w * self._ranks.count / max(1.0, n)
                for w, n in zip(self._weights, counts, strict=True)
            ],
            device=self._device,
        )
        sums = torch.zeros(len(self._weights), device=self._device)
        for number, batch in enumerate(batches, 1):
            with synchronized(self._module, last=number == len(batches)):
                losses = self._losses(batch.to(self._device), step)
                (losses * shares).sum().backward()  # type: ignore[no-untyped-call]
            sums += losses.detach()
        return [float(value) for value in sums.tolist()]

    def _losses(self, batch: Batch, step: int) -> Tensor:
        key = DropoutKey(seed=self._settings.seed, step=step, row=batch.row)
        key.seed_device(self._device)
        with computing_in(self._precision, self._device):
            losses: Tensor = self._compiled(batch.inputs, batch.labels, key)
        return losses


def loss_weights(settings: PretrainSettings) -> tuple[float, ...]:
    """The weight of each of `models.losses.LOSSES` in their sum; 0 for what is none."""
    kinds = (name.removesuffix("_loss") for name in PARTS)
    return tuple(float(getattr(settings, f"{kind}_weight", 0)) for kind in kinds)


def targets(batches: Sequence[Batch]) -> list[int]:
    """How many predictions batches ask for, for each of `models.losses.LOSSES`."""
    counts = [0] * len(PARTS)
    for batch in batches:
        labels = (batch.labels.tokens_M, batch.labels.pairs_P, batch.labels.boundary_S)
        for place, asked in enumerate(labels):
            counts[place] += 0 if asked is None else int((asked != IGNORED).sum())
        if batch.labels.present_BL is not None:
            present = int(batch.labels.present_BL.sum())
            for name in _OF_ALL_TOKENS:
                counts[PARTS.index(name)] += present
        if batch.labels.ngrams_P is not None:
            contexts = int((batch.labels.ngrams_P != IGNORED).sum())
            for name in _OF_CONTEXTS:
                counts[PARTS.index(name)] += contexts
    return counts


def forward(
    model: LanguageModel, batch: Batch, precision: torch.dtype, key: DropoutKey | None = None
) -> Outputs:
    """The logits of a batch, float32."""
    with computing_in(precision, batch.labels.tokens_M.device):
        outputs = model(batch.inputs, key)
    return outputs.each(lambda each: each.float() if each.is_floating_point() else each)
