"""Our models compute what those of transformers compute, with their weights, on CPU in float32.

M scored states, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmprep.models.construction import new_model
from lmprep.models.hf import from_hf, to_hf
from lmprep.models.inputs import Inputs
from lmprep.models.language_model import LanguageModel
from lmprep.models.settings import ModelSettings
from tests.models.tiny_models import (
    DECODER_LENGTH,
    DECODER_LENGTHS,
    FAMILIES,
    LENGTH,
    LENGTHS,
    ROWS,
    VOCABULARY,
    inputs_for,
    inside,
    tiny,
)

transformers = pytest.importorskip("transformers")

IGNORED = -100
PAIRS = torch.tensor([0, 1, 1])


def their_config(family: str, settings: ModelSettings) -> Any:
    """The same shape in transformers' words."""
    s = settings
    encoder = {
        "hidden_size": s.width,
        "num_hidden_layers": s.layers,
        "num_attention_heads": s.heads,
        "intermediate_size": s.feed_forward,
    }
    decoder = {"n_embd": s.width, "n_layer": s.layers, "n_head": s.heads}
    t5 = {
        "d_model": s.width,
        "num_layers": s.layers,
        "num_heads": s.heads,
        "d_kv": s.head_width,
        "decoder_start_token_id": 0,
        "d_ff": s.feed_forward,
    }
    bart = {"d_model": s.width, "max_position_embeddings": s.max_length, "pad_token_id": 1}
    for stack in ("encoder", "decoder"):
        bart |= {f"{stack}_layers": s.layers, f"{stack}_attention_heads": s.heads}
        bart |= {f"{stack}_ffn_dim": s.feed_forward}
    positions = s.max_length + s.position_offset
    name, shape = {
        "bert": ("Bert", encoder | {"max_position_embeddings": positions}),
        "roberta": (
            "Roberta",
            encoder
            | {"max_position_embeddings": positions, "type_vocab_size": 1, "layer_norm_eps": 1e-5},
        ),
        "gpt": ("OpenAIGPT", decoder | {"n_positions": positions}),
        "gpt2": ("GPT2", decoder | {"n_positions": positions}),
        "t5": ("T5", t5),
        "t5v1.1": (
            "T5",
            t5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        ),
        "bart": ("Bart", bart),
    }[family]
    return getattr(transformers, f"{name}Config")(vocab_size=VOCABULARY, **shape)


CLASSES = {
    "bert": "BertForPreTraining",
    "roberta": "RobertaForMaskedLM",
    "gpt": "OpenAIGPTLMHeadModel",
    "gpt2": "GPT2LMHeadModel",
    "t5": "T5ForConditionalGeneration",
    "t5v1.1": "T5ForConditionalGeneration",
    "bart": "BartForConditionalGeneration",
}


def settings_of(family: str) -> ModelSettings:
    # GPT's classes have no setting for the feed-forward's width; only T5's heads are of any width.
    changes: dict[str, int] = {"feed_forward": 128} if family.startswith("gpt") else {}
    if family.startswith("t5"):
        changes["head_width"] = 6
    return tiny(family, layers=3, **changes)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def theirs(family: str) -> nn.Module:
    """Their model with large random weights, biases and norms included: a wrong wire shows."""
    torch.manual_seed(1)
    model = getattr(transformers, CLASSES[family])(their_config(family, settings_of(family))).eval()
    if family == "t5v1.1":  # transformers starts with tied ones
        model.lm_head.weight = nn.Parameter(torch.zeros_like(model.lm_head.weight))
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="module")
def ours(family: str, theirs: nn.Module) -> LanguageModel:
    settings = settings_of(family)
    model = new_model(settings, seed=1)
    missing = model.load_state_dict(from_hf(theirs.state_dict(), settings), strict=False)
    if family == "roberta":  # the one class that lacks something
        assert {name.split(".")[-2] for name in missing.missing_keys} == {"pooler", "pair_head"}
    else:
        assert missing.missing_keys == []
    return model


@pytest.fixture(scope="module")
def inputs(family: str) -> Inputs:
    return inputs_for(settings_of(family))


def flat_labels(inputs: Inputs) -> Tensor:
    generator = torch.Generator().manual_seed(8)
    return torch.randint(5, VOCABULARY, (len(inputs.scored_M),), generator=generator)


