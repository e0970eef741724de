import pytest

from lmprep.settings import PretrainSettings
from lmprep.training.schedules import Budget, learning_rate

STEPS = 100


def rates(schedule: str, warmup: object = "0.1") -> list[float]:
    from lmprep.settings import parse_rate

    settings = PretrainSettings(
        model="bert-tiny", steps=STEPS, schedule=schedule, warmup=parse_rate(warmup)
    )
    return [learning_rate(settings, 2.0, (step + 0.5) / STEPS) for step in range(STEPS)]


def test_linear_rises_to_the_peak_and_falls_to_almost_nothing():
    found = rates("linear")

    assert found[0] == pytest.approx(2.0 * 0.005 / 0.1)
    assert found[:10] == sorted(found[:10])
    assert found[10:] == sorted(found[10:], reverse=True)
    assert max(found) == pytest.approx(2.0 * 0.895 / 0.9)
    assert found[-1] == pytest.approx(2.0 * 0.005 / 0.9)


def test_constant_stays_at_the_peak():
    assert rates("constant")[10:] == [2.0] * 90


@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_no_step_is_wasted_whatever_the_warmup(schedule):
    for warmup in ("0", "0.005", "0.5", "1"):
        found = rates(schedule, warmup)
        assert min(found) > 0
        assert max(found) <= 2.0


def test_a_linear_rate_is_never_negative_past_the_end():
    settings = PretrainSettings(model="bert-tiny", steps=1)

    assert learning_rate(settings, 1.0, 1.2) == 0


@pytest.mark.parametrize(
    ("given", "spent"), [({"steps": 20}, 0.5), ({"tokens": 400}, 0.25), ({"time": 8.0}, 0.125)]
)
def test_a_budget_counts_its_own_unit(given, spent):
    budget = Budget.of(PretrainSettings(model="bert-tiny", **given))

    assert budget.spent(steps=10, tokens=100, seconds=1.0) == spent
