"""What a training reports: a line in metrics.jsonl, TensorBoard scalars, a progress record.

    {"step": 120, "tokens": 491520, "loss": 9.1, "mlm_loss": 8.4, "pair_loss": 0.69, "lr": 0.0004,
     "grad_norm": 1.3, "tokens_per_second": 11200.0, "elapsed": 43.9}

Losses and the gradient norm are means over the steps since the last line, tokens do not count
padding, elapsed is in seconds over all sittings. A validation is a line {"step", "validation"}.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmprep.files import atomic_file

METRICS = "metrics.jsonl"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training is, for whoever draws it.

    Args:
        step: steps done.
        fraction: of the budget, from 0 to 1.
        tokens: seen so far, padding not counted.
        loss: mean since the last report.
        tokens_per_second: since the last report.
        elapsed: seconds of training so far, earlier sittings included.
        seconds_left: at this pace.
        validation: the last validation's numbers, empty before the first.
    """

    step: int
    fraction: float
    tokens: int
    loss: float
    tokens_per_second: float
    elapsed: float
    seconds_left: float
    validation: dict[str, float]


class MetricsWriter:
    """Appends to RUN/metrics.jsonl and RUN/tensorboard.

    Args:
        run: the run folder.
        step: the step training goes on from: lines beyond it, which will be written again, go.
    """

    def __init__(self, run: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        path = run / METRICS
        cut_metrics(path, step)
        self._file = path.open("a")
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def write(self, line: dict[str, Any]) -> None:
        """Add a line; numbers in it, and in records in it, go to TensorBoard."""
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        for name, value in _scalars(line).items():
            self._board.add_scalar(name, value, line["step"])

    def close(self) -> None:
        """Close both files."""
        self._file.close()
        self._board.close()


def cut_metrics(path: Path, step: int) -> None:
    """Keep the lines up to `step`; a last line cut short by a crash goes too."""
    if not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if line.endswith(b"\n") and json.loads(line)["step"] <= step]
    with atomic_file(path) as file:
        file.write(b"".join(kept))


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """All lines of a run."""
    return [json.loads(line) for line in (run / METRICS).read_text().splitlines()]


def _scalars(line: dict[str, Any], prefix: str = "") -> dict[str, float]:
    scalars: dict[str, float] = {}
    for name, value in line.items():
        if isinstance(value, dict):
            scalars |= _scalars(value, f"{prefix}{name}/")
        elif name != "step":
            scalars[prefix + name] = value
    return scalars
