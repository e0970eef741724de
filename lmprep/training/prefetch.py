"""The next few of something made on another thread while the last is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Made = TypeVar("Made")
_AHEAD = 2


def prefetched(items: Iterator[Made], ahead: int = _AHEAD) -> Generator[Made, None, None]:
    """The items, each made before it is asked for; an error comes in the place of its item.

    Closing the generator stops the thread, once it has made what it is making.
    """

    def take() -> list[Made]:
        return list(islice(items, 1))

    with ThreadPoolExecutor(1, "batches") as pool:
        waiting: deque[Future[list[Made]]] = deque(pool.submit(take) for _ in range(ahead))
        try:
            while made := waiting.popleft().result():
                waiting.append(pool.submit(take))
                yield made[0]
        finally:
            pool.shutdown(cancel_futures=True)
