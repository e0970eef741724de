"""What a fine-tuning starts from: a pretrained model with its tokenizer; and the network around it.

A model is a run folder, one of its checkpoints, a folder of Hugging Face's layout or a name on its
hub, as for `lmprep pretrain --init`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lmprep.errors import CheckpointError, UsageError
from lmprep.finetuning.heads import RowHead, initialize_head
from lmprep.finetuning.network import Network, head_width
from lmprep.finetuning.settings import FinetuneSettings
from lmprep.finetuning.tasks.base import Task, activation_for
from lmprep.models.construction import outline
from lmprep.models.hf import hf_class
from lmprep.models.hf.classes import CLASSES
from lmprep.models.initialization import initialize
from lmprep.models.settings import ModelSettings
from lmprep.tokenization import folder as tokenizer_folder
from lmprep.tokenization.folder import TokenizerFolder
from lmprep.training.pretrained import Pretrained, find_pretrained
from lmprep.vocabulary import Vocabulary

# Parts that nothing here is asked of, and that may be missing.
_HEADS = ("encoder.pooler.", "masked_token_head.", "pair_head.", "span_boundary_head.")
_GENERATOR = ("generator.", "masked_token_head.")
# The family of a tokenizer that does not tell it, by the kind of model.
_FAMILIES = {"encoder": "bert", "decoder": "gpt2", "encoder-decoder": "t5"}
_LONGEST = 512
_WIDE = 768


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """A pretrained model.

    Args:
        settings: its shape, without heads of its own that are left out here.
        tensors: its weights by our names.
        tokenizer: as loaded.
        class_name: the class of transformers that it is; empty if none.
        description: where it is from.
    """

    settings: ModelSettings
    tensors: dict[str, Tensor]
    tokenizer: TokenizerFolder
    class_name: str
    description: str

    @property
    def vocabulary(self) -> Vocabulary:
        """Of the tokenizer."""
        return self.tokenizer.vocabulary

    @property
    def model_type(self) -> str:
        """What transformers calls its kind; empty if it has none."""
        return CLASSES[self.class_name].model_type if self.class_name else ""

    def length(self, settings: FinetuneSettings) -> int:
        """The longest row, in tokens.

        Raises:
            UsageError: longer than the model can take.
        """
        limit = self.settings.length_limit
        if settings.length is None:
            return min(_LONGEST, limit or _LONGEST)
        if limit is not None and settings.length > limit:
            raise UsageError(
                f"--length {settings.length}: the model takes {limit} tokens at most",
                path=self.description,
                fix=f"Give --length {limit} or less, or leave it out",
            )
        return settings.length


def load_start(source: str) -> Start:
    """The model behind a path or name.

    Raises:
        UsageError: there is none, it has no tokenizer, or one of more tokens than it knows.
        CheckpointError: its files are damaged.
    """
    return start_from(find_pretrained(source))


def start_from(found: Pretrained) -> Start:
    """A model with its tokenizer; see `load_start`."""
    tokenizer = _load_tokenizer(found)
    if tokenizer.vocabulary.size > found.settings.vocabulary_size:
        raise UsageError(
            f"its tokenizer has {tokenizer.vocabulary.size} tokens, the model "
            f"{found.settings.vocabulary_size}",
            path=found.description,
            fix="Put the model's own tokenizer there",
        )
    settings, tensors = found.settings, found.tensors
    if settings.generator_width:  # ELECTRA: the discriminator, without the generator beside it
        settings = replace(settings, generator_width=0)
        tensors = {n: t for n, t in tensors.items() if not n.startswith(_GENERATOR)}
    if settings.kind == "encoder":
        settings = replace(settings, pooler=False, span_boundary=0)
    try:
        class_name = hf_class(settings, pairs=False, pad=tokenizer.vocabulary.pad)
    except ValueError:
        class_name = ""
    return Start(
        settings=settings,
        tensors=tensors,
        tokenizer=tokenizer,
        class_name=class_name,
        description=found.description,
    )


def _load_tokenizer(found: Pretrained) -> TokenizerFolder:
    try:
        return tokenizer_folder.load(found.tokenizer)
    except UsageError:  # perhaps only of an untold family; another fault comes again
        return tokenizer_folder.load(found.tokenizer, _FAMILIES[found.settings.kind])


def new_network(start: Start, task: Task[Any], settings: FinetuneSettings, seed: int) -> Network:
    """The network before its training, on CPU; the same seed gives the same weights.

    Raises:
        CheckpointError: a weight of the model is missing, or of another shape.
    """
    network = build_network(start.settings, start.model_type, task, settings)
    initialize(network.model, network.model.settings, seed)
    head = nn.ModuleList(module for name, module in network.named_children() if name != "model")
    initialize_head(head, seed)
    if not settings.random_init:
        copy_weights(network.model, start.tensors, start.description)
        _begin_with_pooler(network.head, start.tensors)
    return network


def build_network(
    model: ModelSettings, model_type: str, task: Task[Any], settings: FinetuneSettings
) -> Network:
    """The network, its weights still without values.

    Args:
        model_type: of transformers; empty for a model that no class is.
    """
    if settings.dropout is not None:
        model = replace(model, dropout=settings.dropout, attention_dropout=settings.dropout)
    width = head_width(model, settings.layers, bilstm=settings.bilstm)
    return Network(
        outline(model).to_empty(device="cpu"),
        task.new_head(width, activation_for(model, model_type)),
        layers=settings.layers,
        bilstm=settings.bilstm,
        dropout=model.dropout,
    )


@torch.no_grad()
def copy_weights(model: nn.Module, tensors: dict[str, Tensor], description: str) -> list[str]:
    """Put pretrained weights into a model; the names of those of heads that are not there, which
    keep what they have."""
    left = []
    for name, tensor in model.state_dict().items():
        found = tensors.get(name)
        if found is None and name.startswith(_HEADS):
            left.append(name)
            continue
        if found is None or found.shape != tensor.shape:
            shape = "nothing" if found is None else list(found.shape)
            raise CheckpointError(
                f"it has {shape} as {name}, not {list(tensor.shape)}",
                path=description,
                fix="Take weights and configuration of the same model",
            )
        tensor.copy_(found)
    return left


@torch.no_grad()
def _begin_with_pooler(head: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give a head on first tokens the pretrained pooler, if there is one and it fits."""
    weight, bias = (tensors.get(f"encoder.pooler.{part}") for part in ("weight", "bias"))
    if isinstance(head, RowHead) and head.activation == "tanh" and weight is not None:
        assert bias is not None
        if head.dense.weight.shape == weight.shape:
            head.dense.weight.copy_(weight)
            head.dense.bias.copy_(bias)


def learning_rate_of(settings: FinetuneSettings, model: ModelSettings) -> float:
    """What the settings say, else what usually works: see `FinetuneSettings`."""
    if settings.lr is not None:
        return settings.lr
    if settings.frozen:
        return 1e-3
    return 5e-5 if model.width >= _WIDE else 3e-4
