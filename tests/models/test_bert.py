import pytest
import torch
import torch.nn.functional as F

from lmprep.models.bert import Bert, count_parameters, new_bert, outline
from lmprep.models.dropout import DropoutKey
from lmprep.models.hf import from_hf, to_hf
from lmprep.models.masks import padding_mask
from lmprep.models.settings import ModelSettings, model_settings

SMALL = ModelSettings(
    layers=3, width=48, heads=4, feed_forward=80, vocabulary_size=211, max_length=40
)
ROWS, LENGTH = 5, 24


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("bert-tiny", 4_385_920),
        ("bert-mini", 11_170_560),
        ("bert-small", 28_763_648),
        ("bert-base", 109_482_240),
        ("bert-large", 335_141_888),
    ],
)
def test_the_encoder_has_the_published_number_of_parameters(name: str, published: int) -> None:
    model = outline(model_settings(name, vocabulary_size=30_522))

    assert count_parameters(model.encoder) == published


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    lengths = torch.tensor([24, 9, 17, 24, 2])
    ids = torch.randint(5, SMALL.vocabulary_size, (ROWS, LENGTH), generator=generator)
    inside = torch.arange(LENGTH) < lengths[:, None]
    return {
        "ids": ids * inside,
        "types": (torch.arange(LENGTH) >= lengths[:, None] // 2).long() * inside,
        "lengths": lengths,
        "masked": torch.tensor([3, 7, 20, LENGTH + 5, 2 * LENGTH + 16, 4 * LENGTH + 1]),
        "labels": torch.randint(5, SMALL.vocabulary_size, (6,), generator=generator),
        "pairs": torch.tensor([0, 1, 1, 0, 1]),
    }


@pytest.fixture(scope="module")
def hugging_face() -> torch.nn.Module:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    config = transformers.BertConfig(
        vocab_size=SMALL.vocabulary_size,
        hidden_size=SMALL.width,
        num_hidden_layers=SMALL.layers,
        num_attention_heads=SMALL.heads,
        intermediate_size=SMALL.feed_forward,
        max_position_embeddings=SMALL.max_length,
        initializer_range=0.3,  # large, so that a wrong wire shows
    )
    model = transformers.BertForPreTraining(config).eval()
    for parameter in model.parameters():  # biases and norms too: they start as 0 and 1
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def ours_from(model: torch.nn.Module) -> Bert:
    ours = outline(SMALL).to_empty(device="cpu")
    ours.load_state_dict(from_hf(model.state_dict(), SMALL))
    return ours


def test_logits_and_loss_equal_those_of_transformers(
    hugging_face: torch.nn.Module, batch: dict[str, torch.Tensor]
) -> None:
    dense = torch.full((ROWS, LENGTH), -100)
    dense.view(-1)[batch["masked"]] = batch["labels"]
    with torch.no_grad():
        theirs = hugging_face(
            input_ids=batch["ids"],
            attention_mask=(torch.arange(LENGTH) < batch["lengths"][:, None]).long(),
            token_type_ids=batch["types"],
            labels=dense,
            next_sentence_label=batch["pairs"],
        )
        model = ours_from(hugging_face)
        hidden = model.encoder(
            batch["ids"].int(), batch["types"].int(), padding_mask(batch["lengths"], LENGTH)
        )
        logits = model.masked_token_logits(hidden, batch["masked"])
        pairs = model.pair_logits(hidden)
        loss = F.cross_entropy(logits, batch["labels"]) + F.cross_entropy(pairs, batch["pairs"])

    expected = theirs.prediction_logits.flatten(0, 1)[batch["masked"]]
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(pairs, theirs.seq_relationship_logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(loss, theirs.loss, atol=1e-5, rtol=0)


def test_names_and_tensors_survive_the_way_to_transformers_and_back(
    hugging_face: torch.nn.Module,
) -> None:
    state = hugging_face.state_dict()
    there = to_hf(from_hf(state, SMALL), SMALL)

    buffers = {"bert.embeddings.position_ids", "bert.embeddings.token_type_ids"}
    assert set(there) == set(state) - buffers
    assert all(torch.equal(there[name], state[name]) for name in there)


def test_padding_changes_nothing(batch: dict[str, torch.Tensor]) -> None:
    model = new_bert(SMALL, seed=1)
    short = int(batch["lengths"][1])
    with torch.no_grad():
        mask = padding_mask(batch["lengths"], LENGTH)
        padded = model.encoder(batch["ids"], batch["types"], mask)[1, :short]
        alone = model.encoder(batch["ids"][1:2, :short], batch["types"][1:2, :short])[0]

    torch.testing.assert_close(padded, alone, atol=1e-5, rtol=1e-4)


def test_spelled_out_attention_equals_the_fused_one(batch: dict[str, torch.Tensor]) -> None:
    # Dropout far below 2^-16 rounds to none, but takes the path with a mask.
    settings = ModelSettings(**(SMALL.as_dict() | {"dropout": 0.0, "attention_dropout": 1e-9}))
    model = new_bert(settings, seed=1)
    arguments = batch["ids"], batch["types"], padding_mask(batch["lengths"], LENGTH)
    with torch.no_grad():
        spelled_out = model.encoder(*arguments, DropoutKey(seed=1, step=1))
        fused = model.encoder(*arguments)

    for row, length in enumerate(batch["lengths"]):
        torch.testing.assert_close(
            spelled_out[row, :length], fused[row, :length], atol=1e-5, rtol=1e-4
        )


def test_initial_weights_follow_the_seed_and_berts_distribution() -> None:
    settings = model_settings("bert-tiny", vocabulary_size=4000)
    model, same, other = (new_bert(settings, seed=s) for s in (5, 5, 6))

    weights = model.encoder.tokens.weight.detach()
    assert torch.equal(weights, same.encoder.tokens.weight)
    assert not torch.equal(weights, other.encoder.tokens.weight)
    assert weights.abs().max() <= 0.04
    # A normal distribution cut at two standard deviations keeps 0.8796 of its own.
    assert weights.std().item() == pytest.approx(0.02 * 0.8796, rel=0.005)
    assert torch.all(model.masked_token_head.bias == 0)
    assert torch.all(model.encoder.blocks[0].attention_norm.weight == 1)


def test_every_parameter_learns(batch: dict[str, torch.Tensor]) -> None:
    model = new_bert(SMALL, seed=1)
    hidden = model.encoder(
        batch["ids"],
        batch["types"],
        padding_mask(batch["lengths"], LENGTH),
        DropoutKey(seed=1, step=0),
    )
    logits = model.masked_token_logits(hidden, batch["masked"])
    loss = F.cross_entropy(logits, batch["labels"])
    loss += F.cross_entropy(model.pair_logits(hidden), batch["pairs"])
    loss.backward()

    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
