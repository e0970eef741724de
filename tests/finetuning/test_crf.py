"""The chain over words against all paths, one by one."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmprep.finetuning.crf import Crf, bio_allows

LABELS = ["B-X", "I-X", "O"]
WORDS = 3


def random_crf(seed: int, *, bio: bool) -> tuple[Crf, torch.Tensor]:
    """A chain with lively weights, and emissions [2, 3, 3]."""
    generator = torch.Generator().manual_seed(seed)
    crf = Crf(LABELS, bio=bio)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return crf, 2 * torch.randn(2, WORDS, len(LABELS), generator=generator)


@torch.no_grad()
def paths(crf: Crf, emissions: torch.Tensor, *, bio: bool) -> dict[tuple[int, ...], float]:
    """The score of every path of one row, forbidden ones left out."""
    scores = {}
    for path in product(range(len(LABELS)), repeat=len(emissions)):
        names = ["O", *(LABELS[label] for label in path)]
        if bio and not all(bio_allows(a, b) for a, b in pairwise(names)):
            continue
        score = crf.starts[path[0]] + crf.ends[path[-1]]
        score = score + sum(emissions[t, label] for t, label in enumerate(path))
        score = score + sum(crf.transitions[a, b] for a, b in pairwise(path))
        scores[path] = float(score)
    return scores


@pytest.mark.parametrize("bio", [False, True])
@settings(max_examples=12)
@given(seed=st.integers(0, 500), short=st.integers(1, WORDS))
def test_loss_marginals_and_best_path_are_those_of_all_paths(bio, seed, short):
    crf, emissions = random_crf(seed, bio=bio)
    lengths = torch.tensor([WORDS, short])
    for row, length in enumerate(lengths.tolist()):
        scores = paths(crf, emissions[row, :length], bio=bio)
        total = torch.tensor(list(scores.values())).logsumexp(0)
        best = max(scores, key=lambda path: scores[path])
        marginals = torch.zeros(WORDS, len(LABELS))
        for path, score in scores.items():
            for word, label in enumerate(path):
                marginals[word, label] += (score - total).exp()
        labels = torch.zeros(2, WORDS, dtype=torch.int64)
        labels[row, :length] = torch.tensor(best)
        labels[1 - row] = LABELS.index("O")

        loss = crf.loss(emissions, labels, lengths)[row]
        torch.testing.assert_close(loss.detach(), total - scores[best], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(
            crf.marginals(emissions, lengths)[row], marginals, atol=1e-5, rtol=1e-4
        )
        assert crf.decode(emissions, lengths)[row].tolist()[:length] == list(best)
        assert not crf.decode(emissions, lengths)[row, length:].any()


def test_three_words_and_three_labels_have_27_paths_of_which_bio_allows_13():
    crf, emissions = random_crf(1, bio=True)

    assert len(paths(crf, emissions[0], bio=False)) == 27
    # Words are B or O at the beginning; I follows B and I only: 2, 5, 13.
    assert len(paths(crf, emissions[0], bio=True)) == 13


def test_no_best_path_breaks_the_rules_of_bio_though_every_emission_says_inside():
    labels = ["B-A", "B-B", "I-A", "I-B", "O"]
    crf = Crf(labels, bio=True)
    emissions = torch.zeros(1, 6, 5)
    emissions[..., 2] = 5.0
    emissions[0, 3:, 3] = 50.0
    path = ["O", *(labels[i] for i in crf.decode(emissions, torch.tensor([6]))[0].tolist())]

    assert all(bio_allows(a, b) for a, b in pairwise(path))
    assert path[1:] == ["B-A", "I-A", "B-B", "I-B", "I-B", "I-B"]


def test_what_stands_past_the_end_changes_nothing():
    crf, emissions = random_crf(3, bio=True)
    lengths, labels = torch.tensor([2, 2]), torch.tensor([[0, 1, 1], [2, 2, 1]])
    before = crf.loss(emissions, labels, lengths)
    changed = emissions.clone()
    changed[:, 2] = 100.0
    other_labels = labels.clone()
    other_labels[:, 2] = 0

    assert torch.equal(before, crf.loss(changed, other_labels, lengths))


def test_the_gradient_of_the_loss_is_marginals_minus_the_right_path():
    crf, emissions = random_crf(5, bio=False)
    lengths, labels = torch.tensor([3, 3]), torch.tensor([[0, 1, 2], [2, 2, 0]])
    emissions.requires_grad_()
    (gradient,) = torch.autograd.grad(crf.loss(emissions, labels, lengths).sum(), emissions)
    right = torch.nn.functional.one_hot(labels, 3)

    torch.testing.assert_close(gradient, crf.marginals(emissions, lengths) - right)
