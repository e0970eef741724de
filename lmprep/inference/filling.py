"""Gaps of a text filled: masks by an encoder, sentinels by T5, masks by BART.

B rows, L positions, M masks, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lmprep.errors import UsageError
from lmprep.finetuning.rows import marks_of
from lmprep.inference.choosing import Draws, chosen
from lmprep.inference.faults import RowFault, refuse_long
from lmprep.inference.pretrained import Asked
from lmprep.inference.writing import WritingSettings, written
from lmprep.models.encoder import EncoderModel
from lmprep.models.inputs import Inputs
from lmprep.training.devices import computing_in


@dataclass(frozen=True, kw_only=True)
class Fill:
    """What may stand in one gap.

    Args:
        tokens: spelled as in the vocabulary, the likeliest first.
        probabilities: of each.
    """

    tokens: tuple[str, ...]
    probabilities: tuple[float, ...]


def filled(asked: Asked, texts: Sequence[str], *, top: int = 5) -> list[dict[str, Any]]:
    """Fill the gaps of each text.

    Returns:
        For each text `text`, with every gap filled by what is likeliest there; of a masked model
        also `fills`, a `Fill` for each mask, each judged while the others are hidden.

    Raises:
        UsageError: the model fills no gaps.
        RowFault: a text has no gap, or is longer than the model takes.
    """
    gap = gap_of(asked)
    rows = asked.marked(list(texts))
    gaps = set(asked.vocabulary.sentinels or (asked.vocabulary.mask,))
    for number, row in enumerate(rows):
        if not gaps & set(row):
            raise RowFault(number, f"there is no {gap}", f"Write {gap} where a gap is")
    refuse_long(rows, asked.limit())
    if asked.kind == "encoder-decoder":
        return _written_into(asked, rows)
    return _masks_filled(asked, rows, top)


def gap_of(asked: Asked) -> str:
    """How a gap is written.

    Raises:
        UsageError: the model fills none.
    """
    first = asked.vocabulary.sentinels[0] if asked.vocabulary.sentinels else asked.vocabulary.mask
    if first is None or asked.kind == "decoder":
        raise UsageError(
            "it has learnt to fill no gaps",
            path=asked.description,
            fix="Give a masked model or an encoder-decoder, or use lmprep predict generate",
        )
    return asked.token(first)


def _masks_filled(asked: Asked, rows: list[list[int]], top: int) -> list[dict[str, Any]]:
    mask = asked.vocabulary.mask
    places = [(b, i) for b, row in enumerate(rows) for i, id in enumerate(row) if id == mask]
    best = _chances(asked, rows, places).topk(top)
    ids_MK, chances_MK = best.indices.tolist(), best.values.tolist()
    found: list[dict[str, Any]] = [{"fills": []} for _ in rows]
    whole = [list(row) for row in rows]
    for (row, place), ids, chances in zip(places, ids_MK, chances_MK, strict=True):
        tokens = tuple(map(asked.token, ids))
        found[row]["fills"].append(Fill(tokens=tokens, probabilities=tuple(chances)))
        whole[row][place] = ids[0]
    return [{"text": asked.text(ids), **each} for ids, each in zip(whole, found, strict=True)]


@torch.no_grad()
def _chances(asked: Asked, rows: list[list[int]], places: list[tuple[int, int]]) -> Tensor:
    """Of the tokens at places: float32 [M, V]; special tokens have none."""
    model = asked.model
    assert isinstance(model, EncoderModel)
    ids_BL, lengths_B = asked.batch(rows)
    flat = [row * ids_BL.shape[1] + place for row, place in places]
    inputs = Inputs(
        ids_BL=ids_BL,
        lengths_B=lengths_B,
        scored_M=torch.tensor(flat, device=model.device),
    )
    with computing_in(asked.precision, model.device):
        logits_MV = model(inputs).logits_MV.float()
    special = [id for id in asked.vocabulary.special if id < logits_MV.shape[1]]
    logits_MV[:, special] = -torch.inf
    return logits_MV.softmax(-1)


def _written_into(asked: Asked, rows: list[list[int]]) -> list[dict[str, Any]]:
    """T5 writes what belongs behind each sentinel, BART the whole text."""
    settings = WritingSettings(tokens=2 * max(map(len, rows)) + 8)
    answers = written(asked, rows, settings)
    if not asked.vocabulary.sentinels:
        return [{"text": asked.text(answer)} for answer in answers]
    found = []
    for row, answer in zip(rows, answers, strict=True):
        pieces = pieces_of(answer, asked.vocabulary.sentinels)
        whole = [id for token in row for id in pieces.get(token, [token])]
        shown = {asked.token(at): asked.text(ids) for at, ids in pieces.items() if at in row}
        found.append({"text": asked.text(whole), "pieces": shown})
    return found


def pieces_of(answer: Sequence[int], sentinels: Sequence[int]) -> dict[int, list[int]]:
    """What an answer says behind each sentinel, the first time that it has it."""
    known = set(sentinels)
    pieces: dict[int, list[int]] = {}
    current: list[int] | None = None
    for id in answer:
        if id in known:
            current = pieces.setdefault(id, []) if id not in pieces else None
        elif current is not None:
            current.append(id)
    return pieces


def masks_written(
    asked: Asked, texts: Sequence[str], settings: WritingSettings, first_row: int = 0
) -> list[list[int]]:
    """What a masked model puts behind each text: so many masks, filled from the left, one a pass.

    Raises:
        UsageError: beams are asked for.
        RowFault: a text with its masks is longer than the model takes.
    """
    if settings.beams > 1:
        raise UsageError("a masked model has no beams", fix="Leave out --beams")
    mask = asked.vocabulary.mask
    if mask is None or not isinstance(asked.model, EncoderModel):
        gap_of(asked)
    opening, _, closing = marks_of(asked.vocabulary, pair=False)
    assert mask is not None
    rows = [[*opening, *ids, *[mask] * settings.tokens, *closing] for ids in asked.plain([*texts])]
    refuse_long(rows, asked.limit())
    begins = [len(row) - len(closing) - settings.tokens for row in rows]
    draws = Draws(settings.seed, torch.arange(first_row, first_row + len(rows)).numpy())
    for step in range(settings.tokens):
        places = [(row, begin + step) for row, begin in enumerate(begins)]
        ids = chosen(
            _chances(asked, rows, places).log(),
            draws.at(step).to(asked.model.device) if settings.sample else None,
            temperature=settings.temperature,
            top_k=settings.top_k,
            top_p=settings.top_p,
        )
        for (number, place), id in zip(places, ids.tolist(), strict=True):
            rows[number][place] = id
    return [row[begin : begin + settings.tokens] for row, begin in zip(rows, begins, strict=True)]
