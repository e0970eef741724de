"""The encoder equals the library on real text, on all characters and on random text.

A seeded share of what `tests/benchmarks/parity.py` runs over as a whole: about one part in
a hundred for our own tokenizers, and far less for the foreign ones, each of which draws its own.
"""

from __future__ import annotations

import random
import zlib

import numpy as np
import pytest
from parity_comparison import Case, Differences, add_differences, compare, positions
from parity_random import random_text
from parity_texts import CONTEXTS, RANDOM_TEXTS, data_files, lines_of, text_sets
from parity_tokenizers import FOREIGN, OWN, cases
from tokenization_examples import needs_data

LONGEST = 20_000  # characters of a line of real text; the whole lines are for the benchmark


def case(name: str) -> Case:
    return cases(size=4000, chapters=20, lines=60)[name]


def share_of(name: str, own: float, foreign: float) -> tuple[float, int]:
    """How much of a text set this tokenizer gets, and the seed that draws it."""
    return own if name in OWN else foreign, zlib.crc32(name.encode())


def check(name: str, texts: list[str]) -> None:
    found = compare(case(name), texts)

    assert not found, f"{found.ids} ids, {found.word_starts} word starts: {found.examples}"
    assert found.tokens >= found.texts / 2  # or nothing was compared


@pytest.mark.parametrize("name", [*OWN, *FOREIGN])
def test_random_texts_are_encoded_as_the_library_does(name):
    share, seed = share_of(name, own=0.006, foreign=0.0006)

    check(name, [random_text(n) for n in text_sets()["random"]().sample(share, seed)])


@pytest.mark.parametrize("name", [*OWN, *FOREIGN])
def test_characters_in_three_contexts_are_encoded_as_the_library_does(name):
    share, seed = share_of(name, own=0.005, foreign=0.0003)
    sets = [text_sets()[f"characters {context}"]() for context in CONTEXTS]
    numbers = [*range(0x300 if name in OWN else 0x100), *sets[0].sample(share, seed)]

    check(name, [each.read(number) for each in sets for number in numbers])


@needs_data
@pytest.mark.parametrize("name", [*OWN, *FOREIGN])
def test_lines_of_every_file_are_encoded_as_the_library_does(name):
    share, seed = share_of(name, own=0.5, foreign=0.03)
    lines = some_lines()

    check(name, random.Random(seed).sample(lines, int(share * len(lines))))


def some_lines(cache: list[str] = []) -> list[str]:  # noqa: B006, read once
    """30 lines of each file of real text, the longest one among them."""
    if not cache:
        for path in data_files():
            lines = lines_of(path)
            drawn = random.Random(path.name).sample(lines, min(29, len(lines)))
            cache.extend(line[:LONGEST] for line in [*drawn, max(lines, key=len)])
    return cache


def test_a_random_text_depends_on_its_number_and_seed_alone():
    texts = [random_text(number) for number in range(200)]

    assert texts[::-1] == [random_text(number) for number in range(199, -1, -1)]
    assert texts != [random_text(number, seed=1) for number in range(200)]
    assert len(set(texts)) > 180


def test_a_share_is_drawn_by_its_seed_and_all_characters_are_there():
    characters = text_sets()["characters c"]()
    numbers = characters.sample(0.01, seed=3)

    assert characters.size == 1_112_064
    assert [ord(characters.read(n)) for n in (0, 0xD7FF, 0xD800, 1_112_063)] == [
        0, 0xD7FF, 0xE000, 0x10FFFF,
    ]  # fmt: skip
    assert numbers == characters.sample(0.01, seed=3) != characters.sample(0.01, seed=4)
    assert abs(len(numbers) - 11_120) < 5 * 11_120**0.5
    assert len(text_sets()["random"]().sample(1)) == RANDOM_TEXTS


def test_differing_ids_and_word_starts_are_counted_and_shown():
    def encoded(ids: list[int], starts: list[bool], lengths: list[int]):
        return np.array(ids, np.int32), np.array(starts), np.array(lengths)

    expected = encoded([1, 2, 3, 4], [True, False, True, True], [2, 2])
    found = encoded([1, 9, 3, 4, 5], [True, False, False, True, True], [2, 3])
    total = Differences()
    add_differences(total, ["ab", "cd"], expected, found)

    assert (total.ids, total.word_starts, len(total.examples)) == (2, 2, 2)
    assert total
    assert "'ab' token 1" in total.examples[0]


def test_positions_that_one_side_lacks_differ():
    assert positions(np.array([1, 2]), np.array([1])) == 1
    assert positions(np.array([1, 2]), np.array([2, 1, 3])) == 3
    assert positions(np.array([]), np.array([])) == 0
