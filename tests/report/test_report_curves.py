"""Where the points of a curve lie, and how it is smoothed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lmprep.report.curves import (
    reach,
    run_names,
    skips,
    smoothed,
    training_curve,
    training_names,
    validation_curve,
    validation_names,
)

# Four reports; in the third window all steps were skipped. The run is faster at its end.
LINES = [
    {"step": 10, "tokens": 100, "elapsed": 2.0, "loss": 9.0, "token_loss": 8.0, "pair_loss": 1.0,
     "skipped": 0},
    {"step": 15, "validation": {"token_loss": 7.5, "token_accuracy": 0.2}},
    {"step": 20, "tokens": 200, "elapsed": 4.0, "loss": 8.0, "token_loss": 7.0, "pair_loss": 1.0,
     "skipped": 0},
    {"step": 30, "tokens": 300, "elapsed": 6.0, "skipped": 10},
    {"step": 40, "tokens": 400, "elapsed": 7.0, "loss": 6.0, "token_loss": 5.5, "pair_loss": 0.5,
     "skipped": 11},
    {"step": 50, "validation": {"token_loss": 5.0, "copied_loss": 1.0}},
]  # fmt: skip


@pytest.mark.parametrize(
    ("axis", "x"), [("steps", [10, 20, 40]), ("tokens", [100, 200, 400]), ("time", [2, 4, 7])]
)
def test_a_window_without_a_loss_has_no_point(axis, x):
    curve = training_curve(LINES, "pair_loss", axis)

    assert curve.x.tolist() == x
    assert curve.y.tolist() == [1.0, 1.0, 0.5]


@pytest.mark.parametrize(
    # Step 15 lies halfway from 10 to 20; step 50 as far beyond 40 as 40 steps took.
    ("axis", "x"), [("steps", [15, 50]), ("tokens", [150, 500]), ("time", [3, 8.75])]
)  # fmt: skip
def test_a_validation_lies_where_its_step_does(axis, x):
    curve = validation_curve(LINES, "token_loss", axis)

    assert curve.x.tolist() == x
    assert curve.y.tolist() == [7.5, 5.0]


def test_a_validation_before_the_first_report_lies_between_it_and_the_beginning():
    lines = [{"step": 5, "validation": {"token_loss": 9.0}}, LINES[0]]

    assert validation_curve(lines, "token_loss", "tokens").x.tolist() == [50]


def test_skipped_steps_lie_where_their_count_rises():
    assert skips(LINES, "steps").tolist() == [30, 40]
    assert skips(LINES[:3], "steps").tolist() == []
    assert skips([{"step": 1, "skipped": 1}], "steps").tolist() == [1]


def test_losses_are_those_of_the_objectives_and_their_sum_only_without_these():
    assert training_names([LINES[:1], LINES]) == ["token_loss", "pair_loss"]
    assert training_names([[{"step": 1, "loss": 2.0}]]) == ["loss"]
    assert validation_names([LINES]) == ["token_loss", "copied_loss"]


def slowly_smoothed(y: list[float]) -> list[float]:
    n = len(y)
    means = []
    for i in range(n):
        left = min(i, reach(n))
        around = y[i - left : i + min(left, n - 1 - i) + 1]
        means.append(sum(around) / len(around))
    return means


@given(arrays.arrays(np.float64, st.integers(1, 300), elements=st.floats(-50, 50)))
def test_a_smoothed_curve_is_made_of_means_around_each_point(y):
    np.testing.assert_allclose(smoothed(y), slowly_smoothed(y.tolist()), atol=1e-9)


def test_a_falling_line_is_not_moved_but_at_its_end():
    y = np.arange(1000, 0, -1.0)
    width = reach(len(y))

    assert width == 20
    assert smoothed(y)[:-width].tolist() == y[:-width].tolist()
    assert smoothed(y)[-1] == y[-width - 1 :].mean()


def test_few_points_are_left_as_they_are():
    y = np.array([3.0, -1.0] * 24)

    assert smoothed(y).tolist() == y.tolist()


def test_runs_are_named_by_as_much_of_their_paths_as_tells_them_apart():
    assert run_names([Path("a/run")]) == ["run"]
    assert run_names([Path("a/run"), Path("a/other")]) == ["run", "other"]
    assert run_names([Path("a/run"), Path("b/run")]) == ["a/run", "b/run"]
    assert run_names([Path("a/x/run"), Path("b/x/run"), Path("c")]) == ["a/x/run", "b/x/run", "c"]
