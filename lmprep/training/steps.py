"""One step: forward, the losses, backward, clip, update.

M scored tokens, B rows, S targets of the boundary objective, V vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lmprep.models.dropout import DropoutKey
from lmprep.models.inputs import Outputs
from lmprep.models.language_model import LanguageModel
from lmprep.settings import PretrainSettings
from lmprep.training.batch import Batch
from lmprep.training.devices import computing_in

LOSSES = ("loss", "token_loss", "pair_loss", "boundary_loss", "grad_norm")


def forward(
    model: LanguageModel, batch: Batch, precision: torch.dtype, key: DropoutKey | None = None
) -> Outputs:
    """The logits of a batch, float32."""
    with computing_in(precision, batch.labels_M.device):
        outputs = model(batch.inputs, key)
    return outputs.each(Tensor.float)


def train_step(
    model: LanguageModel,
    optimizer: torch.optim.AdamW,
    batch: Batch,
    settings: PretrainSettings,
    precision: torch.dtype,
    key: DropoutKey,
) -> Tensor:
    """Update the weights once.

    Returns:
        float32 [5] on the device: the values of `LOSSES` before the update, 0 for those the batch
        does not have; the norm before clipping.
    """
    optimizer.zero_grad(set_to_none=True)
    key.seed_device(batch.labels_M.device)
    outputs = forward(model, batch, precision, key)
    token_loss, pair_loss, boundary_loss = losses_of(outputs, batch)
    loss = settings.token_weight * token_loss
    loss = loss + settings.pair_weight * pair_loss + settings.boundary_weight * boundary_loss
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
    optimizer.step()
    return torch.stack((loss, token_loss, pair_loss, boundary_loss, norm)).detach()


def losses_of(outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Mean cross-entropy of scored tokens, pairs and boundary targets; 0 where there are none."""
    asked = (
        (outputs.logits_MV, batch.labels_M),
        (outputs.pair_logits_B2, batch.pairs_B),
        (outputs.boundary_logits_SV, batch.boundary_labels_S),
    )
    nothing = outputs.logits_MV.new_zeros(())
    token, pair, boundary = (
        nothing if logits is None or labels is None else _mean(logits, labels)
        for logits, labels in asked
    )
    return token, pair, boundary


def _mean(logits: Tensor, labels: Tensor) -> Tensor:
    """A mean that is 0, not NaN, over nothing: a row of one token has no next one."""
    return F.cross_entropy(logits, labels, reduction="sum") / max(1, len(labels))
