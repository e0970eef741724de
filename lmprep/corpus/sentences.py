"""Documents to sentences.

    line   each line is a sentence; one without content vanishes
    icu    each line is cut further by the sentence rules of ICU (Unicode Standard Annex 29), with
           the language's abbreviations, after which no sentence ends: `Mr. Hale left. He ran.`
    none   a document is one sentence, newlines and all

Lines lose the whitespace at their end, sentences of ICU that at both ends. Whitespace is what has
the property White_Space in Unicode, so that a line of ideographic spaces is empty too.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
from icu4py import icu_version as _icu_version
from icu4py.breakers import SentenceBreaker
from numpy.typing import NDArray

from lmprep.batches import DOCUMENT_SHIFT, Documents, Drops
from lmprep.corpus.partitions import Partition
from lmprep.corpus.whitespace import after_spaces, before_spaces
from lmprep.jit import Int, bare_kernel
from lmprep.ragged import copy_run, offsets_of
from lmprep.settings import CorpusSettings

# ICU is asked about so many bytes at a time, whatever the documents: making a breaker takes 0.13 ms
# (as long as 20 kB of text), and what it holds is some ten times the text.
ICU_BYTES = 1 << 20

_NEWLINE = 10


def split_sentences(partition: Partition, settings: CorpusSettings) -> tuple[Documents, Drops]:
    """Cut the documents of a partition into sentences.

    Returns:
        The documents with at least one sentence, none of them empty, and how many had none
        (`empty_documents`). Those count in the numbers of the others.
    """
    mode = settings.sentences or ("line" if partition.input_format == "txt" else "icu")
    first = (partition.source << DOCUMENT_SHIFT) + partition.first_document
    numbers = np.arange(first, first + len(partition), dtype=np.int64)
    if mode == "none":
        return _whole_documents(partition, numbers), Drops()
    text = _one_line_end_more(partition)
    ends = np.flatnonzero(text == _NEWLINE) + 1
    if mode == "icu":
        ends = _icu_ends(text, ends, settings.language)
    return _documents(partition, numbers, text, ends, trim_front=mode == "icu")


def icu_version() -> str:
    """The version of the ICU library, whose sentence rules change with it."""
    return str(_icu_version)


def _whole_documents(partition: Partition, numbers: NDArray[np.int64]) -> Documents:
    return Documents(
        text=partition.text,
        sentence_offsets=partition.document_offsets,
        document_offsets=np.arange(len(partition) + 1, dtype=np.int64),
        numbers=numbers,
    )


def _one_line_end_more(partition: Partition) -> NDArray[np.uint8]:
    """The text with a newline after each document, so that all ends are line ends: [B + D]."""
    text = np.empty(len(partition.text) + len(partition), np.uint8)
    _end_lines(partition.text, partition.document_offsets, text)
    return text


def _documents(
    partition: Partition,
    numbers: NDArray[np.int64],
    text: NDArray[np.uint8],
    ends: NDArray[np.int64],
    trim_front: bool,
) -> tuple[Documents, Drops]:
    document_ends = partition.document_offsets[1:] + np.arange(1, len(partition) + 1)
    packed = np.empty(len(text), np.uint8)
    offsets = np.zeros(len(ends) + 1, np.int64)
    counts = np.empty(len(partition), np.int64)
    sentences = _pack(text, ends, document_ends, trim_front, packed, offsets, counts)
    offsets = offsets[: sentences + 1]
    kept = counts > 0
    dropped = len(counts) - int(kept.sum())
    documents = Documents(
        text=packed[: offsets[-1]],
        sentence_offsets=offsets,
        document_offsets=offsets_of(counts[kept]),
        numbers=numbers[kept],
    )
    return documents, Drops(empty_documents=dropped) if dropped else Drops()


def _icu_ends(
    text: NDArray[np.uint8], line_ends: NDArray[np.int64], language: str
) -> NDArray[np.int64]:
    """Where ICU's sentences end; every line end is among them. Int64, rising, the last is [B].

    A newline always ends a sentence for ICU, so cutting the text there changes nothing.
    """
    locale = f"{language.replace('-', '_')}@ss=standard"
    found = [np.empty(0, np.int64)]
    start = 0
    while start < len(text):
        stop = int(line_ends[np.searchsorted(line_ends, min(start + ICU_BYTES, len(text)))])
        block = text[start:stop]
        segments = SentenceBreaker(block.tobytes().decode(), locale).segments()
        pairs = np.fromiter(chain.from_iterable(segments), np.int64)
        found.append(_byte_offsets(block, pairs[1::2]) + start)
        start = stop
    return np.concatenate(found)


def _byte_offsets(text: NDArray[np.uint8], units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Offsets in UTF-16 code units, rising, the last at the end of the text, as byte offsets."""
    if units[-1] == len(text):  # as many units as bytes: all ASCII
        return units
    offsets = np.empty_like(units)
    _to_bytes(text, units, offsets)
    return offsets


@bare_kernel
def _to_bytes(
    text: NDArray[np.uint8], units: NDArray[np.int64], offsets: NDArray[np.int64]
) -> None:
    seen = byte = 0
    for i in range(len(units)):
        while seen < units[i]:
            # Characters of four bytes are surrogate pairs in UTF-16; continuation bytes are none.
            seen += 2 if text[byte] >= 0xF0 else 1 if text[byte] & 0xC0 != 0x80 else 0
            byte += 1
        while byte < len(text) and text[byte] & 0xC0 == 0x80:
            byte += 1
        offsets[i] = byte


@bare_kernel
def _end_lines(
    text: NDArray[np.uint8], offsets: NDArray[np.int64], ended: NDArray[np.uint8]
) -> None:
    for document in range(len(offsets) - 1):
        begin, end = offsets[document], offsets[document + 1]
        copy_run(text, begin, end, ended, begin + document)
        ended[offsets[document + 1] + document] = _NEWLINE


@bare_kernel
def _pack(
    text: NDArray[np.uint8],
    ends: NDArray[np.int64],
    document_ends: NDArray[np.int64],
    trim_front: bool,
    packed: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> int:
    """Trim the sentences and move them together; those without content vanish.

    Args:
        text: uint8 [B].
        ends: int64 [E], where sentences end in `text`, rising; each begins where one ended.
        document_ends: int64 [D], all of them in `ends` too.
        trim_front: whether whitespace at the start of a sentence goes too.
        packed: uint8 [B], out: text of the sentences.
        offsets: int64 [E + 1], out: into `packed`; the first is 0 already.
        counts: int64 [D], out: sentences of each document.

    Returns:
        Number of sentences.
    """
    sentences = sentence = written = 0
    start: Int = np.int64(0)
    for document in range(len(document_ends)):
        before = sentences
        while sentence < len(ends) and ends[sentence] <= document_ends[document]:
            stop = before_spaces(text, start, ends[sentence])
            if trim_front:
                start = after_spaces(text, start, stop)
            if stop > start:
                copy_run(text, start, stop, packed, written)
                written += stop - start
                sentences += 1
                offsets[sentences] = written
            start = ends[sentence]
            sentence += 1
        counts[document] = sentences - before
    return sentences
