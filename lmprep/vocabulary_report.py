"""How good is a vocabulary? Figures of a new one, on samples of the text it was learnt from.

The sample of an input is the first text of it and, where it is cut into several ranges, of each of
these: `SAMPLE_BYTES` in all, `MOST_BYTES` of one range at most. So the figures cost a second or two
however large the corpus is. Files are opened once more for it; of standard input, which can be read
only once, the counting hands over the beginning (`Samples.keep`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from lmprep.batches import Documents, Tokens
from lmprep.corpus.formats import READERS
from lmprep.corpus.partitions import cut
from lmprep.corpus.plan import Source
from lmprep.corpus.sentences import split_sentences
from lmprep.corpus.sources import STDIN, InputFile, Part
from lmprep.settings import CorpusSettings
from lmprep.tokenization import Encoder, TokenizerFolder
from lmprep.tokenization.roles import vocabulary_of

SAMPLE_BYTES = 16_000_000
"""Text that is measured, of all inputs together."""
MOST_BYTES = 1_000_000
"""Text that is measured of one range of an input."""


@dataclass
class Figures:
    """Counts over some sentences.

    Args:
        text_bytes, sentences, words, tokens: how many there are.
        whole_words: words that are one known token.
        unknown: tokens that are the unknown one.
    """

    text_bytes: int = 0
    sentences: int = 0
    words: int = 0
    tokens: int = 0
    whole_words: int = 0
    unknown: int = 0

    def add(self, other: Figures) -> None:
        """Count what the other one counted, too."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def as_dict(self) -> dict[str, float]:
        """The counts, and what they say; a share of nothing is 0."""
        return asdict(self) | {
            "tokens_per_word": _ratio(self.tokens, self.words),
            "whole_word_share": _ratio(self.whole_words, self.words),
            "unknown_share": _ratio(self.unknown, self.tokens),
            "bytes_per_token": _ratio(self.text_bytes, self.tokens),
            "tokens_per_sentence": _ratio(self.tokens, self.sentences),
        }


class Samples:
    """Samples of the inputs of a vocabulary.

    Args:
        sources: from `plan_sources`.
        corpus: how they are read.
    """

    def __init__(self, sources: Sequence[Source], corpus: CorpusSettings) -> None:
        self.sources = sources
        self._parts = [part for source in sources for part in source.parts]
        self._corpus = corpus
        self.most_bytes = min(MOST_BYTES, max(1, SAMPLE_BYTES // max(1, len(self._parts))))
        self._from_stdin: Documents | None = None

    @property
    def stdin(self) -> int:
        """Index of the source that is standard input, or -1."""
        found = (s.index for s in self.sources if s.parts[0].file.path == STDIN)
        return next(found, -1)

    def keep(self, beginning: Documents) -> None:
        """Called with the first text of standard input, as `beginning_of` gives it."""
        self._from_stdin = beginning

    def measure(self, tokenizer: Tokenizer, family: str) -> dict[str, Any]:
        """Figures of all samples together, and of each input, in their order."""
        vocabulary = vocabulary_of(tokenizer, family, {})
        folder = TokenizerFolder(
            tokenizer=tokenizer, vocabulary=vocabulary, sha256="", path=Path(), files=()
        )
        encoder, unknown = Encoder(folder), -1 if vocabulary.unk is None else vocabulary.unk
        by_file: dict[InputFile, Figures] = {}
        for part in self._parts:
            figures = by_file.setdefault(part.file, Figures())
            documents = self._sample_of(part)
            if documents is not None:
                figures.add(figures_of(documents, encoder.encode(documents), unknown))
        total = Figures()
        for figures in by_file.values():
            total.add(figures)
        inputs = [{"name": file.name} | f.as_dict() for file, f in by_file.items()]
        return {"all": total.as_dict(), "inputs": inputs}

    def _sample_of(self, part: Part) -> Documents | None:
        """The first sentences of a part; None if there is no text in its first block."""
        if part.file.path == STDIN:
            return self._from_stdin
        format = part.file.format
        first = islice(READERS[format](part, self._corpus), 1)
        partition = next(cut(first, source=0, input_format=format, partition_bytes=self.most_bytes))
        documents, _ = split_sentences(partition, self._corpus)
        return beginning_of(documents, self.most_bytes) if len(documents) else None


def figures_of(documents: Documents, tokens: Tokens, unknown: int) -> Figures:
    """The counts of some encoded documents; `unknown` is the id of the unknown token, or -1."""
    starts = np.flatnonzero(tokens.word_start)
    alone = np.diff(starts, append=len(tokens.ids)) == 1
    return Figures(
        text_bytes=len(documents.text),
        sentences=len(documents.sentence_offsets) - 1,
        words=len(starts),
        tokens=len(tokens.ids),
        whole_words=int(np.count_nonzero(alone & (tokens.ids[starts] != unknown))),
        unknown=int(np.count_nonzero(tokens.ids == unknown)),
    )


def beginning_of(documents: Documents, most_bytes: int) -> Documents:
    """The first sentences of some documents, `most_bytes` of text but one sentence at least.

    As one document: nothing here asks where documents end.
    """
    offsets = documents.sentence_offsets
    count = max(1, int(np.searchsorted(offsets, most_bytes, side="right")) - 1)
    return Documents(
        text=documents.text[: offsets[count]].copy(),
        sentence_offsets=offsets[: count + 1].copy(),
        document_offsets=np.array([0, count]),
        numbers=np.zeros(1, np.int64),
    )


def _ratio(count: int, of: int) -> float:
    return round(count / of, 6) if of else 0.0
