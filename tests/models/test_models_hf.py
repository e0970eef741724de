from __future__ import annotations

import pytest
import torch

from lmprep.models.construction import new_model
from lmprep.models.hf import from_hf, hf_class, to_hf
from tests.models.tiny_models import FAMILIES, tiny


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_class_that_holds_it(family: str):
    settings = tiny(family)
    state = new_model(settings, seed=1).state_dict()
    back = from_hf(to_hf(state, settings), settings)

    lost = {name for name in state if name not in back}
    pooled = {"encoder.pooler.weight", "encoder.pooler.bias", "pair_head.weight", "pair_head.bias"}
    assert lost == (pooled if family == "roberta" else set())
    assert all(torch.equal(back[name], state[name]) for name in back)


def test_bart_logits_with_a_bias_are_refused():
    settings = tiny("bart")
    theirs = to_hf(new_model(settings, seed=1).state_dict(), settings)
    theirs["final_logits_bias"][0, 3] = 0.5

    with pytest.raises(ValueError, match="final_logits_bias is not zero"):
        from_hf(theirs, settings)


@pytest.mark.parametrize(
    ("family", "changes", "reason"),
    [
        ("bert", {"norm": "rms"}, "BertForPreTraining has norm 'layer', not 'rms'"),
        ("bert", {"activation": "gated-gelu"}, "BertForPreTraining has activation .*'gated-gelu'"),
        ("bert", {"head_width": 16}, "BertForPreTraining has head_width 8, not 16"),
        ("gpt2", {"output": "separate"}, "GPT2LMHeadModel has output 'tied', not 'separate'"),
        ("gpt2", {"types": 2}, "GPT2LMHeadModel has types 0, not 2"),
        ("t5", {"bias": True}, "T5ForConditionalGeneration has bias False, not True"),
        ("bart", {"scaled_attention": False}, "Bart.* has scaled_attention True, not False"),
    ],
)
def test_a_model_that_no_class_can_be_is_refused(
    family: str, changes: dict[str, object], reason: str
):
    with pytest.raises(ValueError, match=f"no class of transformers is such a model: .*{reason}"):
        hf_class(tiny(family, **changes))


def test_an_encoder_without_token_types_gets_one_of_zeros():
    settings = tiny("bert", types=0)
    theirs = to_hf(new_model(settings, seed=1).state_dict(), settings)

    assert theirs["bert.embeddings.token_type_embeddings.weight"].tolist() == [[0.0] * 32]


def test_the_span_boundary_head_stays_here():
    settings = tiny("bert", span_boundary=5)
    theirs = to_hf(new_model(settings, seed=1).state_dict(), settings)

    assert set(theirs) == set(to_hf(new_model(tiny("bert"), seed=1).state_dict(), tiny("bert")))
