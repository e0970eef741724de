"""Files of text to token ids: what `lmprep encode` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from lmprep.allocator import hand_back_freed_memory
from lmprep.corpus.sources import InputFile
from lmprep.encoding.rows import Rows, encode_lines, encode_texts
from lmprep.encoding.texts import read_lines, read_texts
from lmprep.encoding.writers import WRITERS
from lmprep.tokenization import Encoder, TokenizerFolder


@dataclass
class Totals:
    """What has been written so far."""

    rows: int = 0
    tokens: int = 0


def encode_files(
    inputs: Sequence[InputFile],
    folder: TokenizerFolder,
    sink: IO[bytes],
    *,
    to: str,
    text_field: str = "text",
    threads: int = 1,
    on_text: Callable[[int], object] = lambda _: None,
) -> Totals:
    """Encode every line or record of the inputs, in order, a row for each.

    Args:
        inputs: from `corpus.expand`.
        folder: the tokenizer; special tokens are neither added nor read out of the text.
        sink: where to write.
        to: one of `writers.WRITERS`.
        text_field: the field of a record that holds its text.
        threads: that share the encoding.
        on_text: called with the bytes of text encoded since the last call.

    Raises:
        InputError: an input cannot be read as what it should be.
    """
    hand_back_freed_memory()
    totals = Totals()

    def counted() -> Iterator[Rows]:
        for rows in _encoded(inputs, Encoder(folder, threads=threads), text_field, on_text):
            totals.rows += len(rows)
            totals.tokens += len(rows.ids)
            yield rows

    WRITERS[to](counted(), sink, folder.vocabulary.size)
    return totals


def _encoded(
    inputs: Sequence[InputFile],
    encoder: Encoder,
    text_field: str,
    on_text: Callable[[int], object],
) -> Iterator[Rows]:
    for file in inputs:
        if file.format != "txt":
            for texts in read_texts(file, text_field):
                yield encode_texts(encoder, texts)
                on_text(sum(map(len, texts)))
        else:
            for lines in read_lines(file):
                yield encode_lines(encoder, lines)
                on_text(len(lines))
