"""Texts written by a model: greedy, drawn, or by beam search.

B rows, K beams of a row, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from lmprep.inference.choosing import Draws, chosen
from lmprep.inference.faults import RowFault
from lmprep.inference.pretrained import Asked
from lmprep.inference.writers import Writer, end_of

_BARRED = -1.0e9  # worse than any score, and still a number


@dataclass(frozen=True, kw_only=True)
class WritingSettings:
    """How to write.

    Args:
        tokens: new tokens at most, the end token included.
        sample: draw the tokens; else the likeliest, of all beams.
        temperature, top_k, top_p: see `choosing.chosen`.
        beams: texts that are followed at the same time.
        length_penalty: a beam's score is its log-probability over its length to this power.
        seed: of the draws.
    """

    tokens: int = 50
    sample: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    beams: int = 1
    length_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("tokens", "top_k", "beams"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} {value} must be at least 1")
        if not self.temperature > 0:
            raise ValueError(f"temperature {self.temperature} must be above 0")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p {self.top_p} must be above 0 and at most 1")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed} is negative")
        if self.sample and self.beams > 1:
            raise ValueError("beams are not drawn: choose between beams and sampling")


def written(
    asked: Asked, prompts: Sequence[Sequence[int]], settings: WritingSettings, first_row: int = 0
) -> list[list[int]]:
    """New ids for each prompt, up to the end token, which is left out.

    Args:
        prompts: ids, one at least in each: see `Writer`.
        first_row: the number of the first prompt, which draws go by.

    Raises:
        UsageError: the model does not write.
        RowFault: a prompt leaves no room.
    """
    rooms = _rooms(asked, prompts, settings.tokens)
    writer, end = Writer(asked, prompts), end_of(asked)
    if settings.beams > 1:
        return _beams(writer, rooms, settings, end)
    return _one_by_one(writer, rooms, settings, end, first_row)


def _rooms(asked: Asked, prompts: Sequence[Sequence[int]], tokens: int) -> list[int]:
    """How many tokens there is room for behind each prompt, whatever the others are."""
    limit, rooms = asked.limit(), []
    for number, prompt in enumerate(prompts):
        own = len(prompt) if asked.kind == "decoder" else 1  # an answer begins with a start token
        room = tokens if limit is None else min(tokens, limit - own)
        if room < 1 or (limit is not None and len(prompt) > limit):
            what = f"its {len(prompt)} tokens leave no room in the model's {limit} positions"
            raise RowFault(number, what, "Shorten it")
        rooms.append(room)
    return rooms


def _one_by_one(
    writer: Writer, rooms: Sequence[int], settings: WritingSettings, end: int, first_row: int
) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in rooms]
    open_rows = np.arange(len(rooms))  # those that have not ended
    left = torch.tensor(rooms, device=writer.logits_BV.device)
    for step in range(max(rooms)):
        draws = None
        if settings.sample:
            draws = Draws(settings.seed, open_rows + first_row).at(step)
            draws = draws.to(writer.logits_BV.device)
        ids_B = chosen(
            writer.logits_BV,
            draws,
            temperature=settings.temperature,
            top_k=settings.top_k,
            top_p=settings.top_p,
        )
        going = ids_B != end
        for row, id, goes_on in zip(
            open_rows.tolist(), ids_B.tolist(), going.tolist(), strict=True
        ):
            if goes_on:
                found[row].append(id)
        left -= 1
        going &= left > 0
        if not going.any():
            break
        if not going.all():
            kept = going.nonzero()[:, 0]
            writer.keep_rows(kept)
            open_rows, ids_B, left = open_rows[kept.cpu().numpy()], ids_B[kept], left[kept]
        writer.write(ids_B)
    return found


@dataclass
class _Row:
    """A row of a beam search.

    Args:
        room: tokens at most.
        texts: of the open beams.
        finished: scores and texts of those that ended, the best first.
    """

    room: int
    texts: list[list[int]]
    finished: list[tuple[float, list[int]]] = field(default_factory=list)

    def finish(
        self, scores: Sequence[float], beams: Sequence[int], ids: Sequence[int], end: int, step: int
    ) -> None:
        """Let those of the best continuations that end compete for the finished places.

        Args:
            scores: over length; of as many as there are beams, the best first.
            beams, ids: which beam each goes on, and with which token.
        """
        for score, beam, id in zip(scores, beams, ids, strict=True):
            if score > _BARRED / 2 and (id == end or step == self.room):
                self.finished.append((score, self.texts[beam] + ([] if id == end else [id])))
        self.finished.sort(key=lambda each: -each[0])
        del self.finished[len(self.texts) :]

    def may_improve(self, possible: float, step: int) -> bool:
        """Whether an open beam of this score may still come before a finished one."""
        full = len(self.finished) == len(self.texts)
        return step < self.room and possible > (self.finished[-1][0] if full else _BARRED)


def _beams(
    writer: Writer, rooms: Sequence[int], settings: WritingSettings, end: int
) -> list[list[int]]:
    """Beam search as `transformers` does it by default, token for token.

    In every step the 2 K best continuations of a row are looked at. Of the K best, those that end
    compete for the K finished places, scored by log-probability over length; the best K that do not
    end go on. A row is done when its best open beam, scored at its present length, is behind all K
    finished ones.
    """
    count, device = settings.beams, writer.logits_BV.device
    rows = [_Row(room, [[] for _ in range(count)]) for room in rooms]
    writer.keep_rows(torch.arange(len(rows), device=device).repeat_interleave(count))
    scores_BK = torch.full((len(rows), count), _BARRED, device=device)
    scores_BK[:, 0] = 0.0  # at first all beams are the same
    going = rows
    for step in range(1, max(rooms) + 1):
        length = step**settings.length_penalty
        chances = writer.logits_BV.log_softmax(-1).view(len(going), count, -1)
        size = chances.shape[-1]
        chances_BV = (chances + scores_BK[:, :, None]).flatten(1)
        best, places = chances_BV.topk(min(2 * count, count * size))
        beams, ids = places // size, places % size
        looked_at = [each[:, :count].tolist() for each in (best / length, beams, ids)]
        for row, scores, from_K, new_K in zip(going, *looked_at, strict=True):
            row.finish(scores, from_K, new_K, end, step)
        scores_BK, kept = (best + (ids == end).float() * _BARRED).topk(count)
        beams_BK, ids_BK = beams.gather(1, kept), ids.gather(1, kept)
        for row, from_K, new_K in zip(going, beams_BK.tolist(), ids_BK.tolist(), strict=True):
            row.texts = [row.texts[beam] + [id] for beam, id in zip(from_K, new_K, strict=True)]
        tops = (scores_BK[:, 0] / length).tolist()
        left = [n for n, row in enumerate(going) if row.may_improve(tops[n], step)]
        if not left:
            break
        going, left_C = [going[n] for n in left], torch.tensor(left, device=device)
        scores_BK = scores_BK[left_C]
        writer.keep_rows((beams_BK[left_C] + left_C[:, None] * count).flatten())
        writer.write(ids_BK[left_C].flatten())
    return [row.finished[0][1] for row in rows]
