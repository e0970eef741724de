"""Our encoding of texts beside the library's, id for id and word start for word start.

The library is asked in two ways that share little of its code. `Reference.encode` calls it as a
whole and takes word starts from its word numbers. `Reference.by_words` calls its normalizer, its
pre-tokenizer and, for each word on its own, its model; the first token of a word starts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from tokenization_examples import documents_of, folder_of
from tokenizers import Tokenizer

from lmprep.ragged import offsets_of
from lmprep.tokenization import Encoder
from lmprep.vocabulary import Vocabulary

Encoded = tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.int64]]
"""Ids and word starts of some texts, one after another, and the number of tokens of each."""

BATCH = 2000  # texts compared at a time
SHOWN = 3  # differing texts kept


@dataclass(frozen=True, kw_only=True)
class Case:
    """A tokenizer to compare with.

    Args:
        spec: its tokenizer.json.
        family: whose special tokens it has.
    """

    name: str
    spec: str
    family: str

    @cached_property
    def encoder(self) -> Encoder:
        """Ours."""
        return Encoder(folder_of(Tokenizer.from_str(self.spec), self.family))

    @cached_property
    def reference(self) -> Reference:
        """The library's."""
        folder = folder_of(Tokenizer.from_str(self.spec), self.family)
        return Reference(self.spec, folder.vocabulary)


@dataclass(kw_only=True)
class Differences:
    """What a comparison found, in texts, tokens and positions; the first differing texts."""

    texts: int = 0
    tokens: int = 0
    ids: int = 0
    word_starts: int = 0
    examples: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.ids or self.word_starts)

    def add(self, more: Differences) -> None:
        """What a further comparison found."""
        self.texts += more.texts
        self.tokens += more.tokens
        self.ids += more.ids
        self.word_starts += more.word_starts
        self.examples = [*self.examples, *more.examples][:SHOWN]


class Reference:
    """The library's encoding, special tokens being text, and unknown where a model reads them.

    Args:
        spec: a tokenizer.json.
        vocabulary: which ids are special.
    """

    def __init__(self, spec: str, vocabulary: Vocabulary) -> None:
        self._tokenizer = Tokenizer.from_str(spec)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        self._vocabulary = vocabulary
        self._model = self._tokenizer.model
        self._words: dict[str, list[int]] = {}

    @property
    def cuts_words_alone(self) -> bool:
        """Whether `by_words` applies: no token is found in the text before words are cut."""
        added = self._tokenizer.get_added_tokens_decoder().values()
        return all(token.special for token in added)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """One call for each text: `encode_batch` starts threads that a later fork would lose."""
        found = [self._tokenizer.encode(text, add_special_tokens=False) for text in texts]
        ids = [each.ids for each in found]
        words = np.array(list(chain.from_iterable(each.word_ids for each in found)), np.int64)
        lengths = np.array([len(each) for each in ids], np.int64)
        starts = np.ones(len(words), np.bool_)
        starts[1:] = words[1:] != words[:-1]
        starts[offsets_of(lengths)[:-1][lengths > 0]] = True
        return self._known(chain.from_iterable(ids)), starts, lengths

    def by_words(self, texts: Sequence[str]) -> Encoded:
        """Words first, and each through the model by itself."""
        words = [[self._ids_of(word) for word in self._cut(text)] for text in texts]
        ids = chain.from_iterable(chain.from_iterable(words))
        starts = [i == 0 for text in words for word in text for i in range(len(word))]
        lengths = [sum(map(len, text)) for text in words]
        return self._known(ids), np.array(starts, np.bool_), np.array(lengths, np.int64)

    def _cut(self, text: str) -> list[str]:
        if self._tokenizer.normalizer is not None:
            text = self._tokenizer.normalizer.normalize_str(text)
        if self._tokenizer.pre_tokenizer is None:
            return [text]
        return [word for word, _ in self._tokenizer.pre_tokenizer.pre_tokenize_str(text)]

    def _ids_of(self, word: str) -> list[int]:
        if word not in self._words:
            if len(self._words) > 1_000_000:
                self._words.clear()
            self._words[word] = [token.id for token in self._model.tokenize(word)]
        return self._words[word]

    def _known(self, ids: Iterable[int]) -> NDArray[np.int32]:
        found = np.fromiter(ids, np.int32)
        special = ~self._vocabulary.maskable[found]
        if special.any():
            assert self._vocabulary.unk is not None, "cases that match special tokens have one"
            found[special] = self._vocabulary.unk
        return found


def encode_ours(encoder: Encoder, texts: Sequence[str]) -> Encoded:
    """All texts as sentences of one document: the one place that calls our encoder."""
    tokens = encoder.encode(documents_of(list(texts)))
    return tokens.ids, tokens.word_start, np.diff(tokens.sentence_offsets)


def compare(case: Case, texts: Sequence[str], audit: int = 1) -> Differences:
    """Compare our encoding with the library's.

    Args:
        case: the tokenizer.
        texts: any number.
        audit: of every so many batches, the first is encoded word by word as well.
    """
    total = Differences()
    for first in range(0, len(texts), BATCH):
        batch = texts[first : first + BATCH]
        expected = case.reference.encode(batch)
        add_differences(total, batch, expected, encode_ours(case.encoder, batch))
        if first // BATCH % audit == 0 and case.reference.cuts_words_alone:
            audited = Differences()
            add_differences(audited, batch, expected, case.reference.by_words(batch))
            assert not audited, f"the library disagrees with itself: {audited.examples}"
        total.texts += len(batch)
        total.tokens += len(expected[0])
    return total


def add_differences(
    total: Differences, texts: Sequence[str], expected: Encoded, found: Encoded
) -> None:
    """Add to `total` where two encodings of the same texts differ."""
    if all(np.array_equal(e, f) for e, f in zip(expected, found, strict=True)):
        return
    theirs, ours = (np.cumsum(each[2])[:-1] for each in (expected, found))
    columns = [np.split(expected[i], theirs) for i in range(2)]
    columns += [np.split(found[i], ours) for i in range(2)]
    for text, ids, starts, our_ids, our_starts in zip(texts, *columns, strict=True):
        wrong_ids, wrong_starts = positions(ids, our_ids), positions(starts, our_starts)
        total.ids += wrong_ids
        total.word_starts += wrong_starts
        if (wrong_ids or wrong_starts) and len(total.examples) < SHOWN:
            total.examples.append(_shown(text, (ids, starts), (our_ids, our_starts)))


def positions(expected: NDArray[np.generic], found: NDArray[np.generic]) -> int:
    """At how many positions two arrays differ; those that one of them lacks count."""
    common = min(len(expected), len(found))
    differing = np.count_nonzero(expected[:common] != found[:common])
    return int(differing) + abs(len(expected) - len(found))


def _shown(
    text: str,
    expected: tuple[NDArray[np.int32], NDArray[np.bool_]],
    found: tuple[NDArray[np.int32], NDArray[np.bool_]],
) -> str:
    """A differing text around the first token that differs."""
    common = min(len(expected[0]), len(found[0]))
    wrong = (expected[0][:common] != found[0][:common]) | (
        expected[1][:common] != found[1][:common]
    )
    at = int(wrong.argmax()) if wrong.any() else common
    window = slice(max(at - 2, 0), at + 4)
    sides = (
        f"{name} {ids[window].tolist()} {starts[window].astype(int).tolist()}"
        for name, (ids, starts) in (("expected", expected), ("found", found))
    )
    return f"{text[:200]!r} token {at}: {', '.join(sides)}"
