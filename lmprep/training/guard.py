"""Which steps may change the weights: not those with a broken loss or one far off the last ones.

A single bad batch or an overflow can spoil weights for good; leaving its step out costs nothing
(PaLM, arXiv:2204.02311, section 5.1, restarted from a checkpoint and left such batches out).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from lmprep.pretrain_settings import PretrainSettings

WINDOW = 128
LEAST = 32
"""Losses needed before any can be called a spike: the first ones fall too fast to judge by."""
# The losses of a long training differ by less than rounding and the mix of a batch's texts do.
_LEAST_DEVIATION = 0.01  # nats


class Guard:
    """Judges each step by its loss and the norm of its gradient, before the update.

    Args:
        settings: `spike`, in standard deviations of the admitted losses; 0 admits every finite one.
    """

    def __init__(self, settings: PretrainSettings) -> None:
        self.skipped = 0  # of all steps
        self.in_a_row = 0  # since the last admitted one
        self._spike = settings.spike
        self._losses: deque[float] = deque(maxlen=WINDOW)

    def admits(self, loss: float, norm: float) -> bool:
        """May a step with this loss and this norm be done? Counts the answer.

        A loss without any gradient is none that weights can learn from: something on the way back
        is broken. The loss of an admitted step joins those that later ones are compared with.
        """
        finite = math.isfinite(loss) and math.isfinite(norm)
        if not finite or (loss != 0 and norm == 0) or loss > self._limit():
            self.skipped += 1
            self.in_a_row += 1
            return False
        self.in_a_row = 0
        self._losses.append(loss)
        return True

    def _limit(self) -> float:
        """The highest loss that is no spike."""
        if not self._spike or len(self._losses) < LEAST:
            return math.inf
        mean = fmean(self._losses)
        deviation = math.sqrt(fmean((loss - mean) ** 2 for loss in self._losses))
        return mean + self._spike * max(deviation, _LEAST_DEVIATION)

    def forget(self) -> None:
        """Compare with no loss so far: those of a new stage may lie elsewhere."""
        self._losses.clear()

    def state(self) -> dict[str, Any]:
        """All it knows, for a checkpoint; goes through JSON without loss."""
        return {
            "losses": list(self._losses),
            "skipped": self.skipped,
            "in_a_row": self.in_a_row,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """The way back from `state`."""
        self._losses = deque(state["losses"], maxlen=WINDOW)
        self.skipped, self.in_a_row = state["skipped"], state["in_a_row"]
