"""Questions and windows of their contexts, and from scores of tokens back to characters.

A context that does not fit behind its question is cut into windows that begin `stride` tokens
apart (BERT, arXiv:1810.04805, and its code). The best answer of all windows counts. Its text is
cut out of the context as it is, from the first character of the first token to the last of the
last: normalization, spaces and sub-words leave no trace.

B windows, L positions, A tokens of the longest answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lmprep.finetuning.questions import Question
from lmprep.finetuning.rows import Int64s, Rows, ranges, rows_of, specials
from lmprep.finetuning.tokens import Placed, TextEncoder
from lmprep.ragged import Ragged, offsets_of

_LEAST = 2  # windows' tokens of context


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best answer of one window.

    Args:
        score: start plus end, minus infinity of a window without context.
        first, last: its tokens, counted in the whole context.
        null: the score of no answer: that of the row's first token.
    """

    score: float
    first: int
    last: int
    null: float


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The best answer of a question, in code points of its context; and how no answer fares.

    Args:
        margin: the score of no answer above that of this one.
    """

    start: int
    end: int
    score: float
    margin: float


def window_rows(
    questions: Sequence[Question],
    encoder: TextEncoder,
    length: int,
    *,
    max_question: int,
    stride: int,
) -> Rows:
    """Rows with the targets

    first_token   int64 [N], the window's first token, counted in its context
    tokens        int64 [N], the window's tokens
    start, end    int64 [N], positions in the row of the right answer's tokens; 0 where the window
                  does not hold the whole answer
    contexts      `Placed`, of all questions in order (equal contexts are encoded once)

    A question longer than `max_question`, or than half of the row, loses its end, counted.
    """
    asked = encoder.texts([question.question for question in questions]).ids
    contexts = _contexts(questions, encoder)
    room = length - specials(encoder.vocabulary, pair=True)
    kept = np.minimum(asked.lengths, min(max_question, room // 2))
    capacity = np.maximum(_LEAST, room - kept)
    step = np.minimum(stride, capacity)
    context_lengths = contexts.ids.lengths
    counts = 1 + np.maximum(0, -(-(context_lengths - capacity) // step))
    example = np.repeat(np.arange(len(questions)), counts)
    first_token = ranges(np.zeros(len(counts), np.int64), counts) * step[example]
    tokens = np.minimum(capacity[example], context_lengths[example] - first_token)
    question_ids = Ragged(
        asked.values[ranges(asked.offsets[:-1][example], kept[example])],
        offsets_of(kept[example]),
    )
    window_ids = Ragged(
        contexts.ids.values[ranges(contexts.ids.offsets[:-1][example] + first_token, tokens)],
        offsets_of(tokens),
    )
    rows = rows_of(question_ids, window_ids, encoder.vocabulary, length)
    first, last = _gold_tokens(questions, contexts)
    start, end = first[example] - first_token, last[example] - first_token
    within = (first[example] >= 0) & (start >= 0) & (end < tokens)
    cut = int((kept < asked.lengths).sum())
    return replace(
        rows,
        examples=example,
        targets={
            "first_token": first_token,
            "tokens": tokens,
            "start": np.where(within, rows.second_places + start, 0),
            "end": np.where(within, rows.second_places + end, 0),
            "contexts": contexts,
        },
        notes={f"questions cut to {max_question} tokens": cut} if cut else {},
    )


def _contexts(questions: Sequence[Question], encoder: TextEncoder) -> Placed:
    """The context of each question."""
    numbers = {context: i for i, context in enumerate({q.context: None for q in questions})}
    placed = encoder.texts(list(numbers))
    chosen = np.array([numbers[question.context] for question in questions], np.int64)
    lengths = placed.ids.lengths[chosen]
    flat = ranges(placed.ids.offsets[:-1][chosen], lengths)
    return Placed(
        ids=Ragged(placed.ids.values[flat], offsets_of(lengths)),
        starts=placed.starts[flat],
        ends=placed.ends[flat],
    )


def _gold_tokens(questions: Sequence[Question], contexts: Placed) -> tuple[Int64s, Int64s]:
    """First and last token of each question's first answer, in its context; -1 without."""
    first, last = np.full((2, len(questions)), -1)
    offsets = contexts.ids.offsets
    for number, question in enumerate(questions):
        if question.answers:
            start, text = question.answers[0]
            tokens = slice(offsets[number], offsets[number + 1])
            a, b = tokens_of(contexts.starts[tokens], contexts.ends[tokens], start, len(text))
            if a <= b:
                first[number], last[number] = a, b
    return first, last


