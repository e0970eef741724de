"""A linear-chain conditional random field over words (Lafferty, McCallum and Pereira 2001).

The score of labels y over words 1..W is

    start[y1] + sum_t emission[t, yt] + sum_t transition[y(t-1), yt] + end[yW]

and its probability exp(score) / Z, with Z by the forward algorithm; the best labels by Viterbi's.
All in float32: sums of exponentials lose too much in half precision. A forbidden step has minus
infinity; every row needs at least one word, and some way through.

B rows, W words, K labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_FORBIDDEN = -1e4  # as good as minus infinity for scores, and without NaN in gradients


class Crf(nn.Module):
    """Scores of steps between labels; `bio` forbids those that BIO has not.

    Args:
        labels: their names.
        bio: forbid I-X at the beginning, and after anything but B-X and I-X.
    """

    forbidden_KK: Tensor
    forbidden_start_K: Tensor

    def __init__(self, labels: Sequence[str], *, bio: bool) -> None:
        super().__init__()
        count = len(labels)
        self.transitions = nn.Parameter(torch.zeros(count, count))
        self.starts = nn.Parameter(torch.zeros(count))
        self.ends = nn.Parameter(torch.zeros(count))
        steps = [[bio and not bio_allows(a, b) for b in labels] for a in labels]
        first = [bio and not bio_allows("O", label) for label in labels]
        self.register_buffer("forbidden_KK", torch.tensor(steps), persistent=False)
        self.register_buffer("forbidden_start_K", torch.tensor(first), persistent=False)

    def loss(self, emissions_BWK: Tensor, labels_BW: Tensor, lengths_B: Tensor) -> Tensor:
        """Negative log-likelihood of each row: float32 [B].

        Args:
            emissions_BWK: scores of each label at each word.
            labels_BW: int64; past the end anything valid.
            lengths_B: int64, words in each row.
        """
        emissions_BWK = emissions_BWK.float()
        return self.partition(emissions_BWK, lengths_B) - self.score(
            emissions_BWK, labels_BW, lengths_B
        )

    def score(self, emissions_BWK: Tensor, labels_BW: Tensor, lengths_B: Tensor) -> Tensor:
        """Of given labels: [B]."""
        start_K, steps_KK = self._steps()
        inside_BW = _inside(emissions_BWK, lengths_B)
        emitted_BW = emissions_BWK.gather(2, labels_BW[:, :, None])[:, :, 0]
        stepped_BV = steps_KK[labels_BW[:, :-1], labels_BW[:, 1:]]
        last_B = labels_BW.gather(1, lengths_B[:, None] - 1)[:, 0]
        # Not times the mask: what lies outside may be forbidden.
        emitted_B = emitted_BW.masked_fill(~inside_BW, 0).sum(1)
        stepped_B = stepped_BV.masked_fill(~inside_BW[:, 1:], 0).sum(1)
        return start_K[labels_BW[:, 0]] + emitted_B + stepped_B + self.ends[last_B]

    def partition(self, emissions_BWK: Tensor, lengths_B: Tensor) -> Tensor:
        """log Z of each row, by the forward algorithm: [B]."""
        start_K, steps_KK = self._steps()
        inside_BW = _inside(emissions_BWK, lengths_B)
        alpha_BK = start_K + emissions_BWK[:, 0]
        for word in range(1, emissions_BWK.shape[1]):
            reached_BK = torch.logsumexp(alpha_BK[:, :, None] + steps_KK, dim=1)
            reached_BK = reached_BK + emissions_BWK[:, word]
            alpha_BK = torch.where(inside_BW[:, word, None], reached_BK, alpha_BK)
        return torch.logsumexp(alpha_BK + self.ends, dim=1)

    def marginals(self, emissions_BWK: Tensor, lengths_B: Tensor) -> Tensor:
        """Probability of each label at each word: [B, W, K], 0 past the end.

        The derivative of log Z by the emissions.
        """
        with torch.enable_grad():
            emissions_BWK = emissions_BWK.detach().float().requires_grad_()
            total = self.partition(emissions_BWK, lengths_B).sum()
            (found_BWK,) = torch.autograd.grad(total, emissions_BWK)
        return found_BWK

    @torch.no_grad()
    def decode(self, emissions_BWK: Tensor, lengths_B: Tensor) -> Tensor:
        """The labels of the best score of each row, by Viterbi's algorithm: int64 [B, W].

        Past the end 0.
        """
        start_K, steps_KK = self._steps()
        emissions_BWK = emissions_BWK.float()
        inside_BW = _inside(emissions_BWK, lengths_B)
        best_BK = start_K + emissions_BWK[:, 0]
        stay_K = torch.arange(len(self.starts), device=best_BK.device)
        came_from = []
        for word in range(1, emissions_BWK.shape[1]):
            reached_BK, from_BK = (best_BK[:, :, None] + steps_KK).max(dim=1)
            inside_B1 = inside_BW[:, word, None]
            best_BK = torch.where(inside_B1, reached_BK + emissions_BWK[:, word], best_BK)
            came_from.append(torch.where(inside_B1, from_BK, stay_K))
        label_B = (best_BK + self.ends).argmax(dim=1)
        path = [label_B]
        for from_BK in reversed(came_from):
            label_B = from_BK.gather(1, label_B[:, None])[:, 0]
            path.append(label_B)
        return torch.stack(path[::-1], dim=1).masked_fill(~inside_BW, 0)

    def _steps(self) -> tuple[Tensor, Tensor]:
        """Scores of the first label and of the steps, with what is forbidden."""
        return (
            self.starts.float().masked_fill(self.forbidden_start_K, _FORBIDDEN),
            self.transitions.float().masked_fill(self.forbidden_KK, _FORBIDDEN),
        )


def bio_allows(before: str, after: str) -> bool:
    """May a label follow another in BIO? I-X only follows B-X and I-X; a sentence follows O."""
    return not after.startswith("I-") or before[2:] == after[2:]


def _inside(emissions_BWK: Tensor, lengths_B: Tensor) -> Tensor:
    words = emissions_BWK.shape[1]
    return torch.arange(words, device=lengths_B.device) < lengths_B[:, None]
