"""How far a training is, and the learning rate that belongs there."""

from __future__ import annotations

from dataclasses import dataclass

from lmprep.settings import PretrainSettings


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a training lasts: a number of steps, tokens or seconds.

    Args:
        unit: one of `settings.BUDGETS`.
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
    """The learning rate at a progress from 0 to 1.

    Rises linearly from 0 to `peak` during the warmup; then stays (`constant`) or falls linearly to
    0 at the end (`linear`). With a budget of steps or tokens the loop asks for the middle of a
    step, so that neither the first nor the last one is wasted on a rate of 0; with one of time,
    where a step's length is not known beforehand, for its beginning.
    """
    warmup = float(settings.warmup)
    if progress < warmup:
        return peak * progress / warmup
    if settings.schedule == "constant":
        return peak
    return peak * max(0.0, 1 - progress) / (1 - warmup) if warmup < 1 else peak
