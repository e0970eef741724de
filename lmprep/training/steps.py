"""One step: forward, both losses, backward, clip, update.

B rows, L positions, M masked tokens, V vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lmprep.models.bert import Bert
from lmprep.models.dropout import DropoutKey
from lmprep.models.masks import padding_mask
from lmprep.settings import PretrainSettings
from lmprep.training.data import Batch
from lmprep.training.devices import computing_in

LOSSES = ("loss", "mlm_loss", "pair_loss", "grad_norm")


def forward(
    model: Bert, batch: Batch, precision: torch.dtype, key: DropoutKey | None = None
) -> tuple[Tensor, Tensor | None]:
    """Logits of the masked tokens [M, V] and of the pairs [B, 2] (None without), float32."""
    mask = None
    if batch.lengths_B is not None:
        mask = padding_mask(batch.lengths_B, batch.ids_BL.shape[1])
    with computing_in(precision, batch.ids_BL.device):
        hidden_BLD = model.encoder(batch.ids_BL, batch.types_BL, mask, key)
        logits_MV = model.masked_token_logits(hidden_BLD, batch.masked_M)
        pairs_B2 = None if batch.pairs_B is None else model.pair_logits(hidden_BLD)
    return logits_MV.float(), None if pairs_B2 is None else pairs_B2.float()


def train_step(
    model: Bert,
    optimizer: torch.optim.AdamW,
    batch: Batch,
    settings: PretrainSettings,
    precision: torch.dtype,
    key: DropoutKey,
) -> Tensor:
    """Update the weights once.

    Returns:
        float32 [4] on the device: the values of `LOSSES`, before the update; the norm before
        clipping.
    """
    optimizer.zero_grad(set_to_none=True)
    key.seed_device(batch.ids_BL.device)
    logits_MV, pairs_B2 = forward(model, batch, precision, key)
    mlm_loss = F.cross_entropy(logits_MV, batch.labels_M)
    pair_loss = torch.zeros_like(mlm_loss)
    if pairs_B2 is not None:
        assert batch.pairs_B is not None
        pair_loss = F.cross_entropy(pairs_B2, batch.pairs_B)
    loss = settings.mlm_weight * mlm_loss + settings.pair_weight * pair_loss
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
    optimizer.step()
    return torch.stack((loss, mlm_loss, pair_loss, norm)).detach()
