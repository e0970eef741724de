"""How far a training is, and the learning rate that belongs there.

With warmup w, cooldown c, final share f and p the progress from 0 to 1, the peak times

    p / w                                       while p < w, whatever the schedule; then
    linear          f + (1 - f) * r             r = (1 - p) / (1 - w), from 1 to 0
    cosine          f + (1 - f) * (1 - cos(pi * r)) / 2          arXiv:1608.03983, no restarts
    inverse-sqrt    sqrt(w / p)                 T5 (arXiv:1910.10683, section 3.1.2), which has no
                                                rise before it; ends at sqrt(w), not at f
    wsd             1 while p < 1 - c, then     warmup, stable, decay: MiniCPM (arXiv:2404.06395,
                    f + (1 - f) * (1 - p) / c   section 4), whose decay is exponential
    constant        1

Example:
    w = 0.1, f = 0, halfway (p = 0.55): linear and cosine 0.5, inverse-sqrt 0.426.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lmprep.pretrain_settings import PretrainSettings


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a training lasts: a number of steps, tokens or seconds.

    Args:
        unit: one of `pretrain_settings.BUDGETS`.
        amount: of that unit.
    """

    unit: str
    amount: float

    @classmethod
    def of(cls, settings: PretrainSettings) -> Budget:
        """The one budget that the settings give."""
        for unit in ("steps", "tokens"):
            if getattr(settings, unit) is not None:
                return cls(unit=unit, amount=getattr(settings, unit))
        assert settings.time is not None  # the settings have exactly one
        return cls(unit="time", amount=settings.time)

    def spent(self, *, steps: float, tokens: float, seconds: float) -> float:
        """Share of the budget used up, from 0; 1 and above means finished."""
        return {"steps": steps, "tokens": tokens, "time": seconds}[self.unit] / self.amount


def learning_rate(settings: PretrainSettings, peak: float, progress: float) -> float:
    """The learning rate at a progress from 0 to 1; beyond it stays as at 1.

    With a budget of steps or tokens the loop asks for the middle of a step, so that neither the
    first nor the last one is wasted on a rate of 0; with one of time, where a step's length is not
    known beforehand, for its beginning.
    """
    progress, warmup = min(progress, 1.0), float(settings.warmup)
    if progress < warmup:
        return peak * progress / warmup
    if settings.schedule == "constant":
        return peak
    if settings.schedule == "inverse-sqrt":
        return peak * math.sqrt(warmup / progress)
    final = float(settings.final_lr)
    return peak * (final + (1 - final) * _height(settings, progress))


def _height(settings: PretrainSettings, progress: float) -> float:
    """Where between the final rate, 0, and the peak, 1, the falling schedules are."""
    begin = float(1 - settings.cooldown if settings.schedule == "wsd" else settings.warmup)
    if progress <= begin:  # never divides by 0: no progress lies above a begin of 1
        return 1.0
    left = (1 - progress) / (1 - begin)
    return (1 - math.cos(math.pi * left)) / 2 if settings.schedule == "cosine" else left
