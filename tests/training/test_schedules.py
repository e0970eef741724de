from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.pretrain_settings import SCHEDULES, PretrainSettings
from lmprep.settings import parse_rate
from lmprep.training.schedules import Budget, learning_rate

STEPS = 100
FALLING = ("linear", "cosine", "wsd")


def settings_of(schedule: str, **shares: object) -> PretrainSettings:
    rates = {name: parse_rate(share) for name, share in shares.items()}
    return PretrainSettings(model="bert-tiny", steps=STEPS, schedule=schedule, **rates)


def rates(schedule: str, **shares: object) -> list[float]:
    settings = settings_of(schedule, **shares)
    return [learning_rate(settings, 2.0, (step + 0.5) / STEPS) for step in range(STEPS)]


# Warmup 0.2, cooldown 0.4, final share 0.1 and peak 2, worked by hand: 0.6 is halfway down for
# linear and cosine, 0.4 a quarter; 0.8 is halfway down the cooldown.
WORKED = {
    "linear": {0.1: 1.0, 0.2: 2.0, 0.4: 1.55, 0.6: 1.1, 1.0: 0.2},
    "cosine": {0.1: 1.0, 0.2: 2.0, 0.4: 0.2 + 0.9 * (1 + math.sqrt(0.5)), 0.6: 1.1, 1.0: 0.2},
    "wsd": {0.1: 1.0, 0.2: 2.0, 0.4: 2.0, 0.6: 2.0, 0.7: 1.55, 0.8: 1.1, 1.0: 0.2},
    "inverse-sqrt": {0.1: 1.0, 0.2: 2.0, 0.45: 4 / 3, 0.8: 1.0, 1.0: 2 * math.sqrt(0.2)},
    "constant": {0.1: 1.0, 0.2: 2.0, 0.6: 2.0, 1.0: 2.0},
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rates_are_those_worked_by_hand(schedule):
    shares = {"warmup": "0.2"}
    shares |= {"final_lr": "0.1"} if schedule in FALLING else {}
    shares |= {"cooldown": "0.4"} if schedule == "wsd" else {}
    settings = settings_of(schedule, **shares)

    for progress, rate in WORKED[schedule].items():
        assert learning_rate(settings, 2.0, progress) == pytest.approx(rate, rel=1e-12), progress


@pytest.mark.parametrize("schedule", FALLING)
@pytest.mark.parametrize("final", ["0", "0.1", "0.3", "1"])
def test_the_ends_are_exact(schedule, final):
    settings = settings_of(schedule, final_lr=final, warmup="0.3")

    assert learning_rate(settings, 3e-4, 0.0) == 0
    assert learning_rate(settings, 3e-4, 0.3) == 3e-4
    assert learning_rate(settings, 3e-4, 1.0) == 3e-4 * float(Fraction(final))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_past_the_end_a_rate_stays_what_it_is_there(schedule):
    settings = settings_of(schedule)

    assert learning_rate(settings, 1.0, 1.2) == learning_rate(settings, 1.0, 1.0)


shares = st.integers(1, 99).map(lambda percent: Fraction(percent, 100))


@given(st.sampled_from(SCHEDULES), shares, shares, shares)
def test_a_rate_rises_to_the_peak_then_never_rises_and_never_jumps(schedule, warmup, cooldown, end):
    settings = PretrainSettings(
        model="bert-tiny",
        steps=1,
        schedule=schedule,
        warmup=warmup,
        cooldown=min(cooldown, 1 - warmup) if schedule == "wsd" else PretrainSettings.cooldown,
        final_lr=end if schedule in FALLING else Fraction(0),
    )
    grid = [n / 400 for n in range(401)]
    found = [learning_rate(settings, 1.0, progress) for progress in grid]
    top = next(n for n, progress in enumerate(grid) if progress >= float(warmup))

    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert found[top] == pytest.approx(1.0, abs=1e-12)
    # The steepest possible: a cosine that falls all the way in a hundredth of the training.
    assert max(abs(a - b) for a, b in pairwise(found)) <= 0.4


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_step_is_wasted_whatever_the_warmup(schedule):
    warmups = ("0.005", "0.5", "1") if schedule != "wsd" else ("0", "0.005", "0.5", "0.8")
    for warmup in warmups:
        found = rates(schedule, warmup=warmup)
        assert min(found) > 0
        assert max(found) <= 2.0


def test_without_warmup_the_first_step_has_almost_the_peak():
    assert rates("linear", warmup="0")[0] == pytest.approx(2.0 * 0.995)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"schedule": "wsd", "warmup": "0.3", "cooldown": "0.8"}, "warmup 0.3 and cooldown 0.8"),
        ({"schedule": "wsd", "cooldown": "0"}, "wsd falls in its cooldown"),
        ({"schedule": "cosine", "cooldown": "0.3"}, "cooldown is for the schedule wsd, not for co"),
        ({"schedule": "constant", "final_lr": "0.1"}, "final_lr 0.1 is for linear, cosine and wsd"),
        ({"schedule": "inverse-sqrt", "final_lr": "0.1"}, "inverse-sqrt does not fall to it"),
        ({"schedule": "inverse-sqrt", "warmup": "0"}, "the warmup, which must be above 0"),
    ],
)
def test_shares_that_the_schedule_would_pass_over_are_refused(shares, message):
    with pytest.raises(ValueError, match=message):
        settings_of(**shares)


@pytest.mark.parametrize("name", ["warmup", "cooldown", "final_lr"])
def test_a_share_above_the_whole_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} 3/2 must be from 0 to 1"):
        PretrainSettings(model="bert-tiny", steps=1, **{name: Fraction(3, 2)})


@pytest.mark.parametrize(
    ("given", "spent"), [({"steps": 20}, 0.5), ({"tokens": 400}, 0.25), ({"time": 8.0}, 0.125)]
)
def test_a_budget_counts_its_own_unit(given, spent):
    budget = Budget.of(PretrainSettings(model="bert-tiny", **given))

    assert budget.spent(steps=10, tokens=100, seconds=1.0) == spent
