"""Ctrl-C and SIGTERM: finish the step, save, then stop. A second one stops at once.

    with StopRequest() as stop:      a signal sets `stop.kind`; the training looks at it between
        ...                          two steps
        with stop.at_once():         a signal acts as it would without us, too:
            ...                      as long as nothing is trained there is nothing to save

It is remembered in `at_once` as well, since the exception that a signal raises can get lost in a
callback or a library's `except`, or become another one: then the training stops when it looks
first, and an error on the way there is taken for the stop it came of.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from lmprep.errors import Interrupted, Terminated

_KINDS = {signal.SIGINT: Interrupted, signal.SIGTERM: Terminated}


class StopRequest:
    """While active, remembers the first SIGINT or SIGTERM instead of dying of it.

    Signals reach the main thread only; in another one this does nothing.
    """

    def __init__(self) -> None:
        self.kind: type[Interrupted] | None = None
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int] = {}
        self._at_once = False

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in _KINDS:
                # None: not a handler of Python's; we could not give it back.
                if (before := signal.signal(number, self._remember)) is not None:
                    self._before[number] = before
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within the block the first signal acts at once, besides being remembered.

        Raises:
            Interrupted: a library stumbled over what the signal raised.
        """
        self._at_once = True
        try:
            yield
        except Exception as error:
            if self.kind is None:
                raise
            raise self.kind(
                f"{self.kind.__name__} before a step was done; nothing is lost",
                fix="Run the same command with --resume to go on",
            ) from error
        finally:
            self._at_once = False

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.kind = self.kind or _KINDS[signal.Signals(number)]
        self._restore()  # the next one acts as it would without us
        if not self._at_once:
            return
        before = self._before.get(number, signal.SIG_DFL)
        if callable(before):
            before(number, frame)
        else:  # a constant: what the system does by itself
            os.kill(os.getpid(), number)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
