"""All spans i <= j of a sentence up to L words (j - i < L), their scores, and which are kept.

A span's vector is [s; e; g]: s of its first word, e of its last, each through a feed-forward
network or raw, and g a summary of all its words, by their mean or by self-attention: a softmax,
within the span, of a scalar score of each word (Lee et al., arXiv:1707.07045, section 4). A linear
layer scores it for every label and for none, which is label 0. Being linear, that layer is applied
to words before they are put together, so that no vector of a span is ever made.

T words have T (T + 1) / 2 spans; 9 words 45, and with L = 3 24 of them.

B rows, W words, L widths (width l: from w to w + l), K labels with the null label; M the width of
the boundary networks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FFN_WIDTH = 150  # Lee et al.'s


class SpanScorer(nn.Module):
    """Scores every span.

    Args:
        width: of the words' vectors.
        labels: K, the null label included.
        max_width: L.
        boundaries: `ffn`, two layers of ReLU for each boundary, or `raw`.
        summary: `mean`, or `attention` by a network of the same form.
    """

    def __init__(
        self, width: int, labels: int, max_width: int, *, boundaries: str, summary: str
    ) -> None:
        super().__init__()
        self.max_width = max_width
        ffn = boundaries == "ffn"
        side = FFN_WIDTH if ffn else width
        self.first = _ffn(width, FFN_WIDTH) if ffn else nn.Identity()
        self.last = _ffn(width, FFN_WIDTH) if ffn else nn.Identity()
        self.attention = _attention(width) if summary == "attention" else None
        self.score_first = nn.Linear(side, labels, bias=False)
        self.score_last = nn.Linear(side, labels, bias=False)
        self.score_summary = nn.Linear(width, labels)

    def forward(self, words_BWD: Tensor) -> Tensor:
        """Scores [B, W, L, K]; of spans beyond the last word they mean nothing."""
        first_BWK = self.score_first(self.first(words_BWD))
        last_BWK = self.score_last(self.last(words_BWD))
        summed_BWK = F.linear(words_BWD, self.score_summary.weight)
        if self.attention is None:
            summary_BWLK = self._means(summed_BWK)
        else:
            summary_BWLK = self._attended(summed_BWK, self.attention(words_BWD)[:, :, 0])
        last_BWLK = _windows(last_BWK, self.max_width)
        scores: Tensor = first_BWK[:, :, None] + last_BWLK + summary_BWLK
        return scores + self.score_summary.bias

    def _means(self, words_BWK: Tensor) -> Tensor:
        """Of each span: sums of growing windows over their widths."""
        sums_BWLK = _windows(words_BWK.float(), self.max_width).cumsum(dim=2)
        widths_L = torch.arange(1, self.max_width + 1, device=words_BWK.device)
        return sums_BWLK / widths_L[:, None]

    def _attended(self, words_BWK: Tensor, scores_BW: Tensor) -> Tensor:
        """Of each span: its words by a softmax of their scores within it."""
        scores_BWL = _windows(scores_BW[:, :, None].float(), self.max_width)[..., 0]
        within_LL = torch.ones(
            self.max_width, self.max_width, dtype=torch.bool, device=words_BWK.device
        ).tril()  # a span of width l + 1 has the words 0 to l of its window
        weights_BWLL = scores_BWL[:, :, None].masked_fill(~within_LL, -torch.inf).softmax(dim=3)
        return weights_BWLL @ _windows(words_BWK.float(), self.max_width)


def _ffn(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, FFN_WIDTH), nn.ReLU(), nn.Linear(FFN_WIDTH, out), nn.ReLU()
    )


def _attention(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, FFN_WIDTH), nn.ReLU(), nn.Linear(FFN_WIDTH, 1))


def _windows(x_BWX: Tensor, size: int) -> Tensor:
    """What stands at w, w + 1, ... w + size - 1, zeros past the end: [B, W, size, X]."""
    return F.pad(x_BWX, (0, 0, 0, size - 1)).unfold(1, size, 1).transpose(2, 3)


def real_spans(lengths_B: Tensor, words: int, max_width: int) -> Tensor:
    """Which spans end within their row: bool [B, W, L]."""
    places = torch.arange(words, device=lengths_B.device)
    ends_WL = places[:, None] + torch.arange(max_width, device=lengths_B.device)
    return ends_WL < lengths_B[:, None, None]


def choose(scores_BWLK: Tensor, lengths_B: Tensor, *, overlap: bool) -> tuple[Tensor, Tensor]:
    """The spans to keep, and the label of each.

    A span's worth is the score of its best label above that of none. With `overlap` every span of
    positive worth is kept, else the set of the greatest sum in which no two share a word.

    Returns:
        bool [B, W, L]; int64 [B, W, L], from 1 where kept.
    """
    best_BWL, labels_BWL = scores_BWLK[..., 1:].max(dim=-1)
    worth_BWL = best_BWL - scores_BWLK[..., 0]
    _, words, widths, _ = scores_BWLK.shape
    real_BWL = real_spans(lengths_B, words, widths)
    worth_BWL = worth_BWL.masked_fill(~real_BWL, -1.0)
    kept_BWL = worth_BWL > 0 if overlap else _best_disjoint(worth_BWL)
    return kept_BWL, labels_BWL + 1


def _best_disjoint(worth_BWL: Tensor) -> Tensor:
    """The set of disjoint spans of the greatest sum: bool [B, W, L].

    From the last word to the first: the best of the rest from w is that from w + 1, or a span of
    width l + 1 from w and the best from w + l + 1.
    """
    rows, words, widths = worth_BWL.shape
    rest = worth_BWL.new_zeros(rows, words + widths + 1)
    taken_BW = torch.zeros(rows, words, dtype=torch.int64, device=worth_BWL.device)
    for word in range(words - 1, -1, -1):
        after_BL = rest[:, word + 1 : word + 1 + widths]
        with_BL = torch.where(worth_BWL[:, word] > 0, worth_BWL[:, word] + after_BL, -1.0)
        options = torch.cat((rest[:, word + 1, None], with_BL), dim=1)
        rest[:, word], taken_BW[:, word] = options.max(dim=1)
    return _traced(taken_BW, widths)


def _traced(taken_BW: Tensor, widths: int) -> Tensor:
    """Follow the choices from the first word on; 0 takes no span, l takes one of l words."""
    rows, words = taken_BW.shape
    kept_BWL = torch.zeros(rows, words, widths, dtype=torch.bool, device=taken_BW.device)
    free_B = taken_BW.new_zeros(rows)
    for word in range(words):
        width_B = torch.where(free_B <= word, taken_BW[:, word], 0)
        chosen = width_B.nonzero()[:, 0]
        kept_BWL[chosen, word, width_B[chosen] - 1] = True
        free_B = torch.where(width_B > 0, word + width_B, free_B)
    return kept_BWL
