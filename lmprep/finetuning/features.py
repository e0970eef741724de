"""Features of a frozen model, computed once and kept in a file, for all epochs and seeds.

B rows, L positions, C layers, E width of the features; T positions of all rows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lmprep.finetuning.network import feature_width, features
from lmprep.finetuning.rows import Int64s, Rows, inputs_of, ranges, sorted_groups
from lmprep.models.language_model import LanguageModel
from lmprep.training.devices import computing_in

_BATCH = 64  # groups


class CachedFeatures:
    """float32 [T, C, E] of rows, mapped from a file.

    Args:
        rows: whose positions they are.
        path: the file; it is written here.
        layers: see `network.features`.
        pad: the id that rows are filled up with.
    """

    def __init__(
        self,
        model: LanguageModel,
        rows: Rows,
        path: Path,
        *,
        layers: str,
        pad: int,
        precision: torch.dtype,
    ) -> None:
        self._rows = rows
        mixed = layers == "learned-mix"
        shape = (
            max(1, len(rows.ids.values)),
            model.settings.layers + 1 if mixed else 1,
            feature_width(model.settings, layers),
        )
        self._values = np.memmap(path, np.float32, "w+", shape=shape)
        with torch.no_grad(), computing_in(precision, model.device):
            for groups in sorted_groups(rows, _BATCH):
                chosen = ranges(rows.groups[groups], np.diff(rows.groups)[groups])
                inputs, lengths_B = inputs_of(rows, chosen, model.settings, pad, model.device)
                found_BLCE = features(model, inputs, layers).float()
                inside_BL = _inside(lengths_B, found_BLCE.shape[1])
                self._values[self._places(chosen)] = found_BLCE[inside_BL].cpu().numpy()

    def of(self, chosen: Int64s, device: torch.device) -> Tensor:
        """Of some rows, zeros behind them: [B, L, C, E]."""
        flat = torch.from_numpy(self._values[self._places(chosen)]).to(device)
        lengths_B = torch.from_numpy(self._rows.lengths[chosen]).to(device)
        longest = int(lengths_B.max())
        dense = flat.new_zeros(len(chosen), longest, *flat.shape[1:])
        dense[_inside(lengths_B, longest)] = flat
        return dense

    def _places(self, chosen: Int64s) -> Int64s:
        offsets = self._rows.ids.offsets
        return ranges(offsets[:-1][chosen], self._rows.lengths[chosen])


def _inside(lengths_B: Tensor, length: int) -> Tensor:
    return torch.arange(length, device=lengths_B.device) < lengths_B[:, None]
