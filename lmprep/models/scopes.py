"""What self-attention looks at: whole rows, or runs of positions, each in its quickest way.

    rows without documents          torch's fused attention, with a mask where rows are padded
    runs, on CPU                    groups of runs of similar length
    runs, on CUDA in half precision torch's attention over offsets; with relative positions
                                    flex attention; no weights may be dropped
    else                            a mask of the whole square

B rows, L positions, C queries, keys and values, N heads, H width of a head, I width of all heads,
T = B * L.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from lmprep.models import flex, varlen
from lmprep.models.dot_product import DotProduct, by_heads
from lmprep.models.dropout import DropoutKey
from lmprep.models.inputs import Documents, Inputs
from lmprep.models.masks import Mask, bidirectional_mask, causal_mask, packed_mask
from lmprep.models.positions import RelativePositions, Rotation
from lmprep.models.precision import computing_dtype
from lmprep.models.runs import Group, Runs, runs_of

_LINE = 4  # values of a dropout mask from one draw


@dataclass(frozen=True, kw_only=True, eq=False)
class Scope(ABC):
    """What the self-attentions of a stack look at, made once for all of its layers.

    Args:
        rotation: turns queries and keys; None without rotary positions.
    """

    rotation: Rotation | None = None

    def turned_by(self, rotation: Rotation) -> Self:
        """The same for rotary positions."""
        return replace(self, rotation=rotation)

    def attend(self, x_BLCNH: Tensor, product: DotProduct, key: DropoutKey | None) -> Tensor:
        """Values by attention: [B, L, I].

        Args:
            x_BLCNH: queries, keys and values.
            product: of the attention that they belong to.
            key: fixes the dropped weights; without one none are.
        """
        if self.rotation is not None:
            x_BLCNH = self.rotation.turned(x_BLCNH)
        return self._attend(x_BLCNH, product, key)

    @abstractmethod
    def with_bias(self, positions: RelativePositions) -> Scope:
        """The same with learned biases of the scores."""

    @abstractmethod
    def _attend(self, x_BLCNH: Tensor, product: DotProduct, key: DropoutKey | None) -> Tensor: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Square(Scope):
    """Rows as they are.

    Args:
        mask: which positions of a row attend to which.
        length: L.
    """

    mask: Mask
    length: int

    def with_bias(self, positions: RelativePositions) -> Scope:
        bias_NQK = positions(self.length, self.length)
        return replace(self, mask=self.mask.with_bias(bias_NQK))

    def _attend(self, x_BLCNH: Tensor, product: DotProduct, key: DropoutKey | None) -> Tensor:
        return product(by_heads(x_BLCNH), self.mask, key)


@dataclass(frozen=True, kw_only=True, eq=False)
class Grouped(Scope):
    """Runs in groups.

    A dropped weight is keyed by its query's place in the step, by head and by its key's place in
    the run: neither the groups nor the cut of a step into batches matter.

    Args:
        runs: of the batch.
    """

    runs: Runs

    def with_bias(self, positions: RelativePositions) -> Scope:
        longest = self.runs.groups[0].width
        bias_NQK = positions(longest, longest)
        groups = [
            replace(group, mask=group.mask.with_bias(bias_NQK[:, : group.width, : group.width]))
            for group in self.runs.groups
        ]
        return replace(self, runs=replace(self.runs, groups=groups))

    def _attend(self, x_BLCNH: Tensor, product: DotProduct, key: DropoutKey | None) -> Tensor:
        batch, length, *parts = x_BLCNH.shape
        x_TX = x_BLCNH.reshape(batch * length, -1)
        mixed = [
            product(
                by_heads(x_RWX.view(group.runs, group.width, *parts)),
                group.mask,
                key,
                None if key is None else _starts(group, key, length, heads=parts[1]),
            )
            for x_RWX, group in zip(self.runs.split(x_TX), self.runs.groups, strict=True)
        ]
        return self.runs.join(mixed).view(batch, length, -1)


def _starts(group: Group, key: DropoutKey, length: int, *, heads: int) -> Tensor:
    """The number of the first weight of each query and head in the step: int64 [R, N, W]."""
    positions_R1W = group.positions_RW[:, None] + key.row * length
    heads_N1 = torch.arange(heads)[:, None]
    line = -(-length // _LINE) * _LINE
    return (positions_R1W * heads + heads_N1) * line


@dataclass(frozen=True, kw_only=True, eq=False)
class Offsets(Scope):
    """Runs by their offsets, for a CUDA device in half precision without dropout.

    Args:
        documents: the runs of the batch.
        causal: whether positions look back only.
        rows, length: B and L.
    """

    documents: Documents
    causal: bool
    rows: int
    length: int

    def with_bias(self, positions: RelativePositions) -> Scope:
        bias_ND = positions.by_distance(self.length)
        mask = flex.block_mask(self.documents, self.rows, self.length, causal=self.causal)
        return Flexible(rotation=self.rotation, bias_ND=bias_ND, mask=mask)

    def _attend(self, x_BLCNH: Tensor, product: DotProduct, key: DropoutKey | None) -> Tensor:
        heads_TNH = x_BLCNH.flatten(0, 1).unbind(1)
        mixed_TNH = varlen.attend(
            heads_TNH, self.documents, causal=self.causal, scale=product.scale
        )
        return mixed_TNH.reshape(self.rows, self.length, -1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Flexible(Scope):
    """Runs with biases by distance, on a CUDA device.

    Args:
        bias_ND: by head and distance, from 1 - L to L - 1.
        mask: of the runs.
    """

    bias_ND: Tensor
    mask: flex.BlockMask

    def with_bias(self, positions: RelativePositions) -> Scope:
        raise AssertionError("a stack has one bias")

    def _attend(self, x_BLCNH: Tensor, product: DotProduct, key: DropoutKey | None) -> Tensor:
        mixed_BNLH = flex.attend(by_heads(x_BLCNH), self.bias_ND, self.mask, scale=product.scale)
        return mixed_BNLH.transpose(1, 2).flatten(2)


def scope_of(inputs: Inputs, vectors_BLE: Tensor, *, causal: bool, dropping: bool) -> Scope:
    """What the self-attentions over a batch's input look at.

    Args:
        inputs: of the model.
        vectors_BLE: the embeddings, which tell device and precision.
        causal: whether positions look back only (beyond a prefix).
        dropping: whether attention weights are dropped.
    """
    rows, length = inputs.ids_BL.shape
    documents = inputs.documents
    if documents is not None and inputs.prefixes_B is None:
        device = vectors_BLE.device.type
        if device == "cpu" and not torch.compiler.is_compiling():
            return Grouped(runs=runs_of(documents, causal=causal))
        half = computing_dtype(vectors_BLE) in (torch.bfloat16, torch.float16)
        if device == "cuda" and half and not dropping:
            return Offsets(documents=documents, causal=causal, rows=rows, length=length)
    if causal:
        mask = causal_mask(length, inputs.prefixes_B)
    else:
        mask = bidirectional_mask(length, inputs.lengths_B)
    if documents is not None:
        mask = packed_mask(mask, documents, rows, length)
    return Square(mask=mask, length=length)
