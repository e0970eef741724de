"""N heads, Q queries, K keys, H width of a head."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lmprep.models.dropout import DropoutKey
from lmprep.models.inputs import Documents
from lmprep.models.masks import Mask
from lmprep.models.scopes import Square
from tests.models.tiny_models import FAMILIES, LENGTH, ROWS, inputs_for, lively, tiny

# Each row: three tokens, then the rest of it.
STARTS = torch.arange(0, ROWS * LENGTH, LENGTH, dtype=torch.int32)[:, None]
OFFSETS = (STARTS + torch.tensor([0, 3], dtype=torch.int32)).flatten().tolist()
DOCUMENTS = Documents(
    offsets_S=torch.tensor([*OFFSETS, ROWS * LENGTH], dtype=torch.int32), longest=LENGTH - 3
)


@pytest.mark.parametrize(
    ("family", "more"),
    [
        *[(family, {}) for family in FAMILIES],
        *[(family, {"lengths_B": None}) for family in FAMILIES],
        ("bert", {"documents": DOCUMENTS, "lengths_B": None}),
        ("gpt2", {"documents": DOCUMENTS, "lengths_B": None}),
        ("gpt2", {"prefixes_B": torch.tensor([5, 2, 1])}),
    ],
    ids=str,
)
def test_spelled_out_attention_equals_the_fused_one(family: str, more: dict[str, Tensor]):
    # Dropout far below 2**-16 rounds to none, but takes the way with a mask.
    settings = tiny(family, dropout=0.0, attention_dropout=1e-9)
    model, inputs = lively(settings), replace(inputs_for(settings), **more)
    with torch.no_grad():
        spelled_out = model(inputs, DropoutKey(seed=1, step=1)).logits_MV
        fused = model(inputs).logits_MV

    torch.testing.assert_close(spelled_out, fused, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(("scaled", "root"), [(True, 8**0.5), (False, 1.0)])
def test_attention_is_the_papers_formula(scaled: bool, root: float):
    # softmax(Q K^T / sqrt(H)) V with positions as rows (arXiv:1706.03762, equation 1).
    model = lively(tiny("gpt2", scaled_attention=scaled))
    attention = model.decoder.blocks[0].attention
    x_LD = torch.randn(5, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        q_LI, k_LI, v_LI = attention.qkv(x_LD).chunk(3, dim=-1)
        mixed = []
        for head in range(4):
            columns = slice(8 * head, 8 * head + 8)
            scores_QK = q_LI[:, columns] @ k_LI[:, columns].T / root
            mixed.append(scores_QK.softmax(-1) @ v_LI[:, columns])
        expected = attention.output(torch.cat(mixed, dim=-1))
        found = attention(x_LD[None], Square(mask=Mask(), length=5), None)[0]

    torch.testing.assert_close(found, expected)
