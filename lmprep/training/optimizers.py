"""The optimizer: AdamW with decoupled weight decay (arXiv:1711.05101), or Muon and AdamW.

Matrices and embeddings decay, biases and norms do not. Muon (`muon.py`) moves the matrices within
the blocks: attention's, cross-attention's and the feed-forward's. AdamW moves the rest: embeddings,
positions, what brings narrow embeddings to the model's width, pooler and heads (whose rows belong
to tokens or classes, not to hidden states alone), biases, norms.

Adam's steps have the same size for every parameter, whatever the parameter's own. T5's embeddings
start with a deviation of 1, its matrices with about width**-0.5, and T5's optimizer (Adafactor,
arXiv:1804.04235, section 8) makes steps in proportion to that: so here these embeddings have
width**0.5 times the learning rate. Without it they hardly move in a short training: t5-tiny on
300 steps of English novels came to 5.24 nats a target token, with it to 5.11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from lmprep.models.settings import ModelSettings
from lmprep.pretrain_settings import PretrainSettings
from lmprep.training.devices import choose_precision
from lmprep.training.distributed import full, like
from lmprep.training.muon import Matrix, Muon

_WIDE = 768
_LR, _LR_WIDE = 5e-4, 1e-4
_ADAMW_PARTS = ("step", "exp_avg", "exp_avg_sq")
# Modules whose matrix is several, one below another.
_FUSED = {"qkv": 3, "kv": 2}


Times = Callable[[str], float]
"""The learning rate of a parameter, as times the one that is set, by the parameter's name."""


class Trainable(Protocol):
    """A model, or a network around one."""

    @property
    def settings(self) -> ModelSettings:
        """Of the model."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """All of them."""


def peak_learning_rate(settings: PretrainSettings, model: ModelSettings) -> float:
    """What the settings say, else 1e-4 for wide models (BERT's) and 5e-4 for small ones."""
    if settings.lr is not None:
        return settings.lr
    return _LR_WIDE if model.width >= _WIDE else _LR


class Optimizer:
    """Moves the parameters of a model by their gradients.

    Args:
        model: on its device and, if it is to be sharded, sharded. Parameters without gradients
            stay as they are.
        times: beside what T5's embeddings have; by default 1 everywhere. Not for Muon.
    """

    def __init__(
        self, model: Trainable, settings: PretrainSettings, times: Times = lambda _: 1.0
    ) -> None:
        self._parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        matrices = self._block_matrices() if settings.optimizer == "muon" else {}
        rest = {n: p for n, p in self._parameters.items() if n not in matrices}
        precision = choose_precision(settings.precision, model.device)
        self._muon = Muon(matrices, decay=settings.weight_decay, precision=precision)
        # Every step sets the learning rate anew.
        self._adamw = torch.optim.AdamW(
            _groups(rest, model.settings, settings.weight_decay, times),
            lr=0.0,
            betas=(settings.beta1, settings.beta2),
            fused=True,
        )

    def _block_matrices(self) -> dict[str, Matrix]:
        """Those of the blocks, and how many matrices each is fused from."""
        return {
            name: Matrix(parameter=parameter, parts=_FUSED.get(name.split(".")[-2], 1))
            for name, parameter in self._parameters.items()
            if ".blocks." in name and parameter.ndim == 2
        }

    def step(self, rate: float) -> None:
        """Move the parameters once."""
        for group in self._adamw.param_groups:
            group["lr"] = rate * group["times"]
        self._adamw.step()
        self._muon.step(rate)

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for parameter in self._parameters.values():
            parameter.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """The state, for a checkpoint, as `PARAMETER.exp_avg` and so on, whole on every rank.

        With sharded parameters all ranks must ask for it together.
        """
        return {
            f"{name}.{part}": full(tensor)
            for name, parameter in self._parameters.items()
            for part, tensor in self._state(name, parameter).items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """The way back from `tensors`; what they do not name has had no gradient yet.

        Raises:
            ValueError: they are not of this optimizer and model.
        """
        loaded: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            name, _, part = key.rpartition(".")
            if part not in self._parts(name):
                raise ValueError(
                    f"optimizer state {key!r} has no place in this model and optimizer"
                )
            loaded.setdefault(name, {})[part] = self._copied(tensor, name, part)
        for name, state in loaded.items():
            if missing := set(self._parts(name)) - set(state):
                raise ValueError(f"optimizer state of {name} lacks {', '.join(sorted(missing))}")
            if "momentum" in state:
                self._muon.momenta[name] = state["momentum"]
            else:
                self._adamw.state[self._parameters[name]] = state

    def _state(self, name: str, parameter: nn.Parameter) -> dict[str, Tensor]:
        """Of one parameter; empty before its first gradient."""
        if name in self._muon.momenta:
            return {"momentum": self._muon.momenta[name]}
        # A look-up alone would make an entry.
        state = self._adamw.state.get(parameter, {})
        return cast("dict[str, Tensor]", state)

    def _parts(self, name: str) -> tuple[str, ...]:
        """Names of the state of a parameter."""
        if name not in self._parameters:
            return ()
        return ("momentum",) if name in self._muon.matrices else _ADAMW_PARTS

    def _copied(self, tensor: Tensor, name: str, part: str) -> Tensor:
        """A state as the parameter has it: on its device, and this rank's share of it."""
        parameter = self._parameters[name]
        if part == "step":
            return tensor.to(parameter.device, copy=True)
        if tensor.shape != parameter.shape:
            raise ValueError(
                f"optimizer state {name}.{part} has shape {tuple(tensor.shape)}, its parameter "
                f"{tuple(parameter.shape)}"
            )
        # A copy: a share would keep all of the tensor in memory.
        return like(tensor, parameter).clone()


def _groups(
    parameters: Mapping[str, nn.Parameter], model: ModelSettings, decay: float, times: Times
) -> list[dict[str, Any]]:
    """AdamW's groups: weight decay, and the learning rate as times the one that is set."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        quick = model.width**0.5 if _is_quick(name, model) else 1.0
        decays = decay if parameter.ndim > 1 else 0.0
        groups.setdefault((decays, quick * times(name)), []).append(parameter)
    return [
        {"params": members, "weight_decay": decays, "times": rate}
        for (decays, rate), members in groups.items()
    ]


def _is_quick(name: str, model: ModelSettings) -> bool:
    """Is it T5's token embeddings?"""
    return model.initialization == "t5" and name.endswith("tokens.weight")