def tokens_of(starts: Int64s, ends: Int64s, start: int, length: int) -> tuple[int, int]:
    """The first and the last token that have a character of a stretch of text."""
    first = int(np.searchsorted(ends, start, side="right"))
    return first, int(np.searchsorted(starts, start + length, side="left")) - 1


def best_spans(
    starts_BL: Tensor, ends_BL: Tensor, rows: Rows, chosen: Int64s, max_answer: int
) -> list[Found]:
    """The best answer of each window, and the score of none."""
    device, length = starts_BL.device, starts_BL.shape[1]
    places_L = torch.arange(length, device=device)
    begin_B = torch.from_numpy(rows.second_places[chosen]).to(device)
    tokens_B = torch.from_numpy(rows.targets["tokens"][chosen]).to(device)
    inside_BL = (places_L >= begin_B[:, None]) & (places_L < (begin_B + tokens_B)[:, None])
    inner_ends_BL = ends_BL.masked_fill(~inside_BL, -torch.inf)
    # The ends that an answer from each place may have.
    ends_BLA = F.pad(inner_ends_BL, (0, max_answer - 1), value=-torch.inf).unfold(1, max_answer, 1)
    scores_BLA = starts_BL.masked_fill(~inside_BL, -torch.inf)[:, :, None] + ends_BLA
    best_B, place_B = scores_BLA.flatten(1).max(dim=1)
    first = (place_B // max_answer - begin_B).cpu().numpy() + rows.targets["first_token"][chosen]
    last = first + (place_B % max_answer).cpu().numpy()
    null_B = starts_BL[:, 0] + ends_BL[:, 0]
    columns = best_B.tolist(), first.tolist(), last.tolist(), null_B.tolist()
    return [
        Found(score=score, first=a, last=b, null=null)
        for score, a, b, null in zip(*columns, strict=True)
    ]


def best_answers(found: Sequence[Found], rows: Rows, questions: int) -> list[Answer]:
    """The best answer of each question over its windows.

    No answer has the lowest of the windows' scores for it: it must be none of any window.
    """
    contexts: Placed = rows.targets["contexts"]
    scores = np.array([each.score for each in found])
    order = np.lexsort((scores, rows.examples))
    best = order[np.searchsorted(rows.examples[order], np.arange(questions), side="right") - 1]
    first_windows = np.searchsorted(rows.examples, np.arange(questions))
    nulls = np.minimum.reduceat(np.array([each.null for each in found]), first_windows)
    answers = []
    for question, (window, null) in enumerate(zip(best.tolist(), nulls.tolist(), strict=True)):
        one, offset = found[window], int(contexts.ids.offsets[question])
        empty = not np.isfinite(one.score)  # a context without tokens
        answers.append(
            Answer(
                start=0 if empty else int(contexts.starts[offset + one.first]),
                end=0 if empty else int(contexts.ends[offset + one.last]),
                score=one.score,
                margin=null - one.score,
            )
        )
    return answers


def best_threshold(
    margins: NDArray[np.float64], answered: NDArray[np.float64], unanswered: NDArray[np.float64]
) -> float:
    """The margin above which nothing is answered, that gives the best sum of figures.

    Args:
        margins: of each question.
        answered, unanswered: its figure if it is answered, and if it is not.
    """
    order = np.argsort(margins, kind="stable")
    gains = np.concatenate(([0.0], np.cumsum((answered - unanswered)[order])))
    count = int(gains.argmax())  # of the questions that are answered: those of low margin
    sorted_margins = margins[order]
    if count == 0:
        return float(sorted_margins[0]) - 1.0
    if count == len(margins):
        return float(sorted_margins[-1]) + 1.0
    return float(sorted_margins[count - 1] + sorted_margins[count]) / 2
