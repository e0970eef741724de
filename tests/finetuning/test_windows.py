"""From questions to windows, and from scores of tokens back to the context's own characters."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lmprep.finetuning.questions import Question, read_questions
from lmprep.finetuning.rows import Rows
from lmprep.finetuning.settings import FinetuneSettings
from lmprep.finetuning.windows import (
    Answer,
    Found,
    best_answers,
    best_spans,
    best_threshold,
    tokens_of,
    window_rows,
)
from tests.finetuning.tokenizers_for_tests import encoder_of, of_characters, wordpiece

SETTINGS = FinetuneSettings(task="qa")
FILES = (
    "xquad_en/train.json.gz", "xquad_en/dev.json", "xquad_en/test.json.gz",
    "xquad_zh/all.json.gz", "xquad_ar/all.json.gz",
)  # fmt: skip
_AT_ONCE = 64


def gold_answers(rows: Rows, questions: list[Question], max_answer: int) -> list[Answer]:
    """What comes out of scores that are 10 at the right answer, where the window holds it, and at
    the first token where it does not."""
    found: list[Found] = []
    for first in range(0, len(rows.ids), _AT_ONCE):
        chosen = np.arange(first, min(first + _AT_ONCE, len(rows.ids)))
        starts, ends = torch.zeros(2, len(chosen), int(rows.lengths[chosen].max()))
        for name, scores in (("start", starts), ("end", ends)):
            scores[np.arange(len(chosen)), rows.targets[name][chosen]] = 10.0
        found += best_spans(starts, ends, rows, chosen, max_answer)
    return best_answers(found, rows, len(questions))


def texts_of(answers: list[Answer], questions: list[Question]) -> list[str]:
    return [q.context[a.start : a.end] for a, q in zip(answers, questions, strict=True)]


@pytest.mark.parametrize("name", FILES)
def test_gold_scores_of_characters_give_every_answer_of_xquad_back(shared, tmp_path, name):
    questions = read_questions(shared / "qa" / name, SETTINGS)
    texts = [text for q in questions for text in (q.question, q.context)]
    encoder = of_characters(texts, tmp_path / "tok")
    rows = window_rows(questions, encoder, 512, max_question=64, stride=128)
    longest = max(len(text) for q in questions for _, text in q.answers)

    assert len(rows.ids) > len(questions) > 100
    found = texts_of(gold_answers(rows, questions, longest), questions)
    assert found == [q.answers[0][1] for q in questions]


@pytest.mark.parametrize("name", FILES)
def test_gold_scores_of_words_give_the_words_around_every_answer_of_xquad(shared, tmp_path, name):
    """Tokens that are whole words cannot end within one: what comes back is the fewest words that
    hold the answer, which is the answer itself but for a few."""
    questions = read_questions(shared / "qa" / name, SETTINGS)
    plain = of_characters([], tmp_path / "none")
    cut = plain._tokenizer.pre_tokenizer
    words = {w for q in questions for w, _ in cut.pre_tokenize_str(q.context + " " + q.question)}
    if "zh" in name:  # BERT parts Chinese characters from one another
        words = {letter for word in words for letter in word} | words
    encoder = encoder_of(wordpiece(sorted(words), tmp_path / "tok"))
    rows = window_rows(questions, encoder, 384, max_question=64, stride=128)
    found = texts_of(gold_answers(rows, questions, 200), questions)
    right = [q.answers[0][1] for q in questions]
    same = sum(a == b for a, b in zip(found, right, strict=True))

    assert all(b in a for a, b in zip(found, right, strict=True))
    # Arabic writes articles and conjunctions on to their words.
    assert same / len(right) > (0.85 if "ar" in name else 0.97)


@pytest.fixture
def encoder(tmp_path):
    return of_characters(["abcdefghijklmnopqrstuvwxyz.?é"], tmp_path / "tok")


def test_windows_cover_every_token_and_begin_a_stride_apart(encoder):
    question = Question(id="1", question="abc", context="abcdefghijklmnop", answers=((9, "jk"),))
    rows = window_rows([question], encoder, 13, max_question=3, stride=4)

    # 13 - 3 special - 3 of the question leaves 7 of 16.
    assert rows.targets["first_token"].tolist() == [0, 4, 8, 12]
    assert rows.targets["tokens"].tolist() == [7, 7, 7, 4]
    assert rows.lengths.tolist() == [13, 13, 13, 10]
    # jk are the tokens 9 and 10: whole in the second and the third window only, behind 5.
    assert rows.targets["start"].tolist() == [0, 5 + 5, 5 + 1, 0]
    assert rows.targets["end"].tolist() == [0, 5 + 6, 5 + 2, 0]


def test_a_stride_beyond_a_window_leaves_no_gap(encoder):
    question = Question(id="1", question="abc", context="abcdefghijklmnopqrstuvwxyz")
    rows = window_rows([question], encoder, 13, max_question=3, stride=1000)

    assert rows.targets["first_token"].tolist() == [0, 7, 14, 21]


def test_the_answer_is_cut_out_of_the_context_as_it_is_written(tmp_path):
    context = "Yes:  the CAFÉ\u00a0d'Or, then."
    pieces = ["yes", "the", "cafe", "d", "or", "then", ":", ",", "'", ".", "what", "?"]
    encoder = encoder_of(wordpiece(pieces, tmp_path / "tok", lowercase=True))
    answer = "CAFÉ\u00a0d'Or"
    question = Question(
        id="1", question="What?", context=context, answers=((context.index(answer), answer),)
    )
    rows = window_rows([question], encoder, 40, max_question=8, stride=8)
    (found,) = gold_answers(rows, [question], 30)

    assert context[found.start : found.end] == answer
    assert found.margin < 0


def test_only_spans_within_the_context_and_not_too_long_are_considered(encoder):
    question = Question(id="1", question="ab", context="cdefg")
    rows = window_rows([question], encoder, 20, max_question=8, stride=8)
    starts, ends = torch.zeros(2, 1, 10)
    starts[0, 1] = ends[0, 2] = 99.0  # in the question
    starts[0, 8] = ends[0, 4] = 50.0  # the end before the beginning
    starts[0, 5], ends[0, 8] = 3.0, 4.0
    assert rows.lengths.tolist() == [10]

    # The context begins at position 4.
    (found,) = best_spans(starts, ends, rows, np.array([0]), 9)
    assert (found.first, found.last, found.score) == (4, 4, 54.0)

    starts[0, 8] = 0.0
    (found,) = best_spans(starts, ends, rows, np.array([0]), 4)
    assert (found.first, found.last, found.score) == (0, 0, 50.0)
    ends[0, 4] = 0.0
    (found,) = best_spans(starts, ends, rows, np.array([0]), 4)
    assert (found.first, found.last, found.score) == (1, 4, 7.0)
    (found,) = best_spans(starts, ends, rows, np.array([0]), 3)
    assert found.score == 4.0


def test_the_best_window_answers_and_none_must_be_none_of_any(encoder):
    question = Question(id="1", question="abc", context="abcdefghijklmnop")
    rows = window_rows([question], encoder, 13, max_question=3, stride=4)
    found = [
        Found(score=score, first=first, last=first + 1, null=null)
        for score, first, null in ((1.0, 2, 9.0), (5.0, 6, 3.0), (2.0, 9, 4.0), (0.0, 12, 8.0))
    ]
    (answer,) = best_answers(found, rows, 1)

    assert (answer.start, answer.end, answer.score, answer.margin) == (6, 8, 5.0, -2.0)


def test_a_context_without_tokens_has_an_empty_answer(encoder):
    question = Question(id="1", question="abc", context=" ")
    rows = window_rows([question], encoder, 13, max_question=3, stride=4)
    (answer,) = gold_answers(rows, [question], 5)

    assert (answer.start, answer.end) == (0, 0)


def test_tokens_of_a_stretch_are_all_that_share_a_character_with_it():
    starts, ends = np.array([0, 4, 5, 9]), np.array([3, 5, 8, 12])

    assert tokens_of(starts, ends, 4, 1) == (1, 1)
    assert tokens_of(starts, ends, 2, 4) == (0, 2)
    assert tokens_of(starts, ends, 3, 1) == (1, 0)  # nothing but the space between two


def test_the_threshold_is_the_one_of_the_best_sum():
    margins = np.array([-3.0, -1.0, 0.5, 2.0])
    answered, unanswered = np.array([1.0, 1.0, 0.2, 0.0]), np.array([0.0, 0.0, 1.0, 1.0])

    assert best_threshold(margins, answered, unanswered) == -0.25
    assert best_threshold(margins, np.ones(4), np.zeros(4)) > 2
    assert best_threshold(margins, np.zeros(4), np.ones(4)) < -3


def squad(path: Path, **entry: object) -> Path:
    fields = {"id": "q7", "question": "What?", "answers": [{"answer_start": 4, "text": "b c"}]}
    content = {"data": [{"paragraphs": [{"context": "a\nb b c", "qas": [fields | entry]}]}]}
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


def test_squad_is_read_packed_too(tmp_path):
    path = squad(tmp_path / "a.json")
    packed = tmp_path / "a.json.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))

    (question,) = read_questions(packed, SETTINGS)
    assert question.answers == ((4, "b c"),)
    assert read_questions(path, SETTINGS) == [question]


def test_an_impossible_question_has_no_answer(tmp_path):
    path = squad(tmp_path / "a.json", is_impossible=True)

    assert read_questions(path, SETTINGS)[0].answers == ()


def test_an_answer_that_is_not_in_its_context_is_named_with_its_line(tmp_path):
    path = squad(tmp_path / "a.json", answers=[{"answer_start": 3, "text": "b c"}])
    line = path.read_text().split("\n").index('       "id": "q7",') + 1

    with pytest.raises(
        Exception, match=f"a.json:{line}: question q7: .* at 3: it stands at 4. Corr"
    ):
        read_questions(path, SETTINGS)


def test_questions_with_bad_answers_can_be_left_out_and_are_counted(tmp_path, caplog):
    path = squad(tmp_path / "a.json", answers=[{"answer_start": 3, "text": "z"}])

    assert read_questions(path, replace(SETTINGS, bad_answers="skip")) == []
    assert "1 questions left out" in caplog.text
