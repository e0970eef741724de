"""Worker processes end when they must, whatever they are in the middle of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from lmprep.engines.processes import run_in_processes
from lmprep.errors import InputError, LmprepError


def run(calls, *, workers=2, start=id, on_result=lambda _: None):
    run_in_processes(
        calls, workers, start=start, argument=0, on_result=on_result, fix="Do something"
    )


def wrong(line: int) -> None:
    raise InputError("not a number", path="a.txt", line=line, fix="Write one")


class Odd(Exception):
    """An error that cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("odd")
        self.lock = threading.Lock()


def odd(_: object) -> None:
    raise Odd


def test_every_call_is_made_and_its_result_reported():
    found: list[int] = []
    run([(abs, -n) for n in range(20)], on_result=found.append)

    assert sorted(found) == list(range(20))


def test_a_call_waits_for_no_further_one():
    """The input may be slow: what was read of it is worked on meanwhile."""
    answered = threading.Event()

    def calls():
        yield abs, -1
        yield abs, -2
        yield abs, -3
        yield abs, -4
        assert answered.wait(30)

    run(calls(), on_result=lambda _: answered.set())


def test_an_error_of_a_worker_arrives_as_it_was():
    with pytest.raises(InputError) as caught:
        run([(wrong, 7)])
    assert str(caught.value) == "a.txt:7: not a number. Write one."
    with pytest.raises(RuntimeError, match=r"(?s)In a worker process.*in odd"):
        run([(odd, 0)])
    with pytest.raises(InputError):
        run([(abs, 1)], start=wrong)


def test_a_killed_worker_is_told_with_what_to_do():
    with pytest.raises(LmprepError, match="a worker process was killed") as caught:
        run([(os._exit, 3)])
    assert caught.value.fix == "Do something"


def test_a_stop_in_the_middle_of_a_large_answer_is_a_stop():
    """With the standard library's pool this waited for the rest of the answer, for ever."""
    ending = threading.Event()

    def calls():
        for _ in range(2):
            yield bytes, 200_000_000  # takes longer than what follows
        time.sleep(0.4)
        raise KeyboardInterrupt

    def stop() -> None:
        with pytest.raises(KeyboardInterrupt):
            run(calls())
        ending.set()

    threading.Thread(target=stop, daemon=True).start()
    assert ending.wait(30)


STOPPED_TWICE = """
import os, signal, sys, time
from lmprep import cli

@cli.cli.command()
def slow():
    try:
        print("working", flush=True)
        time.sleep(60)
    finally:
        print("cleaning", flush=True)
        time.sleep(60)

signal.signal(signal.SIGINT, signal.default_int_handler)
cli.main(["slow"])
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_stop_does_not_wait(number, code):
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED_TWICE], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert process.stdout.readline() == b"working\n"
        process.send_signal(number)
        assert process.stdout.readline() == b"cleaning\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=20)

    assert process.returncode == code
    assert b"Stopped at once" in said
    assert b"Traceback" not in said
