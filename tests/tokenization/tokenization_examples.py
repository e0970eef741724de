"""What the tests of tokenization share: small texts, tokenizers for every algorithm, the oracle."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from lmprep.batches import Documents, Tokens
from lmprep.ragged import offsets_of
from lmprep.settings import ALGORITHMS, FAMILIES, VocabSettings
from lmprep.tokenization import TokenizerFolder, learn
from lmprep.tokenization.counts import WordCounts
from lmprep.tokenization.learning import word_finder
from lmprep.tokenization.roles import vocabulary_of
from lmprep.tokenization.word_sum import add_up

SENTENCES = [
    "The cat sat on the mat, and the other cat looked at the first cat.",
    "A language model reads language; languages differ, models don't.",
    "Naïve façade: crème brûlée costs 12.50 € (or £11) in 2024!",
    "Der Hund läuft über die Straße und die Katze schläft.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "日本語の文章には空白がありません。",
    "we're here, they're there, I'll go, you'd stay  with   several    spaces",
    "emoji 😀 👩‍👩‍👧 and #hash ## double [brackets] <angle> </angle>",
    "",
]

COMBINATIONS = [
    (algorithm, family)
    for algorithm in ALGORITHMS
    for family in FAMILIES
    if family != "gpt2" or algorithm == "byte-bpe"
]

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared corpora are not here")


def settings(algorithm: str, family: str = "", **more: object) -> VocabSettings:
    """Settings of a small vocabulary that the `SENTENCES` fill."""
    pieces = {"word": 60, "unigram": 145, "byte-bpe": 400}.get(algorithm, 200)
    sentinels = {"t5": 100, "ul2": 259}.get(family or ("t5" if algorithm == "unigram" else ""), 0)
    return VocabSettings(
        algorithm=algorithm, family=family, **({"size": pieces + sentinels} | more)
    )


_finder = cache(word_finder)  # a new one has a large table to clear


def count_text(batches: Iterable[list[str]], wanted: VocabSettings, **memory: int) -> WordCounts:
    """The words of batches of sentences, for a vocabulary of these settings."""
    finder = _finder(wanted)
    documents = (documents_of(batch) for batch in batches)
    counted = (finder.count_block(d.text, d.sentence_offsets) for d in documents)
    return add_up(counted, **memory)


def learn_text(batches: Iterable[list[str]], wanted: VocabSettings) -> Tokenizer:
    """The tokenizer that is learnt from batches of sentences."""
    return learn(count_text(batches, wanted), wanted)


@cache
def learnt(algorithm: str, family: str = "") -> Tokenizer:
    """A small tokenizer of this kind, the same object each time."""
    return learn_text([SENTENCES], settings(algorithm, family))


def folder_of(tokenizer: Tokenizer, family: str = "bert") -> TokenizerFolder:
    """A tokenizer as if it had been loaded."""
    return TokenizerFolder(
        tokenizer=tokenizer,
        vocabulary=vocabulary_of(tokenizer, family, {}),
        sha256="",
        path=Path(),
        files=(),
    )


def documents_of(sentences: list[str]) -> Documents:
    """All sentences as one document."""
    encoded = [sentence.encode() for sentence in sentences]
    return Documents(
        text=np.frombuffer(b"".join(encoded), np.uint8),
        sentence_offsets=offsets_of([len(sentence) for sentence in encoded]),
        document_offsets=np.array([0, len(sentences)]),
        numbers=np.array([7]),
    )


def by_the_library(
    tokenizer: Tokenizer, sentences: list[str]
) -> list[tuple[list[int], list[bool]]]:
    """Ids and word starts of each sentence, as plainly as the library gives them."""
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.encode_special_tokens = True
    expected = []
    for sentence in sentences:
        encoding = plain.encode(sentence, add_special_tokens=False)
        words = encoding.word_ids
        starts = [i == 0 or words[i] != words[i - 1] for i in range(len(words))]
        expected.append((encoding.ids, starts))
    return expected


def by_sentence(tokens: Tokens) -> list[tuple[list[int], list[bool]]]:
    """Ids and word starts of each sentence."""
    offsets = tokens.sentence_offsets.tolist()
    return [
        (tokens.ids[a:b].tolist(), tokens.word_start[a:b].tolist()) for a, b in pairwise(offsets)
    ]


def lines_of(path: Path) -> list[str]:
    """The lines of a text file, compressed or not."""
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    return content.decode("utf-8", errors="replace").split("\n")
