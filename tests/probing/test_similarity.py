"""Likeness and analogies, on vectors made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lmprep.errors import InputError, UsageError
from lmprep.inference.pretrained import ask
from lmprep.probing.similarity import (
    analogy_figures,
    similarity_figures,
    table_of_model,
    table_of_words,
)

WORDS = ["man", "king", "woman", "queen", "apple"]
VECTORS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1], [-1, -1, 0]], np.float32)


def test_similarity_is_the_rank_correlation_of_known_pairs(tmp_path):
    """Cosines 0.71, 0.5, -0.71; people's scores fall in the same order."""
    path = tmp_path / "s.txt"
    path.write_text("man\tking\t9\nking queen 5\nman apple 1\nman fish 3\n\n# note\n")
    table = table_of_words(WORDS, VECTORS)

    found = similarity_figures(table, path)
    assert found == {"kind": "similarity", "spearman": 1.0, "pairs": 3, "of": 4}
    path.write_text("Man king 1\nking queen 5\nman apple 9\n")
    assert similarity_figures(table, path)["spearman"] == -1.0


def test_an_analogy_is_the_nearest_word_but_for_those_given(tmp_path):
    """king - man + woman = (0, 1, 1), which is queen."""
    path = tmp_path / "a.txt"
    path.write_text(
        ": royal\nman king woman queen\nman fish woman queen\n: odd\nman king woman apple\n"
    )
    found = analogy_figures(table_of_words(WORDS, VECTORS), path)

    assert found["accuracy"] == 0.5
    assert (found["questions"], found["of"]) == (2, 3)
    assert found["sections"] == {
        "royal": {"accuracy": 1.0, "questions": 1}, "odd": {"accuracy": 0.0, "questions": 1},
    }  # fmt: skip


def test_a_models_words_are_its_tokens_that_are_whole_words(model_folder):
    asked = ask(str(model_folder("bert")), head=False)
    table = table_of_model(asked)

    assert len(table.places) > 20
    assert not any(word.startswith(("##", "[")) for word in table.places)
    word = max(table.places, key=len)
    assert table.place(word.upper()) == table.places[word] == asked.plain([word])[0][0]


def test_faults_name_the_line(tmp_path):
    table, path = table_of_words(WORDS, VECTORS), tmp_path / "x.txt"
    path.write_text("man king 1\nman king\n")
    with pytest.raises(InputError, match=r"x.txt:2: 'man king' is not WORD WORD SCORE"):
        similarity_figures(table, path)
    with pytest.raises(InputError, match=r"x.txt:1: has 3 words, not four"):
        analogy_figures(table, path)
    path.write_text("a b 1\nc d 2\n")
    with pytest.raises(UsageError, match="of its 2 pairs of words 0 are known"):
        similarity_figures(table, path)
