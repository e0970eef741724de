"""What every model takes and gives.

B rows, L positions, K positions of a decoder behind an encoder; M scored states, P sentence pairs,
S runs or boundary targets of the whole batch; V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self

from torch import Tensor

IGNORED = -100
"""The label of a target that only fills a batch up: without loss and without gradient."""

Change = Callable[[Tensor], Tensor]


class _Tensors:
    """A frozen record of tensors, records of tensors and plain values."""

    def each(self, change: Change) -> Self:
        """The same record with `change` applied to every tensor (to pin it, to move it)."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return type(self)(**{name: _changed(value, change) for name, value in values.items()})


def _changed(value: Any, change: Change) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    return value.each(change) if isinstance(value, _Tensors) else value


@dataclass(frozen=True, kw_only=True, eq=False)
class Documents(_Tensors):
    """Where the batch is cut into runs of positions that see themselves and nothing else.

    Padding at a row's end is a run of its own, which no token sees and no target needs. Two rows
    of five positions, the second of one run and two places of padding: offsets 0 2 5 8 10,
    longest 3.

    Args:
        offsets_S: int32 [S + 1], flat positions `row * L + position` at which runs begin,
            rising, and B * L at the end. A run never leaves its row. To keep the count constant,
            offsets may repeat: a run of no position is none.
        longest: no run has more positions than this.
    """

    offsets_S: Tensor
    longest: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Boundaries(_Tensors):
    """Where the span-boundary objective (SpanBERT, arXiv:1907.10529, section 3.2) looks.

    Args:
        left_S, right_S: int64, `row * L + position` of the tokens just outside the span.
        offset_S: int64, place of the target within its span, from 0 (the paper's p counts from 1).
    """

    left_S: Tensor
    right_S: Tensor
    offset_S: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Ngrams(_Tensors):
    """N-grams to be matched with the texts they were hidden from (InfoWord).

    Args:
        ids_PK: int64, each as a text of its own, padded on the right.
        lengths_P: int64, tokens of each, special ones included.
        contexts_P: int64, `row * L + position` of the first token of the text it is hidden from.
        excluded_PP: bool, [i, j] True where n-gram j is no candidate for context i.
    """

    ids_PK: Tensor
    lengths_P: Tensor
    contexts_P: Tensor
    excluded_PP: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs(_Tensors):
    """A batch as a model sees it, without labels.

    Args:
        ids_BL: int, token ids, padded on the right: of the encoder, or of a decoder alone.
        types_BL: int, token types (segments); None where all are 0. Models of fewer than two token
            types do not look at them.
        lengths_B: int64, tokens in each row, at least one; None when no row is padded, and beside
            `documents`, which tells padding apart by itself.
        positions_BL: int, place of each token in its own text, from 0 to below L; None where that
            is its place in the row. Relative positions depend on differences only and do without.
        documents: the runs that attention stays within; None where it is the whole row. Not for
            encoder-decoders.
        prefixes_B: int64, tokens at the front of each row that see one another both ways, for a
            decoder alone (a prefix language model); None for a purely causal one.
        decoder_ids_BK: int, the labels shifted right behind the start token, padded on the right;
            for encoder-decoders only.
        scored_M: int64, `row * L + position` (encoder-decoders: `row * K + position`) of the
            states whose logits are wanted; 0 where the label is `IGNORED`.
        boundaries: targets of the span-boundary head; None without.
        firsts_P: int64, `row * L + position` of the first tokens whose sentence pairs are to be
            judged; None without.
        draws_M: float32, what a generator draws the token of each scored state by, from 0 to below
            1; below 0 for those that only fill up. None without a generator.
        ngrams: to be matched with their contexts; None without.
    """

    ids_BL: Tensor
    types_BL: Tensor | None = None
    lengths_B: Tensor | None = None
    positions_BL: Tensor | None = None
    documents: Documents | None = None
    prefixes_B: Tensor | None = None
    decoder_ids_BK: Tensor | None = None
    scored_M: Tensor
    boundaries: Boundaries | None = None
    firsts_P: Tensor | None = None
    draws_M: Tensor | None = None
    ngrams: Ngrams | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels(_Tensors):
    """The answers to a batch: int64, `IGNORED` where a target only fills it up.

    Args:
        tokens_M: ids at `Inputs.scored_M`.
        pairs_P: next sentence or sentence order at `Inputs.firsts_P`; None without.
        boundary_S: ids of `Inputs.boundaries`; None without.
        present_BL: bool, where tokens stand, special ones too, and no padding; None where nothing
            is asked of every token.
        ngrams_P: which of `Inputs.ngrams` belongs to each context; None without.
    """

    tokens_M: Tensor
    pairs_P: Tensor | None = None
    boundary_S: Tensor | None = None
    present_BL: Tensor | None = None
    ngrams_P: Tensor | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Outputs(_Tensors):
    """Logits, in the precision the model computes in.

    Args:
        logits_MV: of the scored states.
        pair_logits_P2: of next sentence or sentence order; None unless asked for.
        boundary_logits_SV: of the span-boundary targets; None unless asked for.
        replaced_logits_BL: that each token was replaced; None without a generator.
        drawn_M: int64, what the generator drew; None without one.
        ngram_scores_PP: of each context and n-gram, float32, minus infinity for what is no
            candidate; None unless asked for.
    """

    logits_MV: Tensor
    pair_logits_P2: Tensor | None = None
    boundary_logits_SV: Tensor | None = None
    replaced_logits_BL: Tensor | None = None
    drawn_M: Tensor | None = None
    ngram_scores_PP: Tensor | None = None
