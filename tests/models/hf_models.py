"""Models of ours beside the classes of transformers that are the same, and batches for both."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lmprep.models.construction import new_model, outline
from lmprep.models.hf import (
    from_hf,
    hf_class,
    read_config,
    reading_class,
    to_hf,
    write_config,
)
from lmprep.models.inputs import IGNORED, Inputs
from lmprep.models.language_model import LanguageModel
from lmprep.models.settings import ModelSettings
from lmprep.vocabulary import Vocabulary
from tests.models.tiny_models import (
    DECODER_LENGTH,
    DECODER_LENGTHS,
    DECODERS,
    ENCODER_DECODERS,
    LENGTH,
    LENGTHS,
    ROWS,
    VOCABULARY,
    inside,
    tiny,
)

_PLACES: dict[str, dict[str, int]] = {
    "bert": {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4},
    "roberta": {"cls": 0, "pad": 1, "sep": 2, "unk": 3, "mask": 4},
    "gpt2": {"sep": 0},
    "t5": {"pad": 0, "sep": 1, "unk": 2},
}


def vocabulary_for(family: str) -> Vocabulary:
    """The special tokens that go with a family of models."""
    of = {"roberta": "roberta", "bart": "roberta", "gpt": "gpt2", "gpt2": "gpt2"}
    of |= {"t5": "t5", "t5v1.1": "t5"}
    name = of.get(family, "bert")
    places = _PLACES[name]
    special = tuple(sorted(places.values()))
    return Vocabulary(family=name, size=VOCABULARY, special=special, **places)


def start_token_of(family: str) -> int | None:
    """T5 starts with padding, BART with </s>."""
    vocabulary = vocabulary_for(family)
    if family not in ENCODER_DECODERS:
        return None
    return vocabulary.sep if family == "bart" else vocabulary.pad


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model that a class of transformers can be.

    Args:
        family: of ours.
        tokens: the family whose special tokens it learned; empty is its own.
        pairs: whether its head of sentence pairs is kept.
        changes: of the family's tiny settings.
    """

    class_name: str
    family: str
    tokens: str = ""
    pairs: bool = False
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> ModelSettings:
        return tiny(self.family, layers=3, **self.changes)


CASES = {
    "bert pairs": Case(class_name="BertForPreTraining", family="bert", pairs=True),
    "bert": Case(class_name="BertForMaskedLM", family="bert"),
    "bert of relu": Case(
        class_name="BertForMaskedLM", family="bert", changes={"activation": "relu", "types": 3}
    ),
    "roberta": Case(class_name="RobertaForMaskedLM", family="roberta"),
    "roberta pairs": Case(
        class_name="BertForPreTraining", family="roberta", pairs=True, changes={"pooler": True}
    ),
    "roberta of BERT's tokens": Case(class_name="BertForMaskedLM", family="roberta", tokens="bert"),
    "albert pairs": Case(class_name="AlbertForPreTraining", family="albert", pairs=True),
    "albert": Case(class_name="AlbertForMaskedLM", family="albert"),
    "distilbert": Case(class_name="DistilBertForMaskedLM", family="distilbert"),
    "electra": Case(class_name="ElectraForMaskedLM", family="electra"),
    "gpt": Case(class_name="OpenAIGPTLMHeadModel", family="gpt"),
    "gpt2": Case(class_name="GPT2LMHeadModel", family="gpt2"),
    # Only T5's heads are of any width.
    "t5": Case(class_name="T5ForConditionalGeneration", family="t5", changes={"head_width": 6}),
    "t5v1.1": Case(
        class_name="T5ForConditionalGeneration", family="t5v1.1", changes={"head_width": 6}
    ),
    "t5 of silu": Case(
        class_name="T5ForConditionalGeneration",
        family="t5v1.1",
        changes={"activation": "gated-silu"},
    ),
    "bart": Case(class_name="BartForConditionalGeneration", family="bart"),
}


def random_model(settings: ModelSettings, seed: int = 1) -> LanguageModel:
    """A model whose biases and norms are not at 0 and 1, so that a wrong wire shows; nor are the
    rows that only fill the vocabulary up, which must not matter."""
    model = new_model(settings, seed)
    shake(model, seed)
    return model


def shake(model: nn.Module, seed: int) -> None:
    """Add noise to all parameters."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)


def write_folder(model: LanguageModel, case: Case, folder: Path) -> None:
    """What transformers loads: config.json and model.safetensors."""
    vocabulary = vocabulary_for(case.tokens or case.family)
    name = hf_class(model.settings, pairs=case.pairs, pad=vocabulary.pad)
    assert name == case.class_name
    config = write_config(model.settings, name, vocabulary, start_token_of(case.family))
    (folder / "config.json").write_text(json.dumps(config))
    save_file(
        to_hf(model.state_dict(), model.settings, name),
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )


def read_folder(folder: Path) -> LanguageModel:
    """A model of ours out of what transformers has saved."""
    config = json.loads((folder / "config.json").read_text())
    settings = read_config(config)
    tensors = load_file(folder / "model.safetensors")
    model = outline(settings)
    model.load_state_dict(from_hf(tensors, settings, reading_class(config)), assign=True)
    return model


def random_labels(inputs: Inputs) -> Tensor:
    """int64 [M]."""
    generator = torch.Generator().manual_seed(8)
    return torch.randint(5, VOCABULARY, (len(inputs.scored_M),), generator=generator)


def their_batch(case: Case, inputs: Inputs) -> dict[str, Tensor]:
    """The same batch, with a dense label for every position."""
    behind_encoder = inputs.decoder_ids_BK is not None
    labels = torch.full((ROWS, DECODER_LENGTH if behind_encoder else LENGTH), IGNORED)
    labels.view(-1)[inputs.scored_M] = random_labels(inputs)
    batch = {
        "input_ids": inputs.ids_BL,
        "attention_mask": inside(LENGTHS, LENGTH).long(),
        "labels": labels,
    }
    if case.settings.types > 1:
        batch["token_type_ids"] = inputs.types_BL
    if case.class_name.startswith("Roberta"):  # positions are numbered by what is not padding
        batch["input_ids"] = inputs.ids_BL.masked_fill(~inside(LENGTHS, LENGTH), 1)
    if inputs.decoder_ids_BK is not None:
        batch["decoder_input_ids"] = inputs.decoder_ids_BK
        batch["decoder_attention_mask"] = inside(DECODER_LENGTHS, DECODER_LENGTH).long()
    if case.family in DECODERS:  # their labels are shifted within the class
        batch["labels"] = torch.cat((torch.full((ROWS, 1), IGNORED), labels[:, :-1]), dim=1)
    return batch


def their_logits(theirs: nn.Module, case: Case, inputs: Inputs) -> tuple[Tensor, Tensor | None]:
    """Logits [M, V] at the scored states, and [P, 2] of pairs where the class has them."""
    batch = their_batch(case, inputs)
    del batch["labels"]  # a class with two heads wants labels for both
    with torch.no_grad():
        found = theirs(**batch)
    dense = found.prediction_logits if case.pairs else found.logits
    pairs = None
    if case.pairs:
        pairs = found.sop_logits if case.family == "albert" else found.seq_relationship_logits
    return dense.flatten(0, 1)[inputs.scored_M], pairs
