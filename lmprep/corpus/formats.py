"""Sources to partitions of documents: which reader reads which format."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lmprep.corpus.columns import read_columns
from lmprep.corpus.partitions import Partition, Piece, cut
from lmprep.corpus.plan import Source
from lmprep.corpus.records import read_records
from lmprep.corpus.sources import Part
from lmprep.corpus.text import read_text
from lmprep.settings import CorpusSettings

__all__ = ["READERS", "CorpusSettings", "Partition", "read_partitions"]

Reader = Callable[[Part, CorpusSettings], Iterator[Piece]]
READERS: dict[str, Reader] = {
    "txt": read_text,
    "jsonl": read_records,
    "parquet": read_columns,
    "arrow": read_columns,
}
"""By `InputFile.format`."""


def read_partitions(
    source: Source, settings: CorpusSettings, partition_bytes: int
) -> Iterator[Partition]:
    """Read a source: its documents in partitions of about `partition_bytes` bytes of text.

    Raises:
        InputError: a file cannot be read as what it should be.
    """
    format = source.parts[0].file.format
    pieces = (piece for part in source.parts for piece in READERS[format](part, settings))
    return cut(pieces, source=source.index, input_format=format, partition_bytes=partition_bytes)
