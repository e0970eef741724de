"""Rules that rename tensors, join what we keep fused, and transpose what others keep transposed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

PARTS = ("weight", "bias")
Names = dict[str, str | tuple[str, ...]]
"""Our name to theirs, or to those whose rows ours holds."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One tensor of ours and where it is there.

    Args:
        ours: its name here.
        theirs: its name there; several when ours are their rows, one after another.
        transposed: whether theirs is (input, output) as GPT-2's, not (output, input).
    """

    ours: str
    theirs: tuple[str, ...]
    transposed: bool = False


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a class of transformers stores a model.

    Args:
        rules: one for each tensor of ours that it knows.
        copies: names there that hold what another name there holds.
        zeros: shapes of what there is only there, and zero.
    """

    rules: tuple[Rule, ...]
    copies: Mapping[str, str]
    zeros: Mapping[str, tuple[int, ...]]


def whole(names: Mapping[str, str]) -> list[Rule]:
    """Rules for tensors: our name to theirs."""
    return [Rule(ours=ours, theirs=(theirs,)) for ours, theirs in names.items()]


def modules(
    names: Mapping[str, str | tuple[str, ...]],
    parts: Iterable[str] = PARTS,
    *,
    transposed: bool = False,
) -> list[Rule]:
    """Rules for modules: our name to theirs, or to those whose rows ours holds.

    Args:
        parts: what a module has, of `weight` and `bias`.
        transposed: whether their weights are (input, output).
    """
    rules = []
    for ours, named in names.items():
        theirs = (named,) if isinstance(named, str) else named
        for part in parts:
            rules.append(
                Rule(
                    ours=f"{ours}.{part}",
                    theirs=tuple(f"{name}.{part}" for name in theirs),
                    transposed=transposed and part == "weight",
                )
            )
    return rules


def layered(rules: Iterable[Rule], layers: int) -> list[Rule]:
    """Rules with `{}` for the number of the layer, for each layer."""
    return [
        replace(
            rule,
            ours=rule.ours.format(layer),
            theirs=tuple(name.format(layer) for name in rule.theirs),
        )
        for layer in range(layers)
        for rule in rules
    ]


def read(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Their tensors under our names.

    Raises:
        ValueError: one that must be zero, since we have none, is not.
    """
    for name in layout.zeros:
        if name in tensors and tensors[name].any():
            raise ValueError(f"{name} is not zero: this model has nothing that corresponds to it")
    return {rule.ours: _joined(tensors, rule) for rule in layout.rules}


def _joined(tensors: Mapping[str, Tensor], rule: Rule) -> Tensor:
    parts = [tensors[name].t() if rule.transposed else tensors[name] for name in rule.theirs]
    return parts[0].contiguous() if len(parts) == 1 else torch.cat(parts)


def write(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Our tensors under their names, copies and zeros included; ours that they lack are left."""
    theirs: dict[str, Tensor] = {}
    for rule in layout.rules:
        split = tensors[rule.ours].chunk(len(rule.theirs))
        for name, part in zip(rule.theirs, split, strict=True):
            theirs[name] = part.t().contiguous() if rule.transposed else part
    theirs |= {name: theirs[source] for name, source in layout.copies.items()}
    return theirs | {name: torch.zeros(shape) for name, shape in layout.zeros.items()}
