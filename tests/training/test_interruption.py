import os
import signal
import subprocess
import sys
import threading

import pytest

from lmprep.errors import Interrupted, Terminated
from lmprep.training.interruption import StopRequest


class Unprotected(Exception):
    """What a signal does without us, in these tests."""


@pytest.fixture(autouse=True)
def handlers():
    def act(number, frame):
        raise Unprotected

    before = {number: signal.signal(number, act) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, Interrupted), (signal.SIGTERM, Terminated)]
)
def test_the_first_signal_is_remembered_and_the_second_acts_at_once(number, kind):
    with StopRequest() as stop:
        assert stop.kind is None
        os.kill(os.getpid(), number)
        assert stop.kind is kind
        with pytest.raises(Unprotected):
            os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, Interrupted), (signal.SIGTERM, Terminated)]
)
def test_at_once_a_signal_acts_and_is_remembered(number, kind):
    with StopRequest() as stop:
        with stop.at_once(), pytest.raises(Unprotected):
            os.kill(os.getpid(), number)
        assert stop.kind is kind  # in case the exception got lost
        with pytest.raises(Unprotected):
            os.kill(os.getpid(), number)


def test_an_error_that_a_library_made_of_a_signal_is_a_stop():
    def stumble():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Unprotected:
            raise ValueError("could not determine the shape") from None

    said = r"Terminated before a step was done.*--resume"
    with pytest.raises(Terminated, match=said) as caught, StopRequest() as stop, stop.at_once():
        stumble()
    assert caught.value.exit_code == 143


def test_an_error_without_a_signal_stays_what_it_is():
    with pytest.raises(ValueError, match="of its own"), StopRequest() as stop, stop.at_once():
        raise ValueError("of its own")


def test_after_the_block_at_once_signals_wait_again():
    with StopRequest() as stop:
        with stop.at_once():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.kind is Terminated


def test_at_once_a_signal_kills_where_it_would_without_us():
    code = """
import os, signal
from lmprep.training.interruption import StopRequest
with StopRequest() as stop, stop.at_once():
    os.kill(os.getpid(), signal.SIGTERM)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGTERM


def test_what_the_caller_ignores_is_remembered_and_kills_nobody():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with StopRequest() as stop, stop.at_once():
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.kind is Interrupted


def test_afterwards_signals_act_as_before():
    with StopRequest():
        pass
    with pytest.raises(Unprotected):
        os.kill(os.getpid(), signal.SIGTERM)


def test_other_threads_are_left_alone():
    before = signal.getsignal(signal.SIGINT)
    inside = []

    def work():
        with StopRequest():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]
