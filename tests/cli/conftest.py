"""Commands run in this process, which is faster than starting one."""

from __future__ import annotations

import signal
from typing import NamedTuple

import pytest

from lmprep.cli import main


class Ended(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capfd, monkeypatch, tmp_path):
    """Run a command in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)

    def call(*arguments: object) -> Ended:
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        return Ended(int(left.value.code or 0), *capfd.readouterr())

    yield call
    signal.signal(signal.SIGTERM, handler)
