"""Counts are exact, in bounded memory, and the same however the text is divided and ordered."""

from __future__ import annotations

import functools
import math
import random
import tempfile
from collections import Counter
from itertools import pairwise

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenization_examples import SENTENCES, count_text, settings

from lmprep.settings import ALGORITHMS
from lmprep.tokenization import block_words, learning
from lmprep.tokenization.block_words import words_of
from lmprep.tokenization.counted_words import CountedWords, joined, saved_words
from lmprep.tokenization.counts import WordCounts, in_order
from lmprep.tokenization.pipelines import bare_tokenizer
from lmprep.tokenization.word_sum import WordSum, add_up
from lmprep.tokenization.word_table import WordTable, hash_words

# Bytes that are zero, characters of one to four bytes, long words that begin alike.
WORDS = st.text(alphabet="ab\0é中😀", min_size=1, max_size=20) | st.text(
    "a", min_size=7, max_size=40
)
COUNTED = st.lists(st.tuples(WORDS, st.integers(1, 2**40)), min_size=1, max_size=60)

# Memory for some 64 words: more must go to the disk. With 1 there is room for 16.
TINY = 3_000


def listed(counted: CountedWords) -> list[tuple[str, int]]:
    data, bounds = counted.text.tobytes(), counted.offsets.tolist()
    words = [data[a:b].decode() for a, b in pairwise(bounds)]
    return list(zip(words, counted.counts.tolist(), strict=True))


def counted_of(pairs: list[tuple[str, int]]) -> CountedWords:
    return CountedWords.of([word for word, _ in pairs], [count for _, count in pairs])


