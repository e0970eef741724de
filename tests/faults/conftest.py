"""The battery of faults: `pytest tests/faults --rounds 20`; one round unless asked for more."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from tests.faults.cases import Case
from tests.faults.trainings import Server, Training


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    """A process that forks trainings, with a dataset for each case."""
    with Server(tmp_path_factory.mktemp("faults") / "data") as server:
        server.wait_until_ready()
        yield server


@pytest.fixture(scope="session")
def undisturbed(server, tmp_path_factory) -> Callable[[Case], tuple[Training, float]]:
    """For a case: the training that nothing happened to, and the seconds it took."""
    done: dict[Case, tuple[Training, float]] = {}

    def of(case: Case) -> tuple[Training, float]:
        if case not in done:
            training = Training(server, case, tmp_path_factory.mktemp("undisturbed"))
            done[case] = training, training.finish()
        return done[case]

    return of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "round" in metafunc.fixturenames:
        metafunc.parametrize("round", range(metafunc.config.getoption("--rounds")))


@pytest.fixture
def dice(round) -> random.Random:
    """Chance, another one in each round."""
    return random.Random(round)
