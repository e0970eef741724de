"""Scores of spans against a slow twin that makes every span's vector; which spans are kept."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmprep.finetuning.heads import initialize_head
from lmprep.finetuning.settings import BOUNDARIES, SUMMARIES
from lmprep.finetuning.spans import SpanScorer, choose, real_spans

WIDTH, LABELS = 6, 4


def scorer(max_width: int, boundaries: str, summary: str, seed: int = 0) -> SpanScorer:
    made = SpanScorer(WIDTH, LABELS, max_width, boundaries=boundaries, summary=summary)
    initialize_head(made, seed)
    with torch.no_grad():
        made.score_summary.bias.normal_(generator=torch.Generator().manual_seed(seed))
        for linear in (made.score_first, made.score_last, made.score_summary):
            linear.weight.mul_(50)  # so that nothing is lost in rounding
    return made


@torch.no_grad()
def slow_scores(made: SpanScorer, words: torch.Tensor, first: int, last: int) -> torch.Tensor:
    """[s; e; g] times the whole matrix, plus the bias."""
    inside = words[first : last + 1]
    summary = inside.mean(dim=0)
    if made.attention is not None:
        summary = made.attention(inside)[:, 0].softmax(dim=0) @ inside
    vector = torch.cat((made.first(words[first]), made.last(words[last]), summary))
    linears = (made.score_first, made.score_last, made.score_summary)
    matrix = torch.cat([linear.weight for linear in linears], dim=1)
    return matrix @ vector + made.score_summary.bias


@pytest.mark.parametrize("boundaries", BOUNDARIES)
@pytest.mark.parametrize("summary", SUMMARIES)
@settings(max_examples=8)
@given(words=st.integers(1, 7), max_width=st.integers(1, 9), seed=st.integers(0, 20))
def test_every_span_has_the_score_of_the_slow_twin(boundaries, summary, words, max_width, seed):
    made = scorer(max_width, boundaries, summary, seed)
    vectors = torch.randn(2, words, WIDTH, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        scores = made(vectors)

    assert scores.shape == (2, words, max_width, LABELS)
    for row in range(2):
        for first in range(words):
            for last in range(first, min(words, first + max_width)):
                slow = slow_scores(made, vectors[row], first, last)
                found = scores[row, first, last - first]
                torch.testing.assert_close(found, slow, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("max_width", "count"), [(9, 45), (3, 24), (1, 9), (20, 45)])
def test_nine_words_have_45_spans_and_24_of_up_to_three_words(max_width, count):
    assert int(real_spans(torch.tensor([9]), 9, max_width).sum()) == count


def test_spans_do_not_leave_a_shorter_row():
    real = real_spans(torch.tensor([9, 2]), 9, 3)

    assert real[1].nonzero().tolist() == [[0, 0], [0, 1], [1, 0]]


def worths(words: int, widths: int, seed: int) -> torch.Tensor:
    """Scores [1, W, L, 2]: none is 0, the label is worth something or less."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.zeros(1, words, widths, 2)
    scores[..., 1] = torch.randn(1, words, widths, generator=generator)
    return scores


@given(words=st.integers(1, 5), widths=st.integers(1, 5), seed=st.integers(0, 300))
def test_without_overlap_no_set_of_disjoint_spans_is_worth_more(words, widths, seed):
    scores = worths(words, widths, seed)
    kept, labels = choose(scores, torch.tensor([words]), overlap=False)
    spans = [
        (i, i + w, float(scores[0, i, w, 1])) for i in range(words) for w in range(widths)
        if i + w < words
    ]  # fmt: skip
    best = 0.0
    for count in range(1, words + 1):
        for some in combinations(spans, count):
            if all(a[1] < b[0] for a, b in pairwise(some)):
                best = max(best, sum(worth for *_, worth in some))
    found = [(i, i + w) for _, i, w in kept.nonzero().tolist()]

    assert sum(float(scores[0, a, b - a, 1]) for a, b in found) == pytest.approx(best, abs=1e-5)
    assert all(a[1] < b[0] for a, b in pairwise(found))
    assert (labels[kept] == 1).all()


@given(words=st.integers(1, 6), widths=st.integers(1, 4), seed=st.integers(0, 50))
def test_with_overlap_every_span_better_than_none_is_kept(words, widths, seed):
    scores = worths(words, widths, seed)
    kept, _ = choose(scores, torch.tensor([words]), overlap=True)
    real = real_spans(torch.tensor([words]), words, widths)

    assert torch.equal(kept, real & (scores[..., 1] > 0))


def test_the_label_is_the_best_of_those_that_are_not_null():
    scores = torch.tensor([[[[0.0, 1.0, 3.0, 2.0]], [[5.0, 1.0, 3.0, 2.0]]]])
    kept, labels = choose(scores, torch.tensor([2]), overlap=False)

    assert kept.flatten().tolist() == [True, False]
    assert labels[kept].tolist() == [2]
