"""Every dropout of a model really drops, with a mask of its own, at the place it is for.

The masks are read off models at work: what leaves a dropout over what entered it.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lmprep.models.dropout import Dropout, DropoutKey
from lmprep.models.inputs import Inputs
from lmprep.models.language_model import LanguageModel
from lmprep.models.settings import ModelSettings
from tests.models.tiny_models import FAMILIES, lively, random_ids, tiny

ROWS, LENGTH = 6, 16
HIDDEN, WEIGHTS = 0.25, 0.5
KEY = DropoutKey(seed=3, step=7)

# As the code of each family has them: of a block, then of a stack.
BLOCK = ("attention.dropout", "attention_dropout", "feed_forward_dropout")
CROSS = ("cross_attention.dropout", "cross_attention_dropout")


def settings_of(family: str) -> ModelSettings:
    return tiny(family, layers=2, dropout=HIDDEN, attention_dropout=WEIGHTS)


def expected_places(settings: ModelSettings) -> set[str]:
    """The dropouts that the papers' code has."""
    stacks = {
        "encoder": {"encoder": BLOCK},
        "decoder": {"decoder": BLOCK},
        "encoder-decoder": {"encoder": BLOCK, "decoder": BLOCK + CROSS},
    }[settings.kind]
    t5 = settings.positions == "relative"
    places = set()
    for stack, block in stacks.items():
        places |= {f"{stack}.dropout"} | ({f"{stack}.final_dropout"} if t5 else set())
        for layer in range(settings.layers):
            names = block + (("inner_dropout",) if t5 else ())
            places |= {f"{stack}.blocks.{layer}.{name}" for name in names}
    return places


def dropouts(model: LanguageModel) -> dict[str, Dropout]:
    return {name: module for name, module in model.named_modules() if isinstance(module, Dropout)}


def inputs_of(settings: ModelSettings) -> Inputs:
    behind_encoder = settings.kind == "encoder-decoder"
    return Inputs(
        ids_BL=random_ids(ROWS, LENGTH),
        decoder_ids_BK=random_ids(ROWS, LENGTH, seed=4) if behind_encoder else None,
        scored_M=torch.tensor([0]),
    )


def masks_of(model: LanguageModel, key: DropoutKey | None) -> dict[str, Tensor]:
    """The mask of every dropout in one forward pass: flat, not a number where a zero came in."""
    seen: dict[str, list[Tensor]] = {}
    hooks = [
        module.register_forward_hook(
            lambda _, inputs, output, name=name: seen.setdefault(name, []).append(
                (output / inputs[0]).flatten()
            )
        )
        for name, module in dropouts(model).items()
    ]
    with torch.no_grad():
        model(inputs_of(model.settings), key)
    for hook in hooks:
        hook.remove()
    shared = model.settings.shared_layers
    found = {}
    for name, masks in seen.items():
        assert len(masks) == (model.settings.layers if shared and ".blocks." in name else 1)
        for layer, mask in enumerate(masks):  # of a block used again, one for each layer
            found[name.replace(".0.", f".{layer}.", 1)] = mask
    return found


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest) -> LanguageModel:
    return lively(settings_of(request.param))


@pytest.fixture(scope="module")
def masks(model: LanguageModel) -> dict[str, Tensor]:
    return masks_of(model, KEY)


def test_a_model_drops_where_its_paper_does(model: LanguageModel, masks: dict[str, Tensor]):
    assert set(dropouts(model)) <= set(masks) == expected_places(model.settings)


def test_each_place_drops_its_share_and_scales_the_rest(masks: dict[str, Tensor]):
    for name, mask in masks.items():
        p = WEIGHTS if name.endswith("attention.dropout") else HIDDEN
        known = mask[~mask.isnan()]
        five_errors = 5 * (p * (1 - p) / len(known)) ** 0.5
        assert abs((known == 0).double().mean().item() - p) < five_errors, name
        kept = known[known != 0]
        torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)), atol=1e-5, rtol=0)


def assert_no_two_share(masks: dict[str, Tensor]) -> None:
    # The same draws against two shares would drop, at the higher one, all that the lower one does.
    for (name, one), (other, two) in itertools.permutations(masks.items(), 2):
        count = min(len(one), len(two))
        one, two = one[:count], two[:count]
        assert ((one == 0) & (two > 0)).any(), (name, other)


def test_no_two_places_share_a_mask(masks: dict[str, Tensor]):
    assert_no_two_share(masks)


def test_what_follows_a_block_used_again_has_masks_of_its_own():
    settings = replace(settings_of("t5"), shared_layers=True)
    masks = masks_of(lively(settings), KEY)

    assert set(masks) == expected_places(settings)
    assert_no_two_share(masks)


def test_the_next_step_draws_other_masks_at_every_place(
    model: LanguageModel, masks: dict[str, Tensor]
):
    again, later = (masks_of(model, DropoutKey(seed=3, step=step)) for step in (7, 8))

    for name, mask in masks.items():
        assert torch.equal(mask == 0, again[name] == 0), name
        assert not torch.equal(mask == 0, later[name] == 0), name


def test_what_is_dropped_is_missing_from_the_logits(model: LanguageModel):
    inputs, places = inputs_of(model.settings), dropouts(model)
    kept = {name: place.probability for name, place in places.items()}
    with torch.no_grad():
        whole = model(inputs).logits_MV
        for name in places:
            for other, place in places.items():
                place.probability = kept[name] if other == name else 0.0
            assert not torch.allclose(model(inputs, KEY).logits_MV, whole), name
    for name, place in places.items():
        place.probability = kept[name]


def test_without_a_key_nothing_is_dropped(model: LanguageModel):
    for mask in masks_of(model, None).values():
        known = mask[~mask.isnan()]
        assert torch.equal(known, torch.ones_like(known))
