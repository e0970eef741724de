"""Slow, obvious twins of the readers, and short ways to call the fast ones."""

from __future__ import annotations

import gzip
import itertools
import json
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from lmprep.corpus import (
    CorpusSettings,
    InputFile,
    Partition,
    expand,
    plan_sources,
    read_partitions,
)
from lmprep.corpus import blocks as blocks_module

SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="no shared data beside the project")

ASCII_SPACE = " \t\n\r\x0b\x0c"


def documents_of_text(data: bytes, documents: str = "blank") -> list[str]:
    text = data.removeprefix(b"\xef\xbb\xbf").decode()
    lines = [line.rstrip(ASCII_SPACE) for line in text.split("\n")]
    if documents == "line":
        return [line for line in lines if line]
    if documents == "file":
        whole = "\n".join(lines).strip("\n")
        return [whole] if whole else []
    return ["\n".join(block) for filled, block in itertools.groupby(lines, bool) if filled]


def documents_of_records(data: bytes) -> list[str]:
    lines = data.removeprefix(b"\xef\xbb\xbf").decode().split("\n")
    texts = [json.loads(line)["text"] for line in lines if line.strip(ASCII_SPACE)]
    return [text for text in texts if text.strip(ASCII_SPACE)]


def texts(partition: Partition) -> list[str]:
    bounds = itertools.pairwise(partition.document_offsets)
    return [partition.text[a:b].tobytes().decode() for a, b in bounds]


def partitions_of(
    inputs: list[InputFile], settings: CorpusSettings, partition_bytes: int = 1 << 20
) -> list[Partition]:
    sources = plan_sources(inputs, settings, partition_bytes)
    return [p for s in sources for p in read_partitions(s, settings, partition_bytes)]


def read(path: Path, partition_bytes: int = 1 << 20, **settings: str) -> list[str]:
    """All documents of a file."""
    chosen = CorpusSettings(**settings)
    inputs = expand([str(path)], format=chosen.format)
    return [text for p in partitions_of(inputs, chosen, partition_bytes) for text in texts(p)]


def written(folder: Path, name: str, data: bytes) -> Path:
    """A new file, compressed if its name says so."""
    path = folder / name
    path.write_bytes(gzip.compress(data, 1) if name.endswith(".gz") else data)
    return path


@contextmanager
def block_bytes(size: int):
    """Read in tiny blocks."""
    with mock.patch.object(blocks_module, "BLOCK_BYTES", size):
        yield
