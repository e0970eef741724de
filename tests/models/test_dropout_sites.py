"""Every dropout of the model really drops, with a mask of its own.

The masks are read off a model at work: what leaves a dropout divided by what entered it. Attention
weights have no module of their own to look at: with queries and keys of zero every weight is 1 / K,
and with one-hot values a head returns its weights.

B batch, L positions, D width, N heads, K keys.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from lmprep.models.bert import Bert, new_bert
from lmprep.models.dropout import DropoutKey
from lmprep.models.settings import ModelSettings

ROWS, LENGTH, HEADS, LAYERS = 6, 16, 2, 3
HIDDEN, ATTENTION = 0.25, 0.5
KEY = DropoutKey(seed=3, step=7)
SETTINGS = ModelSettings(
    layers=LAYERS,
    width=HEADS * LENGTH,  # a head has as many values as there are keys
    heads=HEADS,
    vocabulary_size=50,
    max_length=LENGTH,
    dropout=HIDDEN,
    attention_dropout=ATTENTION,
)


@pytest.fixture(scope="module")
def model() -> Bert:
    model = new_bert(SETTINGS, seed=1).double()  # differences and quotients keep their digits
    for block in model.encoder.blocks:
        block.attention.qkv.register_forward_hook(one_hot_values)
    return model


def one_hot_values(module: torch.nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    """In place of queries, keys and values: zeros, zeros, and position k as value k."""
    qkv = torch.zeros(ROWS, LENGTH, 3, HEADS, LENGTH, dtype=output.dtype)
    qkv[:, :, 2] = torch.eye(LENGTH)[:, None, :]
    return qkv.view_as(output)


def masks_of(model: Bert, key: DropoutKey | None) -> dict[str, Tensor]:
    """The mask of every dropout in one forward pass, by the name of its place."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [
        module.register_forward_hook(
            lambda _, inputs, output, name=name: seen.update({name: (inputs[0], output)})
        )
        for name, module in model.encoder.named_modules()
    ]
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(5, 50, (ROWS, LENGTH), generator=generator)
    with torch.no_grad():
        model.encoder(ids, torch.zeros_like(ids), None, key)
    for hook in hooks:
        hook.remove()

    masks = {"embeddings": seen["blocks.0"][0] / seen["norm"][1]}
    for layer in range(LAYERS):
        at = f"blocks.{layer}"
        entered, added = seen[at][0], seen[f"{at}.attention"][1]
        between, expanded = seen[f"{at}.attention_norm"], seen[f"{at}.contract"][1]
        weights_BLNK = seen[f"{at}.attention.output"][0].view(ROWS, LENGTH, HEADS, LENGTH)
        masks[f"{at} weights"] = weights_BLNK.transpose(1, 2) * LENGTH  # in the order of drawing
        masks[f"{at} attention"] = (between[0] - entered) / added
        masks[f"{at} feed-forward"] = (seen[f"{at}.feed_forward_norm"][0] - between[1]) / expanded
    return masks


@pytest.fixture(scope="module")
def masks(model) -> dict[str, Tensor]:
    return masks_of(model, KEY)


def dropped(mask: Tensor) -> Tensor:
    return mask.abs().flatten() < 1e-6


def test_each_place_drops_its_share_and_scales_the_rest(masks):
    assert len(masks) == 1 + 3 * LAYERS
    for name, mask in masks.items():
        p = ATTENTION if name.endswith("weights") else HIDDEN
        five_errors = 5 * (p * (1 - p) / mask.numel()) ** 0.5
        assert abs(dropped(mask).double().mean().item() - p) < five_errors, name
        kept = mask.flatten()[~dropped(mask)]
        torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)), atol=1e-5, rtol=0)


def test_no_two_places_share_a_mask(masks):
    # The same draws against two shares would drop, at the higher one, all that the lower one does.
    for (name, one), (other, two) in itertools.permutations(masks.items(), 2):
        assert (dropped(one) & ~dropped(two)).any(), (name, other)


def test_the_next_step_draws_other_masks_at_every_place(model, masks):
    again, later = (masks_of(model, DropoutKey(seed=3, step=step)) for step in (7, 8))

    for name, mask in masks.items():
        assert torch.equal(mask, again[name]), name
        assert not torch.equal(dropped(mask), dropped(later[name])), name


def test_without_a_key_every_mask_is_one(model):
    for mask in masks_of(model, None).values():
        torch.testing.assert_close(mask, torch.ones_like(mask), atol=1e-5, rtol=0)
