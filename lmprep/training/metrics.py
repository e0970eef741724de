"""What a training reports: a line in metrics.jsonl, TensorBoard scalars, a progress record.

    {"step": 120, "tokens": 491520, "epoch": 1.2, "loss": 9.1, "token_loss": 8.4, "pair_loss": 0.69,
     "grad_norm": 1.3, "lr": 0.0004, "tokens_per_second": 11200.0, "utilisation": 0.41,
     "skipped": 0, "elapsed": 43.9}

Losses and the gradient norm are means over the steps since the last line, and absent if all of
these were skipped; `skipped` counts such steps since the beginning. Tokens are those of the rows
before corruption, padding not counted; `epoch` tells how often the data have been seen;
`utilisation` is a share of the device's peak, absent where that is not known; elapsed is in seconds
of training over all sittings, without validations and checkpoints. A validation is a line
{"step", "validation"}.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmprep.files import atomic_file

METRICS = "metrics.jsonl"
_log = logging.getLogger("lmprep")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training is, for whoever draws it.

    Args:
        step: steps done.
        fraction: of the budget, from 0 to 1.
        tokens: of the rows seen so far, before corruption.
        loss: mean since the last report.
        tokens_per_second: since the last report.
        elapsed: seconds of training so far, earlier sittings included.
        seconds_left: at this pace.
        validation: the last validation's numbers, empty before the first.
        validation_step: after which it was made, 0 before the first.
        epoch: how often the data have been seen.
        losses: means since the last report by objective: `token_loss`, `pair_loss`,
            `boundary_loss`, those there are.
        lr: learning rate of the last step.
        utilisation: FLOPs a second that the model needed, as a share of the device's peak; None
            where that is not known.
        peak: where that peak is from, such as `datasheet, H200 bf16 dense`.
        skipped: steps whose update was left out since the beginning.
        stage: such as `128 tokens`; empty where there is only one.
    """

    step: int
    fraction: float
    tokens: int
    loss: float
    tokens_per_second: float
    elapsed: float
    seconds_left: float
    validation: dict[str, float]
    validation_step: int
    epoch: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)
    lr: float = 0.0
    utilisation: float | None = None
    peak: str = ""
    skipped: int = 0
    stage: str = ""


# Which group of curves TensorBoard shows a number in; the losses' and norms' is `train`.
_GROUPS = {
    "lr": "schedule",
    "epoch": "schedule",
    "tokens": "schedule",
    "skipped": "schedule",
    "elapsed": "speed",
    "tokens_per_second": "speed",
    "utilisation": "speed",
}


class MetricsWriter:
    """Appends to RUN/metrics.jsonl and RUN/tensorboard.

    Args:
        run: the run folder.
        step: the step training goes on from.
    """

    def __init__(self, run: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._file = (run / METRICS).open("a", encoding="utf-8")
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def write(self, line: dict[str, Any]) -> None:
        """Add a line; its numbers go to TensorBoard, as `train/loss` or `validation/token_loss`."""
        self._file.write(_written(line))
        self._file.flush()
        for name, value in scalars(line).items():
            self._board.add_scalar(name, value, line["step"])

    def close(self) -> None:
        """Close both files."""
        self._file.close()
        self._board.close()


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """All lines of a run.

    A last line cut short by a crash is left out, and damaged ones are, with a warning.
    """
    path = run / METRICS
    written = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    parsed = [_parsed(line) for line in written if line.endswith(b"\n")]
    if damaged := parsed.count(None):
        _log.warning("%s: %d damaged line(s) left out.", path, damaged)
    return [line for line in parsed if line is not None]


def cut_metrics(run: Path, step: int) -> list[dict[str, Any]]:
    """Keep the intact lines up to `step` and return them; later ones will be written again."""
    kept = [line for line in read_metrics(run) if line["step"] <= step]
    with atomic_file(run / METRICS) as file:
        file.write("".join(map(_written, kept)).encode())
    return kept


def _written(line: dict[str, Any]) -> str:
    return json.dumps(line, allow_nan=False) + "\n"


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A line of ours, else None."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    ours = isinstance(found, dict) and isinstance(found.get("step"), int)
    return found if ours else None


def scalars(line: dict[str, Any]) -> dict[str, float]:
    """The numbers of a line, by TensorBoard's names for them."""
    validation = {f"validation/{k}": v for k, v in line.get("validation", {}).items()}
    numbers = {
        f"{_GROUPS.get(name, 'train')}/{name}": value
        for name, value in line.items()
        if name != "step" and isinstance(value, int | float)
    }
    return numbers | validation
