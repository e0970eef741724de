"""Written texts are those of transformers, token for token; what is kept changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers

from lmprep.errors import UsageError
from lmprep.inference.choosing import Draws, chosen
from lmprep.inference.faults import RowFault
from lmprep.inference.pretrained import ask
from lmprep.inference.writers import Writer
from lmprep.inference.writing import WritingSettings, written
from lmprep.models.construction import new_model
from lmprep.models.decoder import DecoderModel
from lmprep.models.inputs import Inputs
from lmprep.models.past import Past
from lmprep.models.settings import model_settings
from tests.finetuning.folders import DECODERS, ENCODER_DECODERS, MODELS

PROMPTS = [[5, 9, 30, 8], [12, 40], [7, 7, 21, 33, 10, 6]]
WRITERS = (*DECODERS, *ENCODER_DECODERS)


def theirs(folder, name, prompts, tokens, end=None, **settings):
    """What transformers writes."""
    model = getattr(transformers, MODELS[name][0]).from_pretrained(folder).eval()
    model.generation_config.forced_eos_token_id = None  # BART's class ends at the last place
    longest, left = max(map(len, prompts)), name in DECODERS
    pad = model.config.pad_token_id or 0
    fill = [[pad] * (longest - len(row)) for row in prompts]
    rows = [f + r if left else r + f for f, r in zip(fill, prompts, strict=True)]
    mask = [
        [0] * len(f) + [1] * len(r) if left else [1] * len(r) + [0] * len(f)
        for f, r in zip(fill, prompts, strict=True)
    ]
    out = model.generate(
        torch.tensor(rows), attention_mask=torch.tensor(mask), do_sample=False, pad_token_id=pad,
        **({"max_new_tokens": tokens} | settings),
    )  # fmt: skip
    end = model.config.eos_token_id if end is None else end
    found = out[:, longest:] if left else out[:, 1:]
    return [row[: row.index(end)] if end in row else row for row in found.tolist()]


@pytest.mark.parametrize("name", WRITERS)
def test_greedy_texts_are_those_of_transformers(model_folder, name):
    prompts = PROMPTS if name != "openai-gpt" else [PROMPTS[0]]  # it pads nothing on the left
    ours = written(ask(str(model_folder(name))), prompts, WritingSettings(tokens=12))

    assert ours == theirs(model_folder(name), name, prompts, 12)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(("beams", "penalty"), [(2, 1.0), (4, 1.0), (3, 0.3), (3, 2.0)])
def test_beams_are_those_of_transformers(model_folder, name, beams, penalty):
    prompts = PROMPTS if name != "openai-gpt" else [PROMPTS[0]]
    settings = WritingSettings(tokens=9, beams=beams, length_penalty=penalty)
    ours = written(ask(str(model_folder(name))), prompts, settings)

    expected = theirs(model_folder(name), name, prompts, 9, num_beams=beams, length_penalty=penalty)
    assert ours == expected


@pytest.mark.parametrize("name", ["gpt2", "t5"])
@pytest.mark.parametrize(("place", "penalty"), [(2, 0.0), (4, 0.5), (6, 0.2), (6, 1.0)])
def test_beams_that_end_early_are_those_of_transformers(model_folder, name, place, penalty):
    """Finished beams compete with open ones: the end is a token that the model likes to write."""
    asked = ask(str(model_folder(name)))
    settings = WritingSettings(tokens=10, beams=4, length_penalty=penalty)
    prompts = [row[:2] for row in PROMPTS]
    liked = written(asked, prompts, settings)[0][place]
    vocabulary = replace(asked.vocabulary, sep=liked)
    asked = replace(asked, tokenizer=replace(asked.tokenizer, vocabulary=vocabulary))
    ours = written(asked, prompts, settings)

    assert ours == theirs(
        model_folder(name), name, prompts, 10, num_beams=4, length_penalty=penalty,
        eos_token_id=liked, end=liked,
    )  # fmt: skip
    assert any(len(row) < 10 for row in ours) or penalty == 1


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rotary", "relative"])
@pytest.mark.parametrize("padded", [False, True])
def test_what_is_kept_changes_no_state(positions, padded):
    shape = model_settings("gpt2-tiny", vocabulary_size=50, dropout=0.0, attention_dropout=0.0)
    model = new_model(type(shape)(**(shape.as_dict() | {"positions": positions})), seed=1)
    assert isinstance(model, DecoderModel)
    rows = [[3, 8, 9, 11, 4, 7], [6, 5, 2, 9]] if padded else [[3, 8, 9, 11, 4, 7]]
    whole = [
        model.states(Inputs(ids_BL=torch.tensor([row]), scored_M=torch.zeros(1, dtype=torch.long)))
        for row in rows
    ]
    pads = torch.tensor([6 - len(row) for row in rows])
    ids_BL = torch.tensor([[0] * (6 - len(row)) + row for row in rows])
    past = Past(pads if padded else None)
    parts = [model.written_on(ids_BL[:, a:b], past) for a, b in ((0, 3), (3, 5), (5, 6))]
    found = torch.cat(parts, 1)

    for row, expected, pad in zip(found, whole, pads.tolist(), strict=True):
        torch.testing.assert_close(row[pad:], expected[0], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "t5", "bart"])
def test_rows_may_be_left_out_doubled_and_moved(model_folder, name):
    asked = ask(str(model_folder(name)))
    chosen_rows = torch.tensor([2, 0, 2])
    moved = Writer(asked, PROMPTS)
    moved.keep_rows(chosen_rows)
    moved.write(torch.tensor([4, 5, 6]))
    fresh = Writer(asked, [PROMPTS[i] for i in chosen_rows.tolist()])
    fresh.write(torch.tensor([4, 5, 6]))

    torch.testing.assert_close(moved.logits_BV, fresh.logits_BV, atol=2e-5, rtol=1e-4)


def test_draws_follow_the_chances_of_what_is_left():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    draws = Draws(3, np.arange(20_000)).at(0)

    def shares(**settings):
        ids = chosen(logits.expand(20_000, 4), draws, **settings)
        return (torch.bincount(ids, minlength=4) / 20_000).tolist()

    # Five standard errors of a share of one half.
    near = {"abs": 5 * 0.5 / 20_000**0.5}
    assert shares() == pytest.approx([0.5, 0.3, 0.15, 0.05], **near)
    assert shares(top_k=2) == pytest.approx([0.625, 0.375, 0, 0], **near)
    assert shares(top_p=0.8) == pytest.approx([0.625, 0.375, 0, 0], **near)
    assert shares(top_p=0.81) == pytest.approx([0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0], **near)
    assert shares(temperature=0.5)[0] == pytest.approx(0.25 / 0.365, **near)
    assert shares(top_p=0.01) == [1, 0, 0, 0]


def test_what_is_drawn_depends_on_the_row_and_not_on_its_company(model_folder):
    asked = ask(str(model_folder("gpt2")))
    settings = WritingSettings(tokens=8, sample=True, seed=5)
    together = written(asked, PROMPTS, settings, first_row=1)
    alone = [written(asked, [row], settings, first_row=i)[0] for i, row in enumerate(PROMPTS, 1)]

    assert together == alone
    assert together != written(asked, PROMPTS, settings, first_row=2)


def test_a_prompt_that_leaves_no_room_is_refused(model_folder):
    asked = ask(str(model_folder("gpt2")))

    assert len(written(asked, [[5] * 60], WritingSettings(tokens=50))[0]) <= 4
    with pytest.raises(RowFault, match="text 2: its 64 tokens leave no room in the model's 64"):
        written(asked, [[5], [5] * 64], WritingSettings())


@pytest.mark.parametrize("ways", [{}, {"beams": 3}, {"sample": True}])
def test_a_long_prompt_takes_no_room_from_a_short_one(model_folder, ways):
    """The model has 64 positions: 3 are left to the one, 60 to the other."""
    asked = ask(str(model_folder("gpt2")))
    nowhere = replace(asked.vocabulary, sep=asked.vocabulary.size - 1)
    asked = replace(asked, tokenizer=replace(asked.tokenizer, vocabulary=nowhere))
    prompts, settings = [[7, 9] * 30 + [5], [6, 8]], WritingSettings(tokens=40, **ways)
    together = written(asked, prompts, settings, first_row=0)
    alone = [written(asked, [row], settings, first_row=i)[0] for i, row in enumerate(prompts)]

    assert together == alone
    assert len(together[0]) <= 3
    assert len(together[1]) > 3


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"tokens": 0}, "tokens 0 must be at least 1"),
        ({"temperature": 0.0}, "temperature 0.0 must be above 0"),
        ({"top_p": 1.5}, "top_p 1.5 must be above 0 and at most 1"),
        ({"beams": 2, "sample": True}, "choose between beams and sampling"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        WritingSettings(**settings)


def test_an_encoder_writes_nothing(model_folder):
    with pytest.raises(UsageError, match="a model of kind encoder does not write text"):
        Writer(ask(str(model_folder("bert"))), PROMPTS)
