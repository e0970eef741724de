"""Trainings from the outside: start, wait, kill, compare with the one that nothing happened to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmprep.errors import CheckpointError
from lmprep.training import checkpoints
from lmprep.training.metrics import read_metrics
from tests.faults.cases import Case

# What depends on the clock, in the state of a checkpoint and in lines of metrics.
_CLOCK = {"seconds", "elapsed", "tokens_per_second", "utilisation"}


class Server:
    """The process that forks trainings, see `server.py`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.server", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=root,
            text=True,
        )

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def wait_until_ready(self) -> None:
        """The datasets are built then."""
        assert self._answer() == "ready"

    def ask(self, question: Any) -> Any:
        """A question, as JSON, to the server."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the server of trainings died"
        return json.loads(line)


@dataclass
class Sitting:
    """Processes that train together.

    Args:
        server: that they were asked of.
        processes: their numbers.
        started: on the clock of `time.monotonic`.
    """

    server: Server
    processes: list[int]
    started: float = field(default_factory=time.monotonic)

    def signal(self, number: signal.Signals) -> None:
        """Send each a signal."""
        for process in self.processes:
            os.kill(process, number)

    def press_ctrl_c(self) -> None:
        """Send SIGINT to all that was started from here, compilers included, as a terminal does."""
        for process in self.processes:
            os.killpg(process, signal.SIGINT)

    def wait(self) -> set[int]:
        """The exit codes, or minus the signals they died of."""
        return {int(self.server.ask(process)) for process in self.processes}

    def runs(self) -> bool:
        """Do all of them still?"""
        return not any(map(_ended, self.processes))


class Training:
    """A run folder and what goes on in it.

    Args:
        place: empty folder for the run and what is noted beside it.
    """

    def __init__(self, server: Server, case: Case, place: Path) -> None:
        self.server, self.case, self.place = server, case, place
        self.run, self.order, self.output = place / "run", place / "order", place / "output"

    def start(
        self,
        *flags: str,
        ranks: int | None = None,
        environment: Mapping[str, str] | None = None,
        **harm: Any,
    ) -> Sitting:
        """Begin or go on.

        Args:
            flags: beside those of the case.
            ranks: not as many as the case has.
            environment: beside what `torchrun` sets.
            harm: arguments of `child.train`.
        """
        count = ranks or self.case.ranks
        port = str(_free_port())
        requests = [
            {
                "command": [*self.case.command(self.server.folder, self.run), *flags],
                "output": str(self.output),
                "environment": {
                    **{"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)},
                    **{"MASTER_ADDR": "localhost", "MASTER_PORT": port},
                    **(environment or {}),
                },
                "order": str(self.order),
                **harm,
            }
            for rank in range(count)
        ]
        return Sitting(self.server, [self.server.ask(request) for request in requests])

    def finish(self, *flags: str, **harm: Any) -> float:
        """Go on to the end; returns the seconds it took."""
        sitting = self.start(*flags, **harm)
        assert sitting.wait() == {0}, self.said
        return time.monotonic() - sitting.started

    @property
    def said(self) -> str:
        """All that was printed so far."""
        return self.output.read_text() if self.output.exists() else ""

    def outcome(self) -> dict[str, Any]:
        """What a run came to, but for the clock."""
        newest = checkpoints.steps(self.run)[-1]
        state = json.loads((checkpoints.folder_of(self.run, newest) / "state.json").read_bytes())
        return {
            "state": _timeless(state),  # with the checksums of weights and optimizer
            "metrics": [_timeless(line) for line in read_metrics(self.run)],
        }

    def batches(self) -> dict[tuple[int, int], set[str]]:
        """What each bin of the step at each position held, over all sittings."""
        found: dict[tuple[int, int], set[str]] = defaultdict(set)
        for line in self.order.read_text().splitlines():
            position, number, content = line.split()
            found[int(position), int(number)].add(content)
        return dict(found)

    def is_writing(self) -> bool:
        """Is a checkpoint half written?"""
        return any((self.run / "checkpoints").glob(".step-*"))

    def assert_whole(self) -> None:
        """Every checkpoint that has its name is intact, after whatever happened."""
        for step in checkpoints.steps(self.run):
            try:
                checkpoints.load(self.run, step)
            except CheckpointError as error:
                raise AssertionError(f"{error}\n{self.said}") from error


def _timeless(record: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in record.items() if k not in _CLOCK | {"state_sha256"}}


def assert_same(found: Training, expected: Training) -> None:
    """Weights, optimizer, metrics and batches are equal, to the bit."""
    assert found.outcome() == expected.outcome(), found.said
    assert_same_order(found, expected)


def assert_same_order(found: Training, expected: Training) -> None:
    """Every step saw the same batches, whoever shared it and however often it was repeated."""
    order, wanted = found.batches(), expected.batches()
    trained = {place for place in wanted if place[0] < expected.outcome()["state"]["position"]}
    assert trained <= order.keys()
    # How far batches were made ahead of the last step depends on the clock.
    for place in order.keys() & wanted.keys():
        assert order[place] == wanted[place], f"position {place[0]}, bin {place[1]}"


def wait_until(holds: Callable[[], bool], sitting: Sitting, patience: float = 60.0) -> bool:
    """Watch closely for something; False if a process ends first."""
    end = time.monotonic() + patience
    while not holds():
        if not sitting.runs():
            return False
        assert time.monotonic() < end
        time.sleep(0)
    return True


def _ended(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")  # the server has not waited for it yet
    return status.read_text().rpartition(")")[2].split()[0] == "Z"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])
