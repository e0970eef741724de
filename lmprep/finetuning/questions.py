"""Questions with their contexts and answers: SQuAD's JSON, versions 1.1 and 2.0."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmprep.errors import InputError, UsageError
from lmprep.finetuning.reading import format_of, read_text
from lmprep.finetuning.settings import FinetuneSettings

_log = logging.getLogger("lmprep")


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question, its context, and every right answer as (start, text); none: not answerable.

    Starts are counted in code points of the context.
    """

    id: str
    question: str
    context: str
    answers: tuple[tuple[int, str], ...] = ()


def read_questions(path: Path, settings: FinetuneSettings) -> list[Question]:
    """The questions of a file.

    Raises:
        InputError: it has another form, or an answer is not in its context and `bad_answers` is
            `fail`.
    """
    if (format := format_of(path, settings.format)) != "squad":
        raise UsageError(
            f"a file in the format {format} holds no questions", path=path, fix="Give SQuAD's JSON"
        )
    text = read_text(path)
    try:
        articles = json.loads(text)["data"]
        entries = list(_entries(articles))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        line = getattr(error, "lineno", 1)
        raise InputError(
            f"is not SQuAD's JSON: {type(error).__name__} {error}",
            path=path,
            line=line,
            fix='The form is {"data": [{"paragraphs": [{"context": .., "qas": [..]}]}]}',
        ) from None
    questions, bad = [], 0
    for question in entries:
        fault = _fault_of(question)
        if fault and settings.bad_answers == "fail":
            raise InputError(
                f"question {question.id}: {fault}",
                path=path,
                line=_line_of(text, question.id),
                fix="Correct answer_start, or leave such questions out with --bad-answers skip",
            )
        bad += bool(fault)
        questions += [] if fault else [question]
    if bad:
        _log.warning("%s: %d questions left out: their answers are not in the context.", path, bad)
    return questions


def _entries(articles: Any) -> Iterator[Question]:
    for article in articles:
        for paragraph in article["paragraphs"]:
            context = paragraph["context"]
            for entry in paragraph["qas"]:
                given = [] if entry.get("is_impossible") else entry.get("answers", [])
                answers = tuple((int(a["answer_start"]), str(a["text"])) for a in given)
                yield Question(
                    id=str(entry["id"]),
                    question=entry["question"].strip(),
                    context=context,
                    answers=answers,
                )


def _fault_of(question: Question) -> str:
    """What is wrong with its answers; empty if nothing is."""
    for start, text in question.answers:
        if not text:
            return f"an empty answer at {start}"
        if question.context[start : start + len(text)] != text or start < 0:
            elsewhere = question.context.find(text)
            there = f"it stands at {elsewhere}" if elsewhere >= 0 else "it stands nowhere in it"
            return f"the answer {text!r} is not in its context at {start}: {there}"
    return ""


def _line_of(text: str, id: str) -> int:
    """The line at which a question's id is written."""
    place = text.find(json.dumps(id, ensure_ascii=False))
    return text.count("\n", 0, max(place, 0)) + 1
