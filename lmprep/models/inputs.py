"""What every model takes and gives.

B rows, L positions, K positions of a decoder behind an encoder, M scored states and S boundary
targets of the whole batch, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self

from torch import Tensor

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
class Inputs(_Tensors):
    """A batch as a model sees it, without labels.

    Args:
        ids_BL: int, token ids, padded on the right: of the encoder, or of a decoder alone.
        types_BL: int, token types (segments); None where all are 0. Models of fewer than two token
            types do not look at them.
        lengths_B: int64, tokens in each row, at least one; None when no row is padded.
        documents_BL: int32, which document of its row a position belongs to, from 0; attention
            never crosses. None where it may. Not for encoder-decoders.
        prefixes_B: int64, tokens at the front of each row that see one another both ways, for a
            decoder alone (a prefix language model); None for a purely causal one.
        decoder_ids_BK: int, the labels shifted right behind the start token, padded on the right;
            for encoder-decoders only.
        scored_M: int64, `row * L + position` (encoder-decoders: `row * K + position`) of the
            states whose logits are wanted.
        boundaries: targets of the span-boundary head; None without.
        pairs: whether logits of sentence pairs are wanted.
    """

    ids_BL: Tensor
    types_BL: Tensor | None = None
    lengths_B: Tensor | None = None
    documents_BL: Tensor | None = None
    prefixes_B: Tensor | None = None
    decoder_ids_BK: Tensor | None = None
    scored_M: Tensor
    boundaries: Boundaries | None = None
    pairs: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Outputs(_Tensors):
    """Logits, in the precision the model computes in.

    Args:
        logits_MV: of the scored states.
        pair_logits_B2: of next sentence or sentence order; None unless asked for.
        boundary_logits_SV: of the span-boundary targets; None unless asked for.
    """

    logits_MV: Tensor
    pair_logits_B2: Tensor | None = None
    boundary_logits_SV: Tensor | None = None
