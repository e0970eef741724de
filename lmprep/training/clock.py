"""How long a training has lasted: its steps count, validations and checkpoints do not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """A stop watch over several sittings.

    Args:
        seconds: of earlier sittings.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._since: float | None = None  # running since then, None while it stands

    @property
    def seconds(self) -> float:
        """Of all sittings so far."""
        running = 0.0 if self._since is None else time.monotonic() - self._since
        return self._seconds + running

    def start(self) -> None:
        """Run from now on."""
        self._since = time.monotonic()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still for the time of the block."""
        self._seconds, self._since = self.seconds, None
        try:
            yield
        finally:
            self.start()
