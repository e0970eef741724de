"""ELMo's two language models, computed slowly, turned round and cut short."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lmprep.models.bi_lstm import BiLstmModel, ScalarMix
from lmprep.models.construction import new_model
from lmprep.models.inputs import Inputs
from lmprep.models.losses import Losses
from lmprep.models.settings import ModelSettings, model_settings
from lmprep.models.spellings import SPELLING, Spelled, filters_of, spellings_of
from lmprep.ragged import Ragged
from lmprep.training.batch import make_batch
from lmprep.training.bins import one_row_each
from lmprep.training.tasks import Task
from lmprep.vocabulary import Vocabulary

SIZE, LENGTH, LENGTHS = 30, 9, (9, 4, 6)
VOCABULARY = Vocabulary(
    family="bert", size=SIZE, special=(0, 1, 2, 3, 4), pad=0, unk=1, cls=2, sep=3, mask=4
)


def model_of(kind: str = "tiny-tokens", **changes: object) -> BiLstmModel:
    shape = {"width": 16, "feed_forward": 24, **changes}
    settings = model_settings(f"elmo-{kind}", vocabulary_size=SIZE, **shape)
    model = new_model(settings, seed=2).double()
    assert isinstance(model, BiLstmModel)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter += 0.1 * torch.randn_like(parameter)
        if settings.filters:
            words = {f"w{number}" * (1 + number % 3): number for number in range(SIZE)}
            model.spelled.spellings.copy_(spellings_of(words, VOCABULARY.special, SIZE))
    return model


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def rows() -> list[list[int]]:
    random = np.random.default_rng(1)
    return [[2, *random.integers(5, SIZE, n - 2).tolist(), 3] for n in LENGTHS]


def batch_of(texts: list[list[int]]):
    task = Task(objective="bilm", length=LENGTH, vocabulary=VOCABULARY)
    columns = {"input_ids": Ragged.from_rows(texts, np.int32)}
    return make_batch(columns, task, one_row_each(len(texts), LENGTH))


def inputs_of(texts: list[list[int]]) -> Inputs:
    return batch_of(texts).inputs


@pytest.mark.parametrize("kind", ["tiny", "tiny-tokens"])
def test_backwards_is_forwards_on_the_reversed_text(kind):
    model = model_of(kind)
    model.backwards.load_state_dict(model.forwards.state_dict())
    states = model.states(inputs_of(rows()))
    turned = model.states(inputs_of([row[::-1] for row in rows()]))
    count = len(LENGTHS)

    for row, n in enumerate(LENGTHS):
        assert torch.allclose(states[count + row, :n], turned[row, :n].flip(0), atol=1e-12)
        assert torch.allclose(states[row, :n], turned[count + row, :n].flip(0), atol=1e-12)


@pytest.mark.parametrize("kind", ["tiny", "tiny-tokens"])
def test_padding_and_other_rows_change_nothing(kind):
    model = model_of(kind)
    together = model.states(inputs_of(rows()))
    for row, n in enumerate(LENGTHS):
        alone = model.states(Inputs(ids_BL=torch.tensor([rows()[row]]), scored_M=torch.tensor([0])))
        assert torch.allclose(together[row, :n], alone[0], atol=1e-12)
        assert torch.allclose(together[len(LENGTHS) + row, :n], alone[1], atol=1e-12)


def test_a_state_knows_only_what_it_has_read():
    model = model_of()
    texts = rows()
    before = model.states(inputs_of(texts))
    texts[0][4] = 5 + (texts[0][4] - 4) % (SIZE - 5)
    changed = (model.states(inputs_of(texts)) - before).abs().amax(-1)
    count = len(LENGTHS)

    assert (changed[0] > 0).tolist() == [place >= 4 for place in range(LENGTH)]
    assert (changed[count] > 0).tolist() == [place <= 4 for place in range(LENGTH)]
    assert not changed[1:count].any()
    assert not changed[count + 1 :].any()


def slow_states(lstms: list[torch.nn.Module], x_LD: torch.Tensor) -> torch.Tensor:
    """The last states of one direction over one row, step by step."""
    for number, lstm in enumerate(lstms):
        w = dict(lstm.named_parameters())
        h, c = x_LD.new_zeros(x_LD.shape[1]), x_LD.new_zeros(lstm.hidden_size)
        outputs = []
        for x_D in x_LD:
            gates = w["weight_ih_l0"] @ x_D + w["bias_ih_l0"] + w["weight_hh_l0"] @ h
            enter, forget, cell, leave = (gates + w["bias_hh_l0"]).chunk(4)
            c = torch.sigmoid(forget) * c + torch.sigmoid(enter) * torch.tanh(cell)
            h = w["weight_hr_l0"] @ (torch.sigmoid(leave) * torch.tanh(c))
            outputs.append(h)
        out_LD = torch.stack(outputs)
        x_LD = out_LD + x_LD if number else out_LD
    return x_LD


@torch.no_grad()
@pytest.mark.parametrize("kind", ["tiny", "tiny-tokens"])
def test_the_loss_is_that_of_a_slow_computation(kind):
    """Both predict t1 to tN: forwards from what stands before, backwards from what comes after."""
    model = model_of(kind)
    expected, count = 0.0, 0
    for text in rows():
        ids = torch.tensor([text])
        x_LD = (model.spelled if kind == "tiny" else model.tokens)(ids)[0].double()
        forwards = slow_states(list(model.forwards.lstms), x_LD)
        backwards = slow_states(list(model.backwards.lstms), x_LD.flip(0)).flip(0)
        for place in range(1, len(text) - 1):
            for state in (forwards[place - 1], backwards[place + 1]):
                head = model.next_token_head
                logits = (head.weight @ state + head.bias)[:SIZE]
                expected += float(logits.logsumexp(0) - logits[text[place]])
                count += 1
    batch = batch_of(rows())
    losses = Losses(model)(batch.inputs, batch.labels)

    assert len(batch.labels.tokens_M) == count == 2 * sum(n - 2 for n in LENGTHS)
    assert losses[0].item() == pytest.approx(expected, rel=1e-6)
    assert not losses[1:].any()


def test_gradients_reach_everything_that_is_learnt():
    model = model_of("tiny")
    batch = batch_of(rows())
    Losses(model)(batch.inputs, batch.labels)[0].backward()

    for name, parameter in model.named_parameters():
        learnt = name != "spelled.spellings"
        assert (parameter.grad is not None and bool(parameter.grad.any())) == learnt, name


def slow_spelled(spelled: Spelled, spelling: list[int]) -> torch.Tensor:
    """A token's vector, filter by filter and place by place."""
    table_CE = spelled.bytes.weight[spelling]
    found = []
    for convolve in spelled.filters:
        width = convolve.kernel_size[0]
        for weight, bias in zip(convolve.weight, convolve.bias, strict=True):
            places = range(SPELLING - width + 1)
            at = [(weight.T * table_CE[place : place + width]).sum() + bias for place in places]
            found.append(torch.stack(at).max().clamp_min(0))
    x_F = torch.stack(found)
    for highway in spelled.highways:
        share = torch.sigmoid(highway.carry(x_F))
        x_F = share * highway.change(x_F).clamp_min(0) + (1 - share) * x_F
    return spelled.to_width(x_F)


