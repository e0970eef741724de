"""Text files to documents.

Lines lose the whitespace at their end (`\\r` with it) and keep that at their start. What parts
documents is `CorpusSettings.documents`: an empty line (`blank`, BERT's form), every line end
(`line`), or nothing but the end of the file (`file`), which ends a document always.

    One day.\\r\\nIt rained.  \\n \\n\\nNext.   ->   `One day.\\nIt rained.` and `Next.`
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lmprep.corpus.blocks import DOCUMENT_LIMIT, Lines, Mended, whole_lines
from lmprep.corpus.partitions import Piece
from lmprep.corpus.sources import Part
from lmprep.corpus.whitespace import is_ascii_space
from lmprep.jit import bare_kernel
from lmprep.ragged import copy_run
from lmprep.settings import CorpusSettings

# A text of so many lines in one block is more often a corpus in another form than one document.
MANY_LINES = 1000

_BLANK, _LINE, _FILE = 0, 1, 2
_MODES = {"blank": _BLANK, "line": _LINE, "file": _FILE}
_NEWLINE = 10


def read_text(part: Part, settings: CorpusSettings) -> Iterator[Piece]:
    """The documents of a text file, or of a range of it that starts at a document.

    Raises:
        InputError: it cannot be read or decoded, or a document is longer than `DOCUMENT_LIMIT`.
    """
    mode = _MODES[settings.documents]
    owed = length = documents = content_lines = 0
    mended = Mended(part)
    for lines in whole_lines(part, settings.encoding_errors):
        lines.decode()  # its failure is what matters
        mended.add(lines)
        raw = np.frombuffer(lines.data, np.uint8)
        text = np.empty(len(raw) + owed, np.uint8)
        starts = np.empty(lines.data.count(b"\n") + 1, np.int64)
        written, begun, filled, owed = _clean(raw, mode, owed, text, starts)
        length = written - starts[begun - 1] if begun else length + written
        if length > DOCUMENT_LIMIT:
            raise _too_long(lines)
        documents += begun
        content_lines += filled
        yield Piece(text=text[:written], starts=starts[:begun], drops=mended.drops_of(lines))
    if mended.warnings:
        yield _nothing_but(*mended.warnings)
    if mode == _BLANK and documents == 1 and content_lines >= MANY_LINES:
        yield _nothing_but(_one_document_warning(part, content_lines))


def _too_long(lines: Lines) -> Exception:
    what = f"a document that reaches here is longer than {DOCUMENT_LIMIT} bytes"
    fix = "Part documents by empty lines, or say --documents line if each line is one"
    return lines.error(what, fix, line=0)


def _one_document_warning(part: Part, lines: int) -> str:
    return (
        f"{part.file.path}: {lines} lines without an empty line between them are taken as one "
        "document. If each line is a document say --documents line, if each file is one say "
        "--documents file."
    )


def _nothing_but(*warnings: str) -> Piece:
    return Piece(text=np.empty(0, np.uint8), starts=np.empty(0, np.int64), warnings=warnings)


@bare_kernel
def _clean(
    raw: NDArray[np.uint8],
    mode: int,
    owed: int,
    text: NDArray[np.uint8],
    starts: NDArray[np.int64],
) -> tuple[int, int, int, int]:
    """Copy the lines of documents, each without the whitespace at its end.

    Args:
        raw: uint8 [R], whole lines.
        mode: what parts documents.
        owed: newlines between the last line with content so far and the next one; 0 means that no
            document is open and the next line starts one.
        text: uint8 [R + owed], out: lines of documents, joined by newlines.
        starts: int64 [lines], out: where in `text` documents begin.

    Returns:
        Bytes written, documents begun, lines with content, newlines owed.
    """
    written = begun = filled = begin = 0
    while begin < len(raw):
        end = begin
        while end < len(raw) and raw[end] != _NEWLINE:
            end += 1
        stop = end
        while stop > begin and is_ascii_space(raw[stop - 1]):
            stop -= 1
        if stop > begin:
            if owed == 0:
                starts[begun] = written
                begun += 1
            for _ in range(owed):
                text[written] = _NEWLINE
                written += 1
            copy_run(raw, begin, stop, text, written)
            written += stop - begin
            filled += 1
            owed = 0 if mode == _LINE else 1
        elif mode == _BLANK:
            owed = 0
        elif owed:  # inside a document that is a whole file, empty lines stay
            owed += 1
        begin = end + 1
    return written, begun, filled, owed
