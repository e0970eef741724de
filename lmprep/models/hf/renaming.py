"""Rules that rename tensors, join what we keep fused, and transpose what others keep transposed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

PARTS = ("weight", "bias")
Names = dict[str, str | tuple[str, ...]]
"""Our name to theirs, or to those whose rows ours holds."""

# What TensorFlow's checkpoints called a norm's weight and bias; files of that age still do.
_OLD_ENDS = {".gamma": ".weight", ".beta": ".bias"}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One tensor of ours and where it is there.

    Args:
        ours: its name here.
        theirs: its name there; several when ours are their rows, one after another.
        transposed: whether theirs is (input, output) as GPT-2's, not (output, input).
        skipped: rows at the front that only ours has, and nothing reads.
    """

    ours: str
    theirs: tuple[str, ...]
    transposed: bool = False
    skipped: int = 0


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a class of transformers stores a model.

    Args:
        prefix: of the names of all but the heads; files of the model without heads leave it out.
        rules: one for each tensor of ours that every file of such a model has.
        heads: rules for each part that a file may lack; it has all of a part or none.
        stand_ins: names there -> other names for the same tensor, of which a file has at least
            one.
        zeros: shapes of what there is only there, and zero.
    """

    prefix: str = ""
    rules: tuple[Rule, ...]
    heads: tuple[tuple[Rule, ...], ...] = ()
    stand_ins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    zeros: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


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
    """Their tensors under our names, without the heads that a file lacks.

    Raises:
        ValueError: one is missing; or one that must be zero, since we have none, is not.
    """
    theirs = _resolved(tensors, layout)
    for name in layout.zeros:
        if name in theirs and theirs[name].any():
            raise ValueError(f"{name} is not zero: this model has nothing that corresponds to it")
    heads = [head for head in layout.heads if any(_names(head) & theirs.keys())]
    rules = [*layout.rules, *(rule for head in heads for rule in head)]
    if missing := sorted(set(_names(rules)) - theirs.keys()):
        raise ValueError(f"{len(missing)} tensors are missing, {missing[0]} first")
    return {rule.ours: _joined(theirs, rule) for rule in rules}


def _resolved(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """The tensors under the names of today, each that has several under its first."""
    theirs = {_today(name): tensor for name, tensor in tensors.items()}
    if not any(name.startswith(layout.prefix) for name in theirs):
        theirs = {layout.prefix + name: tensor for name, tensor in theirs.items()}
    for name, others in layout.stand_ins.items():
        present = [other for other in others if other in theirs]
        if name not in theirs and present:
            theirs[name] = theirs[present[0]]
    return theirs


def _today(name: str) -> str:
    for old, new in _OLD_ENDS.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _names(rules: Iterable[Rule]) -> set[str]:
    return {name for rule in rules for name in rule.theirs}


def _joined(tensors: Mapping[str, Tensor], rule: Rule) -> Tensor:
    parts = [tensors[name].t() if rule.transposed else tensors[name] for name in rule.theirs]
    if rule.skipped:
        parts.insert(0, torch.zeros_like(parts[0][:1]).expand(rule.skipped, -1))
    return parts[0].contiguous() if len(parts) == 1 else torch.cat(parts)


def write(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Our tensors under their names, zeros included, each once; ours that they lack are left."""
    theirs: dict[str, Tensor] = {}
    for rule in [*layout.rules, *(rule for head in layout.heads for rule in head)]:
        split = tensors[rule.ours][rule.skipped :].chunk(len(rule.theirs))
        for name, part in zip(rule.theirs, split, strict=True):
            theirs[name] = (part.t() if rule.transposed else part).contiguous()
    return theirs | {name: torch.zeros(shape) for name, shape in layout.zeros.items()}
