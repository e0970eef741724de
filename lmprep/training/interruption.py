"""Ctrl-C and SIGTERM: finish the step, save, then stop. A second one stops at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from lmprep.errors import Interrupted, Terminated

_KINDS = {signal.SIGINT: Interrupted, signal.SIGTERM: Terminated}


class StopRequest:
    """While active, remembers the first SIGINT or SIGTERM instead of dying of it.

    Signals reach the main thread only; in another one this does nothing.
    """

    def __init__(self) -> None:
        self.kind: type[Interrupted] | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._remember) for s in _KINDS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.kind = _KINDS[signal.Signals(number)]
        self._restore()  # the next one acts as it would without us

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