def sum_of(pairs: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The slow twin: a dictionary, sorted."""
    total: Counter[str] = Counter()
    for word, count in pairs:
        total[word] += count
    return sorted(total.items(), key=lambda item: (-item[1], item[0]))


def numbered(count: int) -> list[tuple[str, int]]:
    """Many words, some of them as frequent as others."""
    return [(f"w{i}", 1 + i % 7) for i in range(count)]


def whole(counts: WordCounts) -> tuple[bytes, bytes, bytes, int, int]:
    arrays = (counts.text, counts.offsets, counts.counts)
    return (
        *(array.tobytes() for array in arrays),
        counts.forgotten_words,
        counts.forgotten_occurrences,
    )


@given(COUNTED)
def test_sums_are_those_of_a_dictionary_in_order(pairs):
    assert listed(add_up([counted_of(pairs)])) == sum_of(pairs)


@given(COUNTED, st.randoms(use_true_random=False), st.integers(1, 9))
def test_no_division_and_no_order_changes_the_sum(pairs, rng, parts):
    expected = whole(add_up([counted_of(pairs)]))
    shuffled = rng.sample(pairs, len(pairs))
    divided = [counted_of(shuffled[i::parts]) for i in range(parts)]

    assert whole(add_up(divided, most_bytes=1)) == expected


@given(COUNTED, st.integers(1, 9))
def test_sums_of_sums_are_sums(pairs, parts):
    sums = [add_up([counted_of(pairs[i::parts])], most_bytes=1) for i in range(parts) if pairs[i:]]

    assert whole(add_up(sums)) == whole(add_up([counted_of(pairs)]))


@given(COUNTED, st.randoms(use_true_random=False), st.integers(17, 600))
def test_what_is_left_out_depends_on_nothing_but_the_sums(pairs, rng, learnt_bytes):
    expected = add_up([counted_of(sum_of(pairs))], learnt_bytes=learnt_bytes)
    singly = [counted_of([pair]) for pair in rng.sample(pairs, len(pairs))]
    found = add_up(singly, most_bytes=1, learnt_bytes=learnt_bytes)

    assert whole(found) == whole(expected)
    assert found.size <= learnt_bytes or len(found) == 1
    assert found.occurrences == sum(count for _, count in pairs)
    assert len(found) + found.forgotten_words == len(sum_of(pairs))


def test_many_words_in_little_memory_are_counted_exactly():
    pairs = numbered(1000) * 3
    random.Random(0).shuffle(pairs)
    parts = [counted_of(pairs[i : i + 130]) for i in range(0, len(pairs), 130)]

    assert listed(add_up(parts, most_bytes=TINY)) == sum_of(pairs)


def test_the_most_frequent_words_stay_and_those_left_out_are_counted():
    pairs = [*numbered(1000), ("often", 500)]
    result = add_up([counted_of(pairs)], most_bytes=TINY, learnt_bytes=6_000)
    fewest = min(result.counts.tolist())

    assert listed(result)[0] == ("often", 500)
    assert 290 < len(result) < 310  # some 20 bytes each
    assert {w for w, count in pairs if count > fewest} <= set(result.words)
    assert result.forgotten_words == 1001 - len(result)
    assert result.forgotten_occurrences == sum(c for _, c in pairs) - result.counts.sum()


def test_of_words_seen_once_a_fair_sample_of_the_whole_text_stays():
    result = add_up([counted_of([(f"w{i:04}", 1) for i in range(4000)])], learnt_bytes=42_000)
    places = [int(word[1:]) for word in result.words]

    assert len(places) == 2000  # 21 bytes each
    # Uniform: each half has half of them, within five standard errors.
    first_half = sum(place < 2000 for place in places)
    assert abs(first_half - len(places) / 2) < 5 * math.sqrt(len(places)) / 2


def test_the_temporary_folder_goes_whatever_happens(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []
    for stop in (None, ValueError, KeyboardInterrupt):
        try:
            with WordSum(TINY) as words:
                words.add(counted_of(numbered(1000)))
                seen += [path.name for path in tmp_path.iterdir()]
                if stop:
                    raise stop
                words.total()
        except (ValueError, KeyboardInterrupt):
            pass

        assert list(tmp_path.iterdir()) == []
    assert len(seen) == 3


def test_without_need_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))

    assert len(add_up([counted_of(numbered(1000))])) == 1000


def test_a_table_stops_at_its_limit_and_goes_on_when_it_is_empty():
    words = counted_of(numbered(1000))
    table = WordTable(10_000)
    first = table.add(words)

    assert listed(table.words()) == numbered(first)
    assert 64 < first < 1000
    table.clear()
    assert len(table) == 0
    assert table.add(words, first) == min(2 * first, 1000)
    assert listed(table.words())[0] == numbered(1000)[first]


def test_a_word_larger_than_the_limit_is_taken_by_an_empty_table():
    words = CountedWords.of(["a" * 50_000, "b"], [2, 3])
    table = WordTable(10_000)

    assert table.add(words) == 1
    assert listed(table.words()) == [("a" * 50_000, 2)]
    assert listed(add_up([words], most_bytes=10_000)) == [("b", 3), ("a" * 50_000, 2)]


@given(COUNTED)
def test_hashes_are_those_of_their_description(pairs):
    def slowly(word: str) -> int:
        code = 0xCBF29CE484222325
        for byte in word.encode():
            code = (code ^ byte) * 0x9E3779B97F4A7C15 % 2**64
        return code ^ (code >> 32)

    assert hash_words(counted_of(pairs)).tolist() == [slowly(word) for word, _ in pairs]


@given(st.lists(WORDS, unique=True, max_size=30), st.data())
def test_order_is_by_count_then_by_code_points(words, data):
    counts = data.draw(st.lists(st.integers(1, 3), min_size=len(words), max_size=len(words)))
    pairs = list(zip(words, counts, strict=True))

    assert listed(in_order(counted_of(pairs))) == sum_of(pairs)


@pytest.mark.parametrize("begin", ["", "a" * 7, "a" * 8, "a" * 16])
def test_of_words_that_differ_in_zero_bytes_at_their_ends_the_shorter_come_first(begin):
    words = [begin + "b" + "\0" * zeros for zeros in range(12)]
    shuffled = random.Random(1).sample(words, len(words))

    assert in_order(counted_of([(word, 1) for word in shuffled])).words == words


@given(COUNTED)
def test_characters_are_those_of_the_words(pairs):
    counts = add_up([counted_of(pairs)])
    codes, offsets = counts.characters()

    assert [chr(code) for code in codes] == list("".join(counts.words))
    assert np.diff(offsets).tolist() == [len(word) for word in counts.words]
    assert counts.first(3) == counts.words[:3] == [word for word, _ in sum_of(pairs)[:3]]


def test_words_come_back_from_files_piece_by_piece(tmp_path):
    pieces = [counted_of(numbered(5)), counted_of([]), counted_of([("é", 7)])]
    with (tmp_path / "words").open("wb") as file:
        for piece in pieces:
            piece.save(file)

    assert [listed(piece) for piece in saved_words(tmp_path / "words")] == [
        listed(piece) for piece in pieces
    ]
    assert listed(joined(pieces)) == [*numbered(5), ("é", 7)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(texts=st.lists(st.text(alphabet="ab \t\u00a0\u0301,'中é1\x0b"), max_size=8))
def test_counts_are_those_of_every_sentence_cut_on_its_own(algorithm, texts):
    tokenizer = bare_tokenizer(settings(algorithm))
    expected = [(word, 1) for text in texts for word in words_of(tokenizer, text)]

    if expected:
        assert listed(count_text([texts], settings(algorithm))) == sum_of(expected)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@hypothesis.settings(max_examples=20)
@given(st.permutations(SENTENCES), st.integers(1, 10))
def test_counts_do_not_depend_on_blocks_order_or_memory(algorithm, sentences, size):
    expected = whole(count_text([SENTENCES], settings(algorithm)))
    batches = [sentences[i : i + size] for i in range(0, len(sentences), size)]

    assert whole(count_text(batches, settings(algorithm), most_bytes=TINY)) == expected


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_counts_do_not_depend_on_the_size_of_the_cache(monkeypatch, algorithm):
    expected = whole(count_text([SENTENCES * 3], settings(algorithm)))
    small = functools.partial(block_words.BlockWords, most_words=2)
    monkeypatch.setattr(learning, "BlockWords", small)
    monkeypatch.setattr(block_words, "_SCANNED", 30)

    assert whole(count_text([SENTENCES * 3, SENTENCES], settings(algorithm))) != expected
    assert whole(count_text([SENTENCES * 2, SENTENCES], settings(algorithm))) == expected
