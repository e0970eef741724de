"""Figures, worked by hand."""

from __future__ import annotations

import pytest

from lmprep.finetuning.scores import (
    answer_figures,
    label_figures,
    normalized,
    span_figures,
    tag_figures,
    word_f1,
)


def test_labels_have_accuracy_and_the_mean_f1_over_labels():
    figures = label_figures(["a", "a", "b", "c"], ["a", "b", "b", "b"])

    # a: precision 1, recall 1/2; b: 1/3, 1; c: never given.
    assert figures["accuracy"] == 0.5
    assert figures["f1_macro"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_entities_count_whole():
    right = [["B-X", "I-X", "O", "B-Y"], ["O", "B-X"]]
    given = [["B-X", "O", "O", "B-Y"], ["B-X", "B-X"]]
    figures = tag_figures(right, given, bio=True)

    assert figures == pytest.approx(
        {"f1": 4 / 7, "precision": 2 / 4, "recall": 2 / 3, "accuracy": 4 / 6}
    )
    assert set(tag_figures(right, given, bio=False)) == {"accuracy", "f1_macro", "matthews"}


def test_spans_count_when_ends_and_label_agree():
    right = [[(0, 1, "X"), (3, 3, "Y")], []]
    given = [[(0, 1, "X"), (3, 3, "X"), (0, 2, "X")], [(0, 0, "X")]]

    assert span_figures(right, given) == pytest.approx(
        {"f1": 2 / 6, "precision": 1 / 4, "recall": 1 / 2}
    )
    assert span_figures([[]], [[]]) == {"f1": 0, "precision": 0, "recall": 0}


def test_answers_are_compared_without_case_articles_and_punctuation():
    assert normalized("The  quick, (brown) fox!") == "quick brown fox"
    assert word_f1("the cat sat", "a cat sat down") == pytest.approx(2 * 2 / (2 + 3))
    figures = answer_figures([["the cat", "cat sat"], [], ["x"]], ["Cat sat.", "", "y"])

    assert figures == pytest.approx({"f1": 2 / 3, "exact": 2 / 3})


def test_a_question_without_answer_is_right_only_when_none_is_given():
    assert answer_figures([[]], ["x"]) == {"f1": 0, "exact": 0}
