"""What reaches what: a token is changed, and the states that change are exactly those that may.

In double precision a wire that is not there changes nothing at all.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lmprep.models.inputs import Documents, Inputs
from lmprep.models.language_model import LanguageModel
from tests.models.tiny_models import (
    DECODER_LENGTH,
    DECODERS,
    ENCODER_DECODERS,
    LENGTH,
    VOCABULARY,
    lively,
    random_ids,
    tiny,
)

ENCODERS = ("bert", "roberta")
NOTHING = torch.tensor([], dtype=torch.int64)
DOCUMENTS = Documents(
    offsets_S=torch.tensor([0, 5, 9, LENGTH], dtype=torch.int32), longest=LENGTH - 9
)


def other(ids: Tensor, place: int) -> Tensor:
    """The same ids, another one at a place of the first row."""
    changed = ids.clone()
    changed[0, place] = 5 + (ids[0, place] - 4) % (VOCABULARY - 5)
    return changed


def touched(model: LanguageModel, before: Inputs, after: Inputs) -> list[int]:
    """Positions of the first row whose states differ."""
    with torch.no_grad():
        states, changed = model.states(before), model.states(after)
    assert states.isfinite().all()
    return (states - changed).abs().amax(-1)[0].gt(1e-9).nonzero().squeeze(1).tolist()


def reading(ids: Tensor, **more: Tensor | None) -> Inputs:
    return Inputs(ids_BL=ids, scored_M=NOTHING, **more)


def touched_by_input(model: LanguageModel, place: int, **more: Tensor | None) -> list[int]:
    """Positions whose states depend on the token at a place of the (encoder's) input."""
    ids = random_ids(rows=1)
    return touched(model, reading(ids, **more), reading(other(ids, place), **more))


@pytest.mark.parametrize("family", ENCODERS)
def test_every_state_of_an_encoder_knows_every_token(family: str):
    model = lively(tiny(family))

    for place in (0, 5, LENGTH - 1):
        assert touched_by_input(model, place) == list(range(LENGTH))


@pytest.mark.parametrize("family", DECODERS)
def test_states_of_a_decoder_know_nothing_of_later_tokens(family: str):
    model = lively(tiny(family))

    for place in (0, 5, LENGTH - 1):
        assert touched_by_input(model, place) == list(range(place, LENGTH))


@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_states_behind_an_encoder_know_no_later_labels_but_all_of_the_input(family: str):
    model = lively(tiny(family))
    ids, labels = random_ids(rows=1), random_ids(rows=1, length=DECODER_LENGTH, seed=4)

    for place in (0, 4, DECODER_LENGTH - 1):
        before = reading(ids, decoder_ids_BK=labels)
        after = reading(ids, decoder_ids_BK=other(labels, place))
        assert touched(model, before, after) == list(range(place, DECODER_LENGTH))
    for place in (0, LENGTH - 1):
        seen = touched_by_input(model, place, decoder_ids_BK=labels)
        assert seen == list(range(DECODER_LENGTH))


@pytest.mark.parametrize("family", DECODERS)
def test_states_of_a_prefix_know_all_of_the_prefix(family: str):
    model = lively(tiny(family))
    prefixes = torch.tensor([4])

    assert touched_by_input(model, 3, prefixes_B=prefixes) == list(range(LENGTH))
    assert touched_by_input(model, 4, prefixes_B=prefixes) == list(range(4, LENGTH))


@pytest.mark.parametrize("family", ENCODERS)
def test_tokens_of_another_document_do_not_matter_to_an_encoder(family: str):
    model = lively(tiny(family))

    assert touched_by_input(model, 1, documents=DOCUMENTS) == [0, 1, 2, 3, 4]
    assert touched_by_input(model, 7, documents=DOCUMENTS) == [5, 6, 7, 8]
    assert touched_by_input(model, 9, documents=DOCUMENTS) == list(range(9, LENGTH))


@pytest.mark.parametrize("family", DECODERS)
def test_tokens_of_another_document_do_not_matter_to_a_decoder(family: str):
    model = lively(tiny(family))

    assert touched_by_input(model, 1, documents=DOCUMENTS) == [1, 2, 3, 4]
    assert touched_by_input(model, 7, documents=DOCUMENTS) == [7, 8]


@pytest.mark.parametrize("family", ENCODERS)
def test_padding_does_not_matter_to_an_encoder(family: str):
    model = lively(tiny(family))
    more = {"lengths_B": torch.tensor([LENGTH - 2])}

    for place in (LENGTH - 2, LENGTH - 1):
        assert set(touched_by_input(model, place, **more)) <= {LENGTH - 2, LENGTH - 1}


@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_padding_of_the_encoder_does_not_matter_to_the_decoder(family: str):
    model = lively(tiny(family))
    labels = random_ids(rows=1, length=DECODER_LENGTH, seed=4)
    more = {"lengths_B": torch.tensor([LENGTH - 2]), "decoder_ids_BK": labels}

    for place in (LENGTH - 2, LENGTH - 1):
        assert touched_by_input(model, place, **more) == []


@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS, *ENCODER_DECODERS])
def test_a_padded_row_has_the_states_it_has_alone(family: str):
    settings = tiny(family)
    model = lively(settings)
    labels = random_ids(rows=2, length=DECODER_LENGTH, seed=4)
    both = reading(random_ids(rows=2), lengths_B=torch.tensor([LENGTH, 7]))
    alone = reading(both.ids_BL[1:, :7])
    if settings.kind == "encoder-decoder":
        both, alone = (
            replace(both, decoder_ids_BK=labels),
            replace(alone, decoder_ids_BK=labels[1:]),
        )
    with torch.no_grad():
        padded, expected = model.states(both)[1:], model.states(alone)

    torch.testing.assert_close(padded[:, : expected.shape[1]], expected, atol=1e-9, rtol=0)


def swapped(ids: Tensor) -> Tensor:
    """The same ids, the second and the sixth in each other's place."""
    order = torch.arange(ids.shape[1])
    order[[1, 5]] = order[[5, 1]]
    return ids[:, order]


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        *[(family, {}) for family in [*ENCODERS, *DECODERS, *ENCODER_DECODERS]],
        *[("bert", {"positions": kind}) for kind in ("sinusoidal", "rotary")],
        *[("gpt2", {"positions": kind}) for kind in ("sinusoidal", "rotary", "relative")],
        *[("bart", {"positions": kind}) for kind in ("sinusoidal", "rotary", "relative")],
    ],
    ids=str,
)
def test_the_order_of_the_tokens_matters(family: str, changes: dict[str, str]):
    # Without positions a layer of attention sees a bag of tokens.
    settings = tiny(family, layers=1, **changes)
    model, ids = lively(settings), random_ids(rows=1)
    if settings.kind != "encoder-decoder":
        assert LENGTH - 1 in touched(model, reading(ids), reading(swapped(ids)))
        return
    labels = random_ids(rows=1, length=DECODER_LENGTH, seed=4)
    before = reading(ids, decoder_ids_BK=labels)
    for after in (
        reading(swapped(ids), decoder_ids_BK=labels),
        reading(ids, decoder_ids_BK=swapped(labels)),
    ):
        assert DECODER_LENGTH - 1 in touched(model, before, after)
