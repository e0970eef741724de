"""TensorBoard shows the numbers of metrics.jsonl, also after an interruption."""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import make_folders, train

from lmprep.errors import Interrupted
from lmprep.training.metrics import read_metrics, scalars

Curves = dict[str, list[tuple[int, float]]]  # of each name: step and value


def curves_in_tensorboard(run: Path) -> Curves:
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def curves_in_metrics(run: Path) -> Curves:
    curves = defaultdict(list)
    for line in read_metrics(run):
        for name, value in scalars(line).items():
            curves[name].append((line["step"], value))
    return dict(curves)


def interrupt(progress) -> None:
    if progress.step == 4:
        os.kill(os.getpid(), signal.SIGINT)


def test_tensorboard_shows_what_the_metrics_say(tmp_path):
    folder, run = make_folders(tmp_path), tmp_path / "run"
    changes = {"log_every": 1, "checkpoint_every": 3, "validation": folder / "valid"}
    with pytest.raises(Interrupted):
        train(folder, run, on_progress=interrupt, **changes)
    train(folder, run, resume=True, **changes)
    shown, written = curves_in_tensorboard(run), curves_in_metrics(run)

    assert {"train/loss", "schedule/lr", "validation/token_loss"} <= set(written)
    assert shown.keys() == written.keys()
    for name, curve in written.items():
        assert [step for step, _ in shown[name]] == [step for step, _ in curve], name
        values = [value for _, value in curve]
        assert [value for _, value in shown[name]] == pytest.approx(values, rel=1e-6), name
