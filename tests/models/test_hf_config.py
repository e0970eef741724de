"""config.json: what we write, and what transformers and others have written."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lmprep.models.construction import count_parameters, outline
from lmprep.models.hf import hf_class, read_config, reading_class, write_config
from lmprep.models.hf.model_types import MODEL_TYPES
from lmprep.models.settings import MODELS, ModelSettings, model_settings
from tests.models.hf_models import start_token_of, vocabulary_for
from tests.models.tiny_models import tiny

transformers = pytest.importorskip("transformers")


KNOWN = [name for name in MODELS if not name.startswith("elmo")]  # transformers has no such class


def written(settings: ModelSettings, family: str) -> dict[str, Any]:
    vocabulary = vocabulary_for(family)
    name = hf_class(settings, pad=vocabulary.pad)
    return write_config(settings, name, vocabulary, start_token_of(family))


@pytest.mark.parametrize("name", KNOWN)
def test_a_named_model_survives_the_way_there_and_back(name: str):
    settings = model_settings(name, vocabulary_size=1000)
    config = written(settings, name.partition("-")[0])

    assert read_config(config) == settings


@pytest.mark.parametrize("name", KNOWN)
def test_transformers_understands_it_as_we_do(name: str):
    settings = model_settings(name, vocabulary_size=1000)
    config = written(settings, name.partition("-")[0])
    made = getattr(transformers, config["architectures"][0])
    theirs = made.config_class.from_dict(config)
    with torch.device("meta"):
        model = made(theirs)
    count = sum(parameter.numel() for parameter in model.parameters())
    if settings.output == "separate":  # transformers ties the two until it sees two tensors
        count += model.lm_head.weight.numel()

    assert count_parameters(outline(settings)) == count
    assert read_config(theirs.to_dict()) == settings


@pytest.mark.parametrize("name", MODEL_TYPES)
def test_what_a_file_leaves_out_is_what_transformers_takes(name: str):
    complete = transformers.AutoConfig.for_model(name).to_dict()

    assert read_config({"model_type": name}) == read_config(complete)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("bert-base", {"model_type": "bert"}),
        ("albert-xxlarge", {"model_type": "albert"}),
        ("distilbert-base", {"model_type": "distilbert"}),
        ("electra-small", {"model_type": "electra"}),
        ("gpt-base", {"model_type": "openai-gpt"}),
        ("gpt2-small", {"model_type": "gpt2"}),
        ("t5-small", {"model_type": "t5"}),
        # The published files of these say more than the classes' defaults.
        (
            "roberta-base",
            {
                "model_type": "roberta",
                "max_position_embeddings": 514,
                "type_vocab_size": 1,
                "layer_norm_eps": 1e-5,
            },
        ),
        ("bart-large", {"model_type": "bart", "attention_dropout": 0.1, "activation_dropout": 0.1}),
    ],
)
def test_a_published_config_is_that_of_the_named_model(name: str, config: dict[str, Any]):
    settings = read_config(config)

    assert settings == model_settings(name, vocabulary_size=settings.vocabulary_size)


def test_dropout_is_kept():
    for family in ("bert", "albert", "distilbert", "electra", "gpt2", "bart"):
        settings = tiny(family, dropout=0.25, attention_dropout=0.5)
        back = read_config(written(settings, family))
        assert (back.dropout, back.attention_dropout) == (0.25, 0.5)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("bert", {"pad_token_id": 0}),
        ("roberta", {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}),
        ("gpt2", {"bos_token_id": 0, "eos_token_id": 0}),
        ("t5", {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}),
        ("bart", {"pad_token_id": 1, "decoder_start_token_id": 2, "forced_eos_token_id": 2}),
    ],
)
def test_special_tokens_are_the_vocabularys(family: str, expected: dict[str, int]):
    config = written(tiny(family), family)

    assert {key: config[key] for key in expected} == expected
    assert config["is_encoder_decoder"] == (family in ("t5", "bart"))


def test_robertas_positions_are_counted_from_two():
    config = written(tiny("roberta", max_length=40), "roberta")

    assert config["max_position_embeddings"] == 42
    assert (read_config(config).max_length, read_config(config).position_offset) == (40, 2)


def test_a_t5_has_its_output_matrix_marked_for_old_and_new_transformers():
    for family, tied in (("t5", True), ("t5v1.1", False)):
        config = written(tiny(family), family)
        assert config["tie_word_embeddings"] is config["scale_decoder_outputs"] is tied
    old, new = {"tie_word_embeddings": False}, {"scale_decoder_outputs": False}
    for flags in (old, new, new | {"tie_word_embeddings": True}):
        assert read_config({"model_type": "t5"} | flags).output == "separate"


def test_a_pooler_is_there_if_the_files_class_has_pairs():
    for architecture, pooler in (("BertForPreTraining", True), ("BertForMaskedLM", False)):
        config = {"model_type": "bert", "architectures": [architecture]}
        assert read_config(config).pooler is pooler


def test_weights_are_read_as_the_class_with_all_heads():
    assert reading_class({"model_type": "bert"}) == "BertForPreTraining"
    assert reading_class({"model_type": "electra"}) == "ElectraForMaskedLM"


@pytest.mark.parametrize(
    ("model_type", "key", "value", "complaint"),
    [
        ("llama", "hidden_size", 8, "model_type is 'llama'; it must be one of bert, roberta"),
        ("bert", "hidden_act", "swish", "hidden_act is 'swish'; it must be one of gelu, gelu_new"),
        ("roberta", "hidden_act", "relu", "hidden_act is 'relu'; it must be one of gelu"),
        ("bert", "is_decoder", True, "is_decoder is True; models of ours have only False"),
        ("bert", "tie_word_embeddings", False, "tie_word_embeddings is False"),
        ("roberta", "pad_token_id", 0, "pad_token_id is 0; models of ours have only 1"),
        ("albert", "num_hidden_groups", 2, "num_hidden_groups is 2; models of ours have only 1"),
        ("gpt2", "scale_attn_weights", False, "scale_attn_weights is False"),
        ("gpt2", "embd_pdrop", 0.3, "embd_pdrop is 0.3, but resid_pdrop gives 0.1"),
        ("t5", "relative_attention_num_buckets", 64, "relative_attention_num_buckets is 64"),
        ("t5", "num_decoder_layers", 2, "num_decoder_layers is 2, but num_layers gives 6"),
        ("bart", "scale_embedding", True, "scale_embedding is True"),
        ("bart", "decoder_layers", 6, "decoder_layers is 6, but encoder_layers gives 12"),
        ("bert", "hidden_size", "768", "hidden_size is '768', not a whole number"),
        ("bert", "hidden_size", 770, "hidden_size 770 is not a multiple of 12 heads"),
    ],
)
def test_what_no_model_of_ours_has_is_refused(
    model_type: str, key: str, value: object, complaint: str
):
    with pytest.raises(ValueError, match=complaint):
        read_config({"model_type": model_type, key: value})


def test_a_class_that_cannot_be_the_model_gets_no_config():
    with pytest.raises(ValueError, match="BertForMaskedLM has positions 'learned', not 'rotary'"):
        write_config(tiny("bert", positions="rotary"), "BertForMaskedLM", vocabulary_for("bert"))
    with pytest.raises(ValueError, match="pad_token_id is 0; models of ours have only 1"):
        write_config(tiny("roberta"), "RobertaForMaskedLM", vocabulary_for("bert"))
