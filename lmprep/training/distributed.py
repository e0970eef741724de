"""Processes that train one model together, as `torchrun` starts them.

    torchrun --nproc-per-node 8 -m lmprep pretrain shards -o run --model bert-base --steps 100000

Every process (rank) reads the same datasets and takes its own rows of each step. With `replicate`
each has the whole model, and gradients are averaged (DistributedDataParallel); with `shard` each
has a part of weights, gradients and optimizer (`fully_shard`, FSDP2), which is gathered block by
block.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.nn.parallel import DistributedDataParallel

from lmprep.errors import UsageError
from lmprep.models.blocks import Block

Given = TypeVar("Given")


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Which of how many processes this is.

    Args:
        rank: from 0.
        count: of all processes.
        local: which on this machine, from 0: the number of its CUDA device.
    """

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def leads(self) -> bool:
        """Is this the process that writes and shows?"""
        return self.rank == 0

    def total(self, numbers: Sequence[float], device: torch.device) -> list[float]:
        """The sums of numbers over all ranks, float64; the same bits on each."""
        if self.count == 1:
            return list(numbers)
        # NCCL adds up what lies on CUDA devices only.
        sums = torch.tensor(numbers, dtype=torch.float64, device=device)
        dist.all_reduce(sums)
        return cast("list[float]", sums.tolist())

    def lead(self, action: Callable[[], Given]) -> Given:
        """The result of an action that the first rank alone does; its error ends every rank."""
        if self.count == 1:
            return action()
        outcome: list[Any] = [None, None]
        if self.leads:
            try:
                outcome[0] = action()
            except Exception as error:
                outcome[1] = error
        dist.broadcast_object_list(outcome, src=0)
        if outcome[1] is not None:
            raise outcome[1]
        return cast("Given", outcome[0])

    @contextmanager
    def lead_in(self, make: Callable[[], AbstractContextManager[object]]) -> Iterator[None]:
        """A context that the first rank alone opens, while the others wait, and closes."""
        with ExitStack() as opened:
            self.lead(lambda: opened.enter_context(make()) and None)
            yield


def ranks_here() -> Ranks:
    """What `torchrun` says in the environment; one process without it."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Ranks()
    local = int(os.environ.get("LOCAL_RANK", "0"))
    return Ranks(rank=int(os.environ["RANK"]), count=count, local=local)


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Join the other processes, if there are any, for the time of the block."""
    ranks = ranks_here()
    if ranks.count == 1:
        yield ranks
        return
    if device.type == "cuda":
        torch.cuda.set_device(ranks.local)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield ranks
    finally:
        dist.destroy_process_group()


def wrapped(module: nn.Module, ranks: Ranks, sharding: str, device: torch.device) -> nn.Module:
    """A module that trains with those of the other ranks.

    Args:
        module: on its device, with the same weights on every rank.
        sharding: a value of `settings.SHARDINGS`. `shard` replaces the parameters of the module by
            sharded ones: make the optimizer afterwards.
    """
    if ranks.count == 1:
        return module
    if sharding == "shard":
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(device.type, (ranks.count,))
        for block in [part for part in module.modules() if isinstance(part, Block)]:
            fully_shard(block, mesh=mesh)
        fully_shard(module, mesh=mesh)
        return module
    return DistributedDataParallel(module)


@contextmanager
def synchronized(module: nn.Module, *, last: bool) -> Iterator[None]:
    """Gradients go to the other ranks with the last of several backward passes only."""
    if _is_a(module, "torch.distributed.fsdp", "FSDPModule"):
        module.set_requires_gradient_sync(last)  # type: ignore[operator]
    alone = isinstance(module, DistributedDataParallel) and not last
    with module.no_sync() if alone else nullcontext():  # type: ignore[operator]
        yield


def is_sharded(tensor: Tensor) -> bool:
    """Whether the parts of a tensor lie on several ranks."""
    return _is_a(tensor, "torch.distributed.tensor", "DTensor")


def _is_a(value: object, module: str, name: str) -> bool:
    """As `isinstance`, without importing a module that takes a second to import: nothing is of its
    classes until somebody has imported it."""
    return module in sys.modules and isinstance(value, getattr(sys.modules[module], name))


def full(tensor: Tensor) -> Tensor:
    """All of a tensor whose parts lie on several ranks, on each of them; other tensors as such."""
    whole: Tensor = tensor.full_tensor() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]
    return whole


def like(whole: Tensor, parameter: Tensor) -> Tensor:
    """This rank's part of a whole tensor, for a parameter that is sharded; else all of it."""
    there = whole.to(parameter.device)
    if not is_sharded(parameter):
        return there
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(parameter, DTensor)
    mesh, placements = parameter.device_mesh, parameter.placements
    return distribute_tensor(there, mesh, placements, src_data_rank=None)


def check_ranks(ranks: Ranks, bins: int, length: int) -> None:
    """Raise `UsageError` unless a step has a row for every rank."""
    if bins < ranks.count:
        raise UsageError(
            f"an update of {bins} sequences does not go round {ranks.count} processes",
            fix=f"Give --batch-tokens of at least {ranks.count * length}",
        )