def test_characters_are_read_as_a_slow_computation_does():
    model = model_of("tiny", filters=2)
    ids = torch.tensor([[7, 9, 7], [2, 8, 11]])
    found = model.spelled(ids)

    for row in range(2):
        for place in range(3):
            spelling = model.spelled.spellings[ids[row, place]].tolist()
            assert torch.allclose(found[row, place], slow_spelled(model.spelled, spelling))


def test_elmos_filters_are_2048():
    assert [filters_of(width) for width in range(1, 8)] == [32, 32, 64, 128, 256, 512, 1024]


def test_a_token_is_spelled_by_its_bytes_between_a_start_and_an_end():
    long = "x" * 60
    table = spellings_of({"[PAD]": 0, "né": 1, long: 2, "[CLS]": 3}, (0, 3), 4).tolist()

    assert table[1][:6] == [0xFE, ord("n"), 0xC3, 0xA9, 0xFD, 0xFF]
    assert table[2] == [0xFE, *[ord("x")] * (SPELLING - 2), 0xFD]
    assert table[0][1] != table[3][1]
    assert min(table[0][1], table[3][1]) >= 0xC0
    assert {len(row) for row in table} == {SPELLING}
    with pytest.raises(ValueError, match="20 special tokens, of which 10 can be spelled"):
        spellings_of({}, range(20), 30)


def test_layers_are_the_token_and_both_states_and_mix_to_their_mean_at_first():
    model = model_of()
    inputs = inputs_of(rows())
    layers = model.layers(inputs)
    mix = ScalarMix(len(layers))
    mixed = mix(layers)
    states = model.states(inputs).chunk(2)
    vectors = model.tokens(inputs.ids_BL)

    assert len(layers) == 3
    assert torch.equal(layers[0], torch.cat([vectors, vectors], -1))
    assert torch.equal(layers[-1], torch.cat(states, -1))
    assert torch.allclose(mixed, sum(layers) / 3)
    with torch.no_grad():
        mix.weights.copy_(torch.tensor([0.0, 1.0, -1.0]))
        mix.gamma.fill_(2.0)
    shares = F.softmax(mix.weights, 0)
    expected = 2 * (shares[0] * layers[0] + shares[1] * layers[1] + shares[2] * layers[2])
    assert torch.allclose(mix(layers), expected)


def test_fresh_lstms_remember_and_highways_carry():
    model = new_model(model_settings("elmo-tiny", vocabulary_size=SIZE), seed=0)
    bias = model.forwards.lstms[0].bias_ih_l0.detach()

    assert bias.chunk(4)[1].eq(1).all()
    assert not torch.cat([bias.chunk(4)[k] for k in (0, 2, 3)]).any()
    assert model.spelled.highways[0].carry.bias.eq(-2).all()
    assert float(model.spelled.bytes.weight.detach().std()) == pytest.approx(3**-0.5, rel=0.1)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"kind": "encoder", "filters": 3}, "filters 3 needs kind 'bi-lstm'"),
        ({"kind": "bi-lstm", "output": "tied"}, "a bi-lstm needs output 'separate'"),
        (
            {"kind": "bi-lstm", "output": "separate", "feed_forward": 8},
            "feed_forward 8, the cells of a bi-lstm, must be more than the width 16",
        ),
    ],
)
def test_shapes_that_cannot_be_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        ModelSettings(layers=1, width=16, heads=1, vocabulary_size=9, **changes)


def test_what_it_has_no_use_for_is_refused():
    inputs = replace(inputs_of(rows()), types_BL=torch.zeros(3, LENGTH, dtype=torch.int32))

    with pytest.raises(ValueError, match="types_BL is given"):
        model_of().states(inputs)
