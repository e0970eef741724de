"""Files of token ids back to text: what `lmprep decode` does.

Special tokens are shown: ids are decoded to be looked at or to have the text back, and nothing of
it should vanish. What a vocabulary loses in encoding (capitals, spaces before punctuation) does not
come back; byte-level BPE gives every byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import IO

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lmprep.corpus.sources import InputFile
from lmprep.encoding.id_rows import read_rows
from lmprep.ragged import Ragged

_ROWS_AT_ONCE = 1 << 14  # what the library takes and gives is large


@dataclass
class Decoded:
    """What has been written so far.

    Args:
        rows: all rows.
        broken: rows with a newline in their text, so that as text they are several lines.
    """

    rows: int = 0
    broken: int = 0


def decode_file(
    file: InputFile,
    tokenizer: Tokenizer,
    sink: IO[bytes],
    *,
    format: str | None,
    to: str,
    on_text: Callable[[int], object] = lambda _: None,
) -> Decoded:
    """Decode every row of a file of ids, in order.

    Args:
        file: from `corpus.expand`.
        tokenizer: the one that made the ids.
        sink: where to write.
        format: `text` or `jsonl`; None: told by the first character that is not whitespace.
        to: one of `FORMS`.
        on_text: called with the bytes of input decoded since the last call.

    Raises:
        InputError: a row holds something other than ids of this vocabulary.
    """
    done = Decoded()
    known = _known_ids(tokenizer)
    for block in read_rows(file, format):
        block.refuse_unknown(known)  # the library would pass over them
        for texts in _decoded(tokenizer, block.rows):
            done.rows += len(texts)
            done.broken += sum("\n" in text for text in texts)
            sink.write("".join(map(FORMS[to], texts)).encode())
        on_text(len(block.lines.data))
    return done


def _as_line(text: str) -> str:
    return text + "\n"


def _as_record(text: str) -> str:
    return json.dumps({"text": text}, ensure_ascii=False) + "\n"


FORMS = {"text": _as_line, "jsonl": _as_record}
"""By the value of `lmprep decode --to`: a line per row, newlines within it as they are, or JSON."""


def _decoded(tokenizer: Tokenizer, rows: Ragged) -> Iterator[list[str]]:
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        bounds = rows.offsets[first : first + _ROWS_AT_ONCE + 1]
        ids = rows.values[bounds[0] : bounds[-1]].tolist()
        places = (bounds - bounds[0]).tolist()
        batch = [ids[a:b] for a, b in pairwise(places)]
        yield tokenizer.decode_batch(batch, skip_special_tokens=False)


def _known_ids(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """Which ids there are: bool [largest + 1]."""
    ids = list(tokenizer.get_vocab(with_added_tokens=True).values())
    known = np.zeros(max(ids, default=-1) + 1, np.bool_)
    known[ids] = True
    return known
