"""Which class a model is, and how its tensors are stored there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmprep.models.construction import new_model
from lmprep.models.hf import from_hf, hf_class, to_hf
from lmprep.models.settings import ModelSettings
from tests.models.hf_models import CASES, random_model
from tests.models.tiny_models import FAMILIES, VOCABULARY, tiny


def stored(settings: ModelSettings, class_name: str | None = None) -> dict[str, Tensor]:
    return to_hf(random_model(settings).state_dict(), settings, class_name)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("name", CASES)
def test_tensors_survive_the_way_there_and_back(name: str):
    settings, class_name = CASES[name].settings, CASES[name].class_name
    state = new_model(settings, seed=1).state_dict()
    back = from_hf(to_hf(state, settings, class_name), settings, class_name)

    pairs = {"encoder.pooler.weight", "encoder.pooler.bias", "pair_head.weight", "pair_head.bias"}
    lost = pairs if settings.pooler and settings.kind == "encoder" and not CASES[name].pairs else {}
    if class_name.startswith("Bert"):  # the rows before position 0 come back as zeros
        state["encoder.positions.weight"][: settings.position_offset] = 0
    assert_same(back, {key: tensor for key, tensor in state.items() if key not in lost})


@pytest.mark.parametrize("family", FAMILIES)
def test_safetensors_can_store_what_is_exported(family: str, tmp_path: Path):
    tensors = stored(tiny(family))
    save_file(tensors, tmp_path / "model.safetensors")

    assert_same(load_file(tmp_path / "model.safetensors"), tensors)


def test_what_fills_the_vocabulary_up_stays_here():
    settings = tiny("t5v1.1")
    tensors = stored(settings)
    state = from_hf(tensors, settings)

    assert tensors["shared.weight"].shape == tensors["lm_head.weight"].shape == (VOCABULARY, 32)
    for name in ("encoder.tokens.weight", "next_token_head.weight"):
        assert state[name].shape == (128, 32)
        assert not state[name][VOCABULARY:].any()


def test_weights_of_another_vocabulary_are_refused():
    tensors = stored(replace(tiny("gpt2"), vocabulary_size=96))

    with pytest.raises(ValueError, match=r"GPT2LMHeadModel: decoder.tokens.weight has 96 rows"):
        from_hf(tensors, tiny("gpt2"))


def test_bart_logits_with_a_bias_are_refused():
    tensors = stored(tiny("bart"))
    tensors["final_logits_bias"][0, 3] = 0.5

    with pytest.raises(ValueError, match="final_logits_bias is not zero"):
        from_hf(tensors, tiny("bart"))


@pytest.mark.parametrize(
    ("family", "changes", "expected"),
    [
        ("bert", {}, "BertForPreTraining"),
        ("bert", {"pooler": False}, "BertForMaskedLM"),
        ("bert", {"types": 0}, "BertForPreTraining"),
        ("bert", {"types": 0, "pooler": False}, "DistilBertForMaskedLM"),
        ("roberta", {}, "RobertaForMaskedLM"),
        ("roberta", {"pooler": True}, "BertForPreTraining"),
        ("roberta", {"activation": "relu"}, "BertForMaskedLM"),  # a RoBERTa's head has GELU
        ("albert", {}, "AlbertForPreTraining"),
        ("albert", {"pooler": False}, "AlbertForMaskedLM"),
        ("electra", {}, "ElectraForMaskedLM"),
        ("electra", {"embedding_width": 32}, "BertForMaskedLM"),
        ("gpt", {}, "OpenAIGPTLMHeadModel"),
        ("t5", {"activation": "gated-gelu"}, "T5ForConditionalGeneration"),
    ],
)
def test_a_model_has_a_class(family: str, changes: dict[str, object], expected: str):
    assert hf_class(tiny(family, **changes)) == expected


def test_an_untrained_head_of_pairs_is_no_reason_for_a_class_with_one():
    assert hf_class(tiny("bert"), pairs=False) == "BertForMaskedLM"
    assert hf_class(tiny("albert"), pairs=False) == "AlbertForMaskedLM"
    assert not any("seq_relationship" in name for name in stored(tiny("bert"), "BertForMaskedLM"))


def test_roberta_numbers_positions_from_padding_so_other_padding_makes_it_a_bert():
    settings = tiny("roberta")
    positions = random_model(settings).state_dict()["encoder.positions.weight"]
    name = "bert.embeddings.position_embeddings.weight"

    assert hf_class(settings, pad=1) == "RobertaForMaskedLM"
    assert hf_class(settings, pad=0) == "BertForMaskedLM"
    assert torch.equal(stored(settings, "BertForMaskedLM")[name], positions[2:])


@pytest.mark.parametrize(
    ("family", "changes", "reason"),
    [
        ("bert", {"norm": "rms"}, "BertFor.* has norm 'layer', not 'rms'"),
        ("bert", {"activation": "gated-gelu"}, "BertFor.* has activation .*not 'gated-gelu'"),
        ("bert", {"head_width": 16}, "BertFor.* has head_width 8, not 16"),
        ("bert", {"shared_layers": True}, "BertFor.* has shared_layers False, not True"),
        ("albert", {"embedding_width": 0}, "BertFor.* has shared_layers False, not True"),
        ("gpt2", {"positions": "rotary"}, "GPT2.* has positions 'learned', not 'rotary'"),
        ("gpt2", {"positions": "rotary", "bias": False}, "GPT2.*'rotary'; bias True, not False"),
        ("gpt2", {"output": "separate"}, "GPT2LMHeadModel, has output 'tied', not 'separate'"),
        ("gpt2", {"types": 2}, "GPT2LMHeadModel, has types 0, not 2"),
        ("gpt", {"feed_forward": 48}, "OpenAIGPTLMHeadModel, has feed_forward 128, not 48"),
        ("t5", {"bias": True}, "T5ForConditionalGeneration, has bias False, not True"),
        ("bart", {"scaled_attention": False}, "Bart.* has scaled_attention True, not False"),
    ],
)
def test_a_model_that_no_class_can_be_is_refused(
    family: str, changes: dict[str, object], reason: str
):
    refused = "no class of transformers is such a model; the nearest, "
    with pytest.raises(ValueError, match=refused + reason):
        hf_class(tiny(family, **changes))


def test_an_encoder_without_token_types_gets_one_of_zeros():
    tensors = stored(tiny("bert", types=0))

    assert tensors["bert.embeddings.token_type_embeddings.weight"].tolist() == [[0.0] * 32]


def test_distilbert_has_no_token_types_at_all():
    assert not any("token_type" in name for name in stored(tiny("distilbert")))


def test_the_span_boundary_head_stays_here():
    assert stored(tiny("bert", span_boundary=5)).keys() == stored(tiny("bert")).keys()


@pytest.mark.parametrize(
    ("family", "name", "others"),
    [
        ("bert", "bert.embeddings.word_embeddings.weight", ["cls.predictions.decoder.weight"]),
        ("bert", "cls.predictions.bias", ["cls.predictions.decoder.bias"]),
        ("gpt2", "transformer.wte.weight", ["lm_head.weight"]),
        ("t5", "shared.weight", ["encoder.embed_tokens.weight", "lm_head.weight"]),
        ("bart", "model.shared.weight", ["model.decoder.embed_tokens.weight", "lm_head.weight"]),
    ],
)
def test_a_tied_tensor_may_be_stored_under_any_of_its_names(
    family: str, name: str, others: list[str]
):
    settings = tiny(family)
    expected = from_hf(stored(settings), settings)
    for other in others:
        tensors = stored(settings)
        tensors[other] = tensors.pop(name)
        assert_same(from_hf(tensors, settings), expected)


def test_two_equal_matrices_of_t5_may_be_stored_once():
    settings = tiny("t5v1.1")
    tensors = stored(settings)
    del tensors["lm_head.weight"]
    state = from_hf(tensors, settings)

    assert torch.equal(state["next_token_head.weight"], state["encoder.tokens.weight"])


def test_names_of_tensorflow_days_are_read():
    settings = tiny("bert")
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    tensors = stored(settings)
    renamed = {}
    for name, tensor in tensors.items():
        end = ".".join(name.split(".")[-2:])
        renamed[name.removesuffix(end) + old.get(end, end)] = tensor

    assert_same(from_hf(renamed, settings), from_hf(tensors, settings))


@pytest.mark.parametrize(
    ("family", "prefix"), [("bert", "bert."), ("gpt2", "transformer."), ("bart", "model.")]
)
def test_a_file_of_the_bare_model_is_read_without_heads(family: str, prefix: str):
    settings = tiny(family)
    tensors = stored(settings)
    bare = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    bare = {name: tensor for name, tensor in bare.items() if prefix + name in tensors}
    heads = ("masked_token_head.", "pair_head.")

    expected = from_hf(tensors, settings)
    assert_same(
        from_hf(bare, settings),
        {name: tensor for name, tensor in expected.items() if not name.startswith(heads)},
    )


def test_a_pooler_in_the_file_is_read_though_its_config_names_a_class_without():
    settings = tiny("bert", pooler=False)
    tensors = stored(tiny("bert"))
    del tensors["cls.seq_relationship.weight"], tensors["cls.seq_relationship.bias"]
    state = from_hf(tensors, settings, "BertForPreTraining")

    pooler = {"encoder.pooler.weight", "encoder.pooler.bias"}
    assert state.keys() == new_model(settings, seed=1).state_dict().keys() | pooler


def test_an_electra_with_embeddings_as_wide_as_the_model_is_read():
    settings = tiny("electra", embedding_width=32)
    tensors = stored(settings, "ElectraForMaskedLM")

    assert not any("embeddings_project" in name for name in tensors)
    assert from_hf(tensors, settings, "ElectraForMaskedLM").keys() == (
        new_model(settings, seed=1).state_dict().keys()
    )


def test_a_missing_tensor_is_named():
    settings = tiny("bert")
    tensors = stored(settings)
    del tensors["bert.encoder.layer.1.output.dense.weight"]
    del tensors["cls.predictions.transform.dense.bias"]

    with pytest.raises(
        ValueError,
        match=r"BertForPreTraining: 2 tensors are missing, bert.encoder.layer.1.output.dense.w",
    ):
        from_hf(tensors, settings)
