"""The next token: the likeliest, or one drawn from what temperature, top-k and top-p leave.

B rows, V vocabulary.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmprep.keyed_random import key_for, sub_keys


def chosen(
    logits_BV: Tensor,
    draws_B: Tensor | None,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Tensor:
    """A token for each row: int64 [B].

    Args:
        logits_BV: float32.
        draws_B: float64, from 0 to below 1, what to draw by; None takes the likeliest.
        temperature: that logits are divided by.
        top_k: only so many of the likeliest tokens.
        top_p: only the likeliest tokens that together have this probability, the one that reaches
            it included (nucleus sampling, arXiv:1904.09751).
    """
    if draws_B is None:
        return logits_BV.argmax(-1)
    ranked_BV, ids_BV = (logits_BV.double() / temperature).sort(
        stable=True, dim=-1, descending=True
    )
    if top_k is not None:
        ranked_BV, ids_BV = ranked_BV[:, :top_k], ids_BV[:, :top_k]
    chances_BV = ranked_BV.softmax(-1)
    if top_p is not None:
        before_BV = chances_BV.cumsum(-1) - chances_BV
        chances_BV = chances_BV.masked_fill(before_BV >= top_p, 0)
    ends_BV = chances_BV.cumsum(-1)
    places_B1 = draws_B[:, None] * ends_BV[:, -1:]
    rank_B1 = torch.searchsorted(ends_BV, places_B1, right=True)
    last_B1 = (chances_BV > 0).sum(-1, keepdim=True) - 1
    chosen_B: Tensor = ids_BV.gather(1, torch.minimum(rank_B1, last_B1))[:, 0]
    return chosen_B


class Draws:
    """Random numbers of rows and steps, whatever else is written at the same time.

    Args:
        seed: fixes all of them.
        rows: int64 [B], the numbers of the rows.
    """

    def __init__(self, seed: int, rows: NDArray[np.int64]) -> None:
        self._seed, self._rows = seed, rows

    def at(self, step: int) -> Tensor:
        """From 0 to below 1, float64 [B]."""
        keys = sub_keys(key_for(self._seed, "writing", copy=step), self._rows)
        return torch.from_numpy((keys >> np.uint64(11)).astype(np.float64) * 2.0**-53)
