"""Count the words of a corpus in worker processes, or, if it is small, in threads.

Who reads what is as in `local`. Words come back in files of a temporary folder, each read and
removed as soon as it is there.

A process takes more than a second to start, a thread nothing; but only what kernels do is done side
by side in threads, and two of them come to 1.4 times one. So threads are for text files of less
than `_IN_THREADS` bytes: other formats, and ICU's sentences, keep Python busy.
"""

from __future__ import annotations

import math
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from lmprep.corpus import Partition, Source, read_partitions
from lmprep.corpus.plan import text_bytes
from lmprep.corpus.sources import STDIN
from lmprep.engines.processes import Call, run_in_processes
from lmprep.tokenization.counted_words import saved_words
from lmprep.tokenization.word_table import WordTable
from lmprep.vocab import (
    Counted,
    Counting,
    OnCounted,
    PartitionCounter,
    count_here,
)

_TABLE_BYTES = 100_000_000  # of words in each worker: two million of English
_WORTH = 4  # partitions for which it is worth while to start another process
_IN_THREADS = 256_000_000
_THREADS = 2  # more of them wait for one another


@dataclass(frozen=True)
class Workers:
    """The engine that counts in up to `number` processes of this machine."""

    number: int

    def __call__(
        self, counting: Counting, sources: Sequence[Source], on_counted: OnCounted
    ) -> None:
        """Count all partitions."""
        size = text_bytes(sources)
        is_small = size < _IN_THREADS and _is_plain_text(sources, counting)
        if is_small and min(self.number, len(sources)) > 1:
            _count_in_threads(counting, sources, on_counted)
            return
        workers = min(self.number, math.ceil(size / (_WORTH * counting.partition_bytes)))
        if workers <= 1:
            count_here(counting, sources, on_counted)
            return

        def collect(result: tuple[list[Path], Counted]) -> None:
            files, facts = result
            on_counted(facts)
            for file in files:
                for words in saved_words(file):
                    on_counted(Counted(words=words))
                file.unlink()

        with tempfile.TemporaryDirectory(
            prefix="lmprep-words-", ignore_cleanup_errors=True
        ) as folder:
            run_in_processes(
                _calls(counting, sources, workers),
                workers,
                start=_start,
                argument=(counting, Path(folder)),
                on_result=collect,
                fix="Run the same command with fewer --workers",
            )


def _is_plain_text(sources: Sequence[Source], counting: Counting) -> bool:
    parts = (part for source in sources for part in source.parts)
    return counting.corpus.sentences != "icu" and all(part.file.format == "txt" for part in parts)


def _count_in_threads(counting: Counting, sources: Sequence[Source], on_counted: OnCounted) -> None:
    """Count source by source in `_THREADS` threads."""
    own = threading.local()
    stopped = threading.Event()

    def count(source: Source) -> list[Counted]:
        if not hasattr(own, "counter"):
            own.counter = PartitionCounter(counting)
        partitions = read_partitions(source, counting.corpus, counting.partition_bytes)
        return [own.counter.count(p) for p in partitions if not stopped.is_set()]

    with ThreadPoolExecutor(_THREADS, "counting") as pool:
        try:
            for future in as_completed([pool.submit(count, source) for source in sources]):
                for counted in future.result():
                    on_counted(counted)
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)


def _calls(counting: Counting, sources: Sequence[Source], workers: int) -> Iterator[Call]:
    few = len(sources) < workers
    for source in sources:
        if few or any(part.file.path == STDIN for part in source.parts):
            for partition in read_partitions(source, counting.corpus, counting.partition_bytes):
                yield _count_partition, partition
        else:
            yield _count_source, source


@dataclass
class _Worker:
    """The state of a worker process."""

    counting: Counting
    counter: PartitionCounter
    folder: Path

    def count(self, partitions: Iterable[Partition]) -> tuple[list[Path], Counted]:
        """Count partitions; the files that hold their words, and the facts about them."""
        table = WordTable(_TABLE_BYTES)
        files: list[Path] = []
        facts = Counted()
        for partition in partitions:
            counted = self.counter.count(partition)
            first = 0
            while (first := table.add(counted.words, first)) < len(counted.words):
                files.append(self._save(table))
            facts = _sum(facts, counted)
        return [*files, self._save(table)], facts

    def _save(self, table: WordTable) -> Path:
        """Move the words of a table to a new file."""
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as file:
            table.words().save(file)
        table.clear()
        return Path(file.name)


def _sum(a: Counted, b: Counted) -> Counted:
    """The facts about both, without words."""
    return Counted(
        documents=a.documents + b.documents,
        sentences=a.sentences + b.sentences,
        text_bytes=a.text_bytes + b.text_bytes,
        read_bytes=a.read_bytes + b.read_bytes,
        warnings=a.warnings + b.warnings,
        beginning=a.beginning if b.beginning is None else b.beginning,
    )


_worker: _Worker


def _start(argument: tuple[Counting, Path]) -> None:
    """Once in each worker process."""
    global _worker
    counting, folder = argument
    _worker = _Worker(counting, PartitionCounter(counting), folder)


def _count_partition(partition: Partition) -> tuple[list[Path], Counted]:
    return _worker.count([partition])


def _count_source(source: Source) -> tuple[list[Path], Counted]:
    counting = _worker.counting
    return _worker.count(read_partitions(source, counting.corpus, counting.partition_bytes))