def their_batch(family: str, inputs: Inputs) -> dict[str, Tensor]:
    """The same batch, with a dense label for every position."""
    behind_encoder = inputs.decoder_ids_BK is not None
    labels = torch.full((ROWS, DECODER_LENGTH if behind_encoder else LENGTH), IGNORED)
    labels.view(-1)[inputs.scored_M] = flat_labels(inputs)
    batch = {
        "input_ids": inputs.ids_BL,
        "attention_mask": inside(LENGTHS, LENGTH).long(),
        "labels": labels,
    }
    if family == "bert":
        batch |= {"token_type_ids": inputs.types_BL, "next_sentence_label": PAIRS}
    if family == "roberta":  # positions are numbered by what is not padding
        batch["input_ids"] = inputs.ids_BL.masked_fill(~inside(LENGTHS, LENGTH), 1)
    if behind_encoder:
        batch["decoder_input_ids"] = inputs.decoder_ids_BK
        batch["decoder_attention_mask"] = inside(DECODER_LENGTHS, DECODER_LENGTH).long()
    if family.startswith("gpt"):  # their labels are shifted within the class
        batch["labels"] = torch.cat((torch.full((ROWS, 1), IGNORED), labels[:, :-1]), dim=1)
    return {name: tensor for name, tensor in batch.items() if tensor is not None}


def scored_by_both(family: str, inputs: Inputs) -> Tensor:
    """Which of our scored states they score: all but, in GPT's classes, the rows' last."""
    if not family.startswith("gpt"):
        return torch.ones(len(inputs.scored_M), dtype=torch.bool)
    return inputs.scored_M % LENGTH < LENGTH - 1


def test_logits_and_loss_are_theirs(
    family: str, theirs: nn.Module, ours: LanguageModel, inputs: Inputs
):
    with torch.no_grad():
        expected = theirs(**their_batch(family, inputs))
        outputs = ours(inputs)
        scored = scored_by_both(family, inputs)
        loss = F.cross_entropy(outputs.logits_MV[scored], flat_labels(inputs)[scored])

    dense = expected.prediction_logits if family == "bert" else expected.logits
    logits = dense.flatten(0, 1)[inputs.scored_M]
    assert logits.std() > 0.5
    torch.testing.assert_close(outputs.logits_MV, logits, atol=1e-4, rtol=1e-5)
    if family == "bert":
        pairs = outputs.pair_logits_B2
        torch.testing.assert_close(pairs, expected.seq_relationship_logits, atol=1e-5, rtol=1e-5)
        loss += F.cross_entropy(pairs, PAIRS)
    torch.testing.assert_close(loss, expected.loss, atol=1e-5, rtol=1e-5)


def test_names_and_tensors_survive_the_way_to_transformers_and_back(family: str, theirs: nn.Module):
    settings, state = settings_of(family), theirs.state_dict()
    there = to_hf(from_hf(state, settings), settings)

    buffers = {name for name in state if name.endswith(("position_ids", "token_type_ids"))}
    assert set(there) == set(state) - buffers
    assert all(torch.equal(there[name], state[name]) for name in there)
    assert all(tensor.is_contiguous() for tensor in there.values())


def test_the_labels_shifted_right_are_what_their_class_makes_of_labels():
    # T5 starts with padding, BART with </s>: then the decoder sees labels 0 to K - 2.
    for family, start in (("t5", 0), ("bart", 2)):
        settings = settings_of(family)
        model = getattr(transformers, CLASSES[family])(their_config(family, settings)).eval()
        ours = new_model(settings, seed=1)
        ours.load_state_dict(from_hf(model.state_dict(), settings))
        ids = torch.arange(5, 5 + LENGTH)[None]
        labels = torch.arange(20, 20 + DECODER_LENGTH)[None]
        shifted = torch.cat((torch.tensor([[start]]), labels[:, :-1]), dim=1)
        inputs = Inputs(ids_BL=ids, decoder_ids_BK=shifted, scored_M=torch.arange(DECODER_LENGTH))
        with torch.no_grad():
            expected = model(input_ids=ids, labels=labels).loss
            loss = F.cross_entropy(ours(inputs).logits_MV, labels[0])

        torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
