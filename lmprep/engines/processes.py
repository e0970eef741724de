"""Worker processes: each calls one function after another; they end with their parent.

Each worker has a pipe of its own, whose other end nobody but this process holds. So a worker may be
killed at any moment, in the middle of a message too: here that reads as the end of the pipe. (The
standard library's pool shares one pipe among all, and holds both of its ends: it waits for ever for
the rest of a message whose sender was killed.)
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any

from lmprep.errors import LmprepError

Call = tuple[Callable[[Any], Any], Any]
"""A function for a worker, and its argument."""

Answer = tuple[bool | None, Any]
"""Whether a call returned, and what or which error; None for a worker that was killed."""

_STOPS = (signal.SIGINT, signal.SIGTERM)


def run_in_processes(
    calls: Iterable[Call],
    workers: int,
    *,
    start: Callable[[Any], object],
    argument: Any,
    on_result: Callable[[Any], object],
    fix: str,
) -> None:
    """Make all calls, in any order; when it returns or raises no worker is left.

    Args:
        calls: taken as workers become free, with one call waiting.
        workers: number of processes.
        start: called once in each worker, with `argument`.
        on_result: called here with what each call returns, as they end.
        fix: what to do when a worker was killed.

    Raises:
        LmprepError: a worker was killed.
    """
    team = _Team((start, argument))

    def collect() -> None:
        returned, value = team.answers.get()
        if returned is None:
            what = "a worker process was killed, perhaps for want of memory"
            raise LmprepError(what, fix=fix)
        if not returned:
            raise value
        on_result(value)

    waiting = 0
    try:
        for call in calls:
            if team.size < workers:
                team.add()
            team.calls.put(call)
            waiting += 1
            if waiting > workers:
                collect()
                waiting -= 1
        for _ in range(waiting):
            collect()
        team.dismiss()
    finally:
        team.kill()  # what is half-done has no final name


class _Team:
    """The workers, the calls that wait for one of them, and what was answered.

    Args:
        start: the first call of each worker.
    """

    def __init__(self, start: Call) -> None:
        self.calls: SimpleQueue[Call | None] = SimpleQueue()
        self.answers: SimpleQueue[Answer] = SimpleQueue()
        self._start = start
        self._members: list[tuple[BaseProcess, threading.Thread]] = []

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self._members)

    def add(self) -> None:
        """Start a worker, and a thread that hands calls to it."""
        ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=_serve, args=(theirs, os.getpid()), daemon=True)
        thread = threading.Thread(target=self._attend, args=(ours,), daemon=True)
        with no_stops():  # the worker is counted before a stop can end this process
            process.start()
            self._members.append((process, thread))
            theirs.close()
            thread.start()

    def _attend(self, worker: Connection) -> None:
        with worker:
            try:
                worker.send(self._start)
                returned, value = worker.recv()
                if not returned:
                    self.answers.put((returned, value))
                    return
                while (call := self.calls.get()) is not None:
                    worker.send(call)
                    self.answers.put(worker.recv())
            except (EOFError, OSError):
                self.answers.put((None, None))

    def dismiss(self) -> None:
        """Let all workers end by themselves."""
        for _ in self._members:
            self.calls.put(None)
        for process, _ in self._members:
            process.join()

    def kill(self) -> None:
        """End all workers that are still there, at once."""
        for process, _ in self._members:
            process.kill()
            self.calls.put(None)
        for process, thread in self._members:
            process.join()
            thread.join()


@contextmanager
def no_stops() -> Iterator[None]:
    """Signals that ask to stop wait until the block ends; a process begun in it starts so, too."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, parent: int) -> None:
    """The life of a worker."""
    leave_stops_to(parent)
    try:
        while True:
            function, argument = connection.recv()
            connection.send(_answer(function, argument))
    except (EOFError, ConnectionError):
        return  # dismissed


def _answer(function: Callable[[Any], Any], argument: Any) -> Answer:
    try:
        return True, function(argument)
    except Exception as error:
        trace = f"In a worker process:\n{traceback.format_exc()}"
        error.add_note(trace)
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            return False, RuntimeError(trace)  # the error itself cannot travel
        return False, error


def leave_stops_to(parent: int) -> None:
    """To be called by a process that `no_stops` began: Ctrl-C is its parent's business, and it ends
    with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()


def _end_with_parent(parent: int) -> None:
    """A worker whose parent was killed while it works would go on, or wait for ever."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
