"""Bytes of files: decompressed, cut into blocks of whole lines, checked for their encoding.

The encoding policy of lmprep: input is UTF-8, strictly, unless the user has malformed text replaced
or left out (`CorpusSettings.encoding_errors`). One byte-order mark at the start of a file is
removed, NUL characters are characters, UTF-16 and UTF-32 are always refused with the way to convert
them. Lines end at `\\n` (a `\\r` before it is the format's business), never at U+2028, U+0085, a
form feed or whatever else `str.splitlines` takes for an end.
"""

from __future__ import annotations

import codecs
import contextlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

import numpy as np

from lmprep.batches import Drops
from lmprep.corpus.codecs import MAGIC, NAMES, STORED_BYTES, decompressed
from lmprep.corpus.sources import STDIN, Part
from lmprep.corpus.storage import open_input
from lmprep.errors import InputError

BLOCK_BYTES = 4 << 20
# A document, and so a line, is held in memory whole.
DOCUMENT_LIMIT = 10**9

_REPLACEMENT = "\ufffd"
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_OTHER_MARKS = {  # UTF-32 first: its little-endian mark starts with that of UTF-16
    codecs.BOM_UTF32_LE: "UTF-32LE",
    codecs.BOM_UTF32_BE: "UTF-32BE",
    codecs.BOM_UTF16_LE: "UTF-16LE",
    codecs.BOM_UTF16_BE: "UTF-16BE",
}
_NUL_PATTERNS = {  # which bytes of four are mostly NUL in text of European languages
    (False, True, False, True): "UTF-16LE",
    (True, False, True, False): "UTF-16BE",
    (False, True, True, True): "UTF-32LE",
    (True, True, True, False): "UTF-32BE",
}


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Some whole lines of a part of a file.

    Args:
        part: where they are from.
        before: number of lines of the part before these.
        data: each line ends with `\\n`, but perhaps the file's last.
        replaced: malformed sequences that became U+FFFD.
        skipped: lines that were not UTF-8, and are gone or empty now.
    """

    part: Part
    before: int
    data: bytes
    replaced: int = 0
    skipped: int = 0

    def decode(self) -> str:
        """The lines as text.

        Raises:
            InputError: they are not valid UTF-8.
        """
        try:
            return self.data.decode()
        except UnicodeDecodeError as error:
            line = self.data.count(b"\n", 0, error.start)
            column = error.start - self.data.rfind(b"\n", 0, error.start)
            what = f"byte 0x{self.data[error.start]:02X} (byte {column} of the line) is not UTF-8"
            raise self.error(what, _convert("WINDOWS-1252"), line=line) from None

    def error(self, what: str, fix: str, *, line: int) -> InputError:
        """An error at a line of these, counted from 0, that names its line in the file."""
        return line_error(self.part, self.before + line, what, fix)


def whole_lines(part: Part, encoding_errors: str = "error", gap: bytes = b"") -> Iterator[Lines]:
    """The lines of a part, in pieces of about `BLOCK_BYTES`, or of one line if that is longer.

    Args:
        encoding_errors: one of `settings.ENCODING_ERRORS`; with `error`, `Lines.decode` finds them.
        gap: stands for each line that is skipped.

    Raises:
        InputError: the file cannot be read, is damaged, or is in another encoding.
    """
    before = 0
    for data in _cut_after_newlines(part):
        lines = Lines(part=part, before=before, data=data)
        if before == 0 and part.start == 0:
            lines = _without_mark(lines)
        yield lines if encoding_errors == "error" else _mended(lines, encoding_errors, gap)
        before += data.count(b"\n")


def _mended(lines: Lines, policy: str, gap: bytes) -> Lines:
    """The lines as valid UTF-8."""
    try:
        lines.data.decode()
        return lines
    except UnicodeDecodeError:
        pass
    if policy == "replace":
        text = lines.data.decode(errors="replace")
        replaced = text.count(_REPLACEMENT) - lines.data.count(_REPLACEMENT.encode())
        return replace(lines, data=text.encode(), replaced=replaced)
    found = _LINE.findall(lines.data)
    valid = [_is_utf8(line) for line in found]
    kept = (line if is_valid else gap for line, is_valid in zip(found, valid, strict=True))
    return replace(lines, data=b"".join(kept), skipped=len(valid) - sum(valid))


class Mended:
    """What was done to the encoding of a part, to be told at its end."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._replaced = self._skipped = 0

    def add(self, lines: Lines) -> None:
        self._replaced += lines.replaced
        self._skipped += lines.skipped

    @staticmethod
    def drops_of(lines: Lines) -> Drops:
        """The lines that were skipped."""
        return Drops(lines_not_utf8=lines.skipped) if lines.skipped else Drops()

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each kind of mending."""
        path = shown_path(self._part)
        found = (
            (self._replaced, "malformed sequences became U+FFFD"),
            (self._skipped, "lines that are not UTF-8 were left out"),
        )
        return tuple(f"{path}: {number} {what}" for number, what in found if number)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def line_error(part: Part, line: int, what: str, fix: str) -> InputError:
    """An error at line `line` of a part, counted from 0; only now are the lines before counted."""
    if part.start:
        ahead = raw_blocks(Part(file=part.file, stop=part.start))
        line += sum(block.count(b"\n") for block in ahead)
    return InputError(what, fix=fix, path=shown_path(part), line=line + 1)


def shown_path(part: Part) -> str:
    """The path as messages name it."""
    return "stdin" if part.file.path == STDIN else part.file.path


def raw_blocks(part: Part) -> Iterator[bytes]:
    """The decompressed bytes of a part, in blocks of at most `BLOCK_BYTES`."""
    done = 0
    try:
        with _opened(part) as handle:
            handle.seek(part.start) if part.start else None
            stored = _stored_blocks(handle, part)
            for block in decompressed(stored, part.file.compression, BLOCK_BYTES):
                yield block
                done += len(block)
    except OSError as error:
        reason = error.strerror or str(error)
        fix = "Look at its rights and its disk, or leave it out of the inputs"
        raise InputError(f"cannot be read: {reason}", fix=fix, path=shown_path(part)) from error
    except ValueError as error:
        where = f", {done} bytes of text into it" if done else ""
        program = NAMES[part.file.compression]
        fix = f"Fetch or write it again; {program} -t {part.file.name} checks it"
        raise InputError(f"{error}{where}", fix=fix, path=shown_path(part)) from error


def _cut_after_newlines(part: Part) -> Iterator[bytes]:
    line: list[bytes] = []  # blocks of a line whose end has not come yet
    length = 0
    for block in raw_blocks(part):
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join([*line, block[:end]])
            line, length = [], 0
        line.append(block[end:])
        length += len(block) - end
        if length > DOCUMENT_LIMIT:
            what = f"a line is longer than {DOCUMENT_LIMIT} bytes"
            raise InputError(what, fix="Cut it into several", path=shown_path(part))
    if length:
        yield b"".join(line)


def _without_mark(lines: Lines) -> Lines:
    """The first lines of a file without a byte-order mark, if they can be UTF-8 at all."""
    for codec, name in NAMES.items():
        if lines.data.startswith(MAGIC[codec]):
            at_stdin = lines.part.file.path == STDIN
            fix = f"Add .{codec} to its name"
            if at_stdin:
                fix = f"Decompress it: {name} -dc FILE | lmprep ... -"
            raise InputError(f"is compressed with {name}", fix=fix, path=shown_path(lines.part))
    if encoding := _other_encoding(lines.data[:4096]):
        what = f"is {encoding} text, not UTF-8"
        raise InputError(what, fix=_convert(encoding), path=shown_path(lines.part))
    return replace(lines, data=lines.data.removeprefix(codecs.BOM_UTF8))


def _other_encoding(head: bytes) -> str:
    """`UTF-16LE` and its like, from their byte-order mark or the pattern of their NUL bytes."""
    for mark, encoding in _OTHER_MARKS.items():
        if head.startswith(mark):
            return encoding
    if len(head) < 16:  # too little to tell a pattern from some NUL characters
        return ""
    quads = np.frombuffer(head[: len(head) // 4 * 4], np.uint8).reshape(-1, 4)
    mostly_nul = (quads == 0).mean(axis=0) > 0.5
    return _NUL_PATTERNS.get(tuple(mostly_nul.tolist()), "")


def _convert(encoding: str) -> str:
    return f"Convert it from its encoding, for example: iconv -f {encoding} -t UTF-8 FILE > NEW"


def _opened(part: Part) -> contextlib.AbstractContextManager[IO[bytes]]:
    if part.file.path == STDIN:
        return contextlib.nullcontext(sys.stdin.buffer)
    return open_input(part.file.path)


def _stored_blocks(handle: IO[bytes], part: Part) -> Iterator[bytes]:
    left = sys.maxsize if part.stop is None else part.stop - part.start
    most = STORED_BYTES if part.file.compression else BLOCK_BYTES
    while left and (block := handle.read(min(most, left))):
        left -= len(block)
        yield block
    if left and part.stop is not None:
        raise OSError("the file became shorter since the work was planned")
