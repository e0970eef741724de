"""Compressed bytes to bytes: gzip, bzip2, xz and Zstandard, of any number of members or frames.

Nothing is believed: data that is damaged or cut off is refused, and so is data that grows beyond
all measure (a decompression bomb), before it takes memory.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa

STORED_BYTES = 1 << 18
"""Read at a time from a compressed file, so that what comes of it can be judged early."""

_BOMB_BYTES = 64 << 20
_BOMB_RATIO = 200
_XZ_MEMORY = 1 << 28

MAGIC = {
    "gz": (b"\x1f\x8b",),
    "bz2": tuple(b"BZh%d1AY&SY" % level for level in range(1, 10)),
    "xz": (b"\xfd7zXZ\0",),
    "zst": (b"\x28\xb5\x2f\xfd",),
}
"""What files of each codec begin with."""
NAMES = {"gz": "gzip", "bz2": "bzip2", "xz": "xz", "zst": "zstd"}
"""The programs that write them."""


def decompressed(blocks: Iterator[bytes], codec: str, most: int) -> Iterator[bytes]:
    """The text of a compressed file.

    Args:
        blocks: as stored, of at most `STORED_BYTES`.
        codec: a key of `NAMES`; empty: blocks are handed on as they are.
        most: bytes of a block that comes out, at most.

    Raises:
        ValueError: it is damaged, cut off, something else, or more than 64 MB come from less than
            a two-hundredth of that.
    """
    if not codec:
        yield from blocks
        return
    stored = _Counted(blocks)
    done = 0
    for data in _DECOMPRESSORS[codec](stored, most):
        done += len(data)
        if done > _BOMB_BYTES and done > _BOMB_RATIO * stored.bytes:
            raise ValueError(
                f"{stored.bytes} bytes of {NAMES[codec]} data became more than {done} "
                f"({_BOMB_RATIO} times as many), as in a decompression bomb"
            )
        yield data


class _Counted:
    """Blocks, and how many bytes were taken from them."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.bytes = 0
        self._blocks = blocks

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self.bytes += len(block)
            yield block


def _members(blocks: _Counted, most: int, codec: str, new: Callable[[], Any]) -> Iterator[bytes]:
    """Decompress one member after another; NUL bytes may pad them at the end."""
    member, members, begins_well = None, 0, True
    for block in blocks:
        rest = block
        while rest or (member is not None and not member.needs_input and not member.eof):
            if member is None:
                rest = rest.lstrip(b"\0") if members else rest
                member = new() if rest else None
                begins_well = _begins_as(codec, rest)
                continue
            try:
                data = member.decompress(rest, most)
            except (OSError, lzma.LZMAError, EOFError, zlib.error) as error:
                raise ValueError(_fault(codec, members, begins_well, str(error))) from error
            rest = b""
            if member.eof:
                rest, member, members = member.unused_data, None, members + 1
            if data:
                yield data
    if member is not None:
        raise ValueError(f"the {NAMES[codec]} data ends too early: the file is cut off")


def _fault(codec: str, members: int, begins_well: bool, error: str) -> str:
    name = NAMES[codec]
    if begins_well:
        return f"the {name} data is damaged ({error.rpartition(': ')[2]})"
    if members:
        return f"other data follows the {name} data"
    return f"is not {name} data, as its name says"


def _begins_as(codec: str, data: bytes) -> bool:
    """Whether a member of the codec may begin so."""
    return any(data.startswith(magic[: len(data)]) for magic in MAGIC[codec])


class _Gunzip:
    """zlib with the interface of the decompressors of `bz2` and `lzma`."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._member.decompress(self._member.unconsumed_tail + data, most)

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def needs_input(self) -> bool:
        return not self._member.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data


def _unzstd(blocks: _Counted, most: int) -> Iterator[bytes]:
    """By Arrow, which takes frames one after another, and bounded memory."""
    source = pa.PythonFile(io.BufferedReader(_Raw(iter(blocks)), STORED_BYTES), mode="r")
    try:
        stream = pa.CompressedInputStream(source, "zstd")
        while data := stream.read(most):
            yield data
    except OSError as error:
        message = str(error)
        if "runcated" in message:
            raise ValueError("the zstd data ends too early: the file is cut off") from error
        if "Unknown frame" in message:
            raise ValueError(
                "is not zstd data, as its name says, or other data follows it"
            ) from error
        raise ValueError(f"the zstd data is damaged ({message.rpartition(': ')[2]})") from error


class _Raw(io.RawIOBase):
    """Blocks as a file that is read from the front."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._blocks, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


_DECOMPRESSORS: dict[str, Callable[[_Counted, int], Iterator[bytes]]] = {
    "gz": partial(_members, codec="gz", new=_Gunzip),
    "bz2": partial(_members, codec="bz2", new=bz2.BZ2Decompressor),
    "xz": partial(_members, codec="xz", new=partial(lzma.LZMADecompressor, memlimit=_XZ_MEMORY)),
    "zst": _unzstd,
}
