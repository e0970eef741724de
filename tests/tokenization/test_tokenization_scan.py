"""Chunks are those of an obvious cut, and equal chunks, and only they, have equal numbers."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenization_examples import documents_of

from lmprep.tokenization.rules import BYTE_LEVEL, METASPACE, SENTENCE, WHITESPACE
from lmprep.tokenization.scan import LONGEST_KEPT, ChunkTable

UNICODE_SPACES = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
RULES = (WHITESPACE, METASPACE, BYTE_LEVEL, SENTENCE)
texts = (
    st.text(alphabet="ab \t\n\x1c\x85\xa0\u1680\u2003\u2028\u202f\u205f\u3000\u3001é😀") | st.text()
)


def scanned(table: ChunkTable, sentences: list[str]) -> list[list[str]]:
    """The chunks of each sentence as text."""
    documents = documents_of(sentences)
    chunks = table.scan(documents.text, documents.sentence_offsets)
    kept = table.texts(0)
    loose = [documents.text[a:b].tobytes().decode() for a, b in chunks.loose]
    names = [kept[n] if n >= 0 else loose[-1 - n] for n in chunks.numbers]
    return [names[a:b] for a, b in pairwise(chunks.sentence_offsets)]


def slow_chunks(rule: int, sentence: str) -> list[str]:
    if rule == WHITESPACE:
        return [chunk for chunk in re.split("[ \t\n\r]", sentence) if chunk]
    if rule == METASPACE:
        return re.findall(r" [^ ]*|[^ ]+", sentence)
    if rule == BYTE_LEVEL:
        cut = f"(?<=[^{UNICODE_SPACES}])(?= )"
        return [chunk for chunk in re.split(cut, sentence) if chunk]
    return [sentence] if sentence else []


@pytest.mark.parametrize("rule", RULES)
@given(sentences=st.lists(texts, max_size=5), entries=st.integers(1, 20))
def test_chunks_are_those_of_an_obvious_cut(rule, sentences, entries):
    expected = [slow_chunks(rule, sentence) for sentence in sentences]

    assert scanned(ChunkTable(rule, entries), sentences) == expected


@given(sentences=st.lists(st.text(alphabet="abc ", max_size=30), max_size=5))
def test_equal_chunks_and_only_they_have_equal_numbers(sentences):
    table = ChunkTable(WHITESPACE, 1000)
    documents = documents_of(sentences)
    numbers = table.scan(documents.text, documents.sentence_offsets).numbers.tolist()
    again = table.scan(documents.text, documents.sentence_offsets).numbers.tolist()
    words = [word for sentence in sentences for word in sentence.split()]

    assert numbers == again == [list(dict.fromkeys(words)).index(word) for word in words]


def test_chunks_with_the_same_hash_are_told_apart():
    table, other = ChunkTable(WHITESPACE, 8), ChunkTable(WHITESPACE, 8)
    scanned(table, ["a"])
    scanned(other, ["b"])
    table._entries.hashes[0] = other._entries.hashes[0]
    table._entries.slots[:] = other._entries.slots

    assert scanned(table, ["b"]) == [["b"]]
    assert len(table) == 2


def test_long_chunks_and_those_beyond_the_bound_are_not_kept():
    table = ChunkTable(WHITESPACE, 2)
    scanned(table, ["x" * LONGEST_KEPT + " " + "y" * (LONGEST_KEPT + 1) + " b c b"])

    assert table.texts(0) == ["x" * LONGEST_KEPT, "b"]
    assert table.is_full


def test_a_cleared_table_starts_anew():
    table = ChunkTable(METASPACE, 4)
    scanned(table, ["a b c"])
    table.clear()

    assert len(table) == 0
    assert scanned(table, ["c d"]) == [["c", " d"]]
    assert table.texts(1) == [" d"]


def test_offsets_need_not_begin_at_zero():
    text = np.frombuffer(b"skip a b", np.uint8)
    table = ChunkTable(WHITESPACE, 4)
    chunks = table.scan(text, np.array([5, 6, 8]))

    assert table.texts(0) == ["a", "b"]
    assert chunks.sentence_offsets.tolist() == [0, 1, 2]


def test_a_table_without_room_is_refused():
    with pytest.raises(ValueError, match="0 entries"):
        ChunkTable(WHITESPACE, 0)
