from __future__ import annotations

import json
import math

import pytest

from lmprep.pretrain_settings import PretrainSettings
from lmprep.training.guard import Guard


def new_guard(spike: float = 6.0) -> Guard:
    return Guard(PretrainSettings(model="bert-tiny", steps=1, spike=spike))


def fed(losses: list[float], spike: float = 6.0) -> Guard:
    guard = new_guard(spike)
    assert all([guard.admits(loss, 1.0) for loss in losses])
    return guard


@pytest.mark.parametrize("spike", [6.0, 0.0])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_or_norm_that_is_no_finite_number_is_rejected_from_the_first_step_on(bad, spike):
    guard = new_guard(spike)

    assert not guard.admits(bad, 1.0)
    assert not guard.admits(1.0, bad)
    assert guard.admits(1.0, 1.0)


def test_a_loss_without_any_gradient_is_rejected():
    guard = new_guard()

    assert not guard.admits(9.0, 0.0)
    assert guard.admits(0.0, 0.0)  # nothing was to be predicted


def test_the_limit_is_the_mean_and_so_many_deviations():
    # Mean 4, standard deviation 1.
    for loss, admitted in ((5.99, True), (6.01, False)):
        assert fed([3.0, 5.0] * 16, spike=2.0).admits(loss, 1.0) is admitted


def test_before_32_losses_none_is_a_spike():
    assert fed([1.0] * 31).admits(1000.0, 1.0)
    assert not fed([1.0] * 32).admits(1000.0, 1.0)


def test_only_the_last_128_admitted_losses_count():
    # Had the early ones a say, the limit would lie far above 2.
    guard = fed([50.0] * 40 + [1.0] * 128)

    assert not guard.admits(2.0, 1.0)


def test_a_rejected_loss_moves_no_limit():
    guard = fed([3.0, 5.0] * 16, spike=2.0)

    assert [guard.admits(6.01, 1.0) for _ in range(100)] == [False] * 100


def test_a_flat_loss_may_wobble():
    guard = fed([2.0] * 128)

    assert guard.admits(2.0 + 0.05, 1.0)
    assert not guard.admits(2.0 + 0.07, 1.0)


def test_a_lower_loss_is_no_spike():
    assert fed([3.0, 5.0] * 16).admits(0.0, 1.0)


def test_no_spike_asked_for_is_none_found():
    assert fed([1.0] * 100, spike=0.0).admits(1e30, 1.0)


def test_skips_are_counted_in_all_and_in_a_row():
    guard = new_guard()
    for loss in (math.nan, 1.0, math.nan, math.nan):
        guard.admits(loss, 1.0)
    assert (guard.skipped, guard.in_a_row) == (3, 2)
    guard.admits(1.0, 1.0)
    assert (guard.skipped, guard.in_a_row) == (3, 0)


def test_what_is_forgotten_sets_no_limit_but_skips_stay_counted():
    guard = fed([1.0] * 64)
    guard.admits(math.nan, 1.0)
    guard.forget()

    assert guard.admits(50.0, 1.0)
    assert guard.skipped == 1


def test_a_guard_goes_on_after_json_as_if_nothing_had_been():
    seen = [3 + 2 * math.sin(n) for n in range(200)]
    guard = fed(seen, spike=1.5)
    guard.admits(math.nan, 1.0)
    other = new_guard(spike=1.5)
    other.restore(json.loads(json.dumps(guard.state())))

    assert other.state() == guard.state()
    assert other.state()["losses"] == seen[-128:]
    losses = [3 + 4 * math.sin(n) for n in range(50)]
    assert [other.admits(x, 1.0) for x in losses] == [guard.admits(x, 1.0) for x in losses]
    assert other.state() == guard.state()
    assert 1 < other.skipped < 50
