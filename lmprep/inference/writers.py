"""Models that write, one token after another, with keys and values kept.

B rows, L positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lmprep.finetuning.tasks.text_to_text import start_token
from lmprep.inference.pretrained import Asked, writing_model
from lmprep.models.decoder import DecoderModel
from lmprep.models.encoder_decoder import EncoderDecoderModel
from lmprep.models.inputs import Inputs
from lmprep.models.past import Past
from lmprep.training.devices import computing_in

_NOTHING = torch.zeros(0, dtype=torch.int64)


class Writer:
    """Rows that are being written.

    Args:
        asked: a decoder or an encoder-decoder.
        prompts: ids that a decoder goes on from, or that an encoder reads; one at least in each.

    Attributes:
        logits_BV: float32, of the next token of each row.
    """

    def __init__(self, asked: Asked, prompts: Sequence[Sequence[int]]) -> None:
        self._asked, self._model = asked, writing_model(asked)
        rows = [list(prompt) for prompt in prompts]
        if isinstance(self._model, DecoderModel):
            longest = max(map(len, rows))
            pads = torch.tensor([longest - len(row) for row in rows])
            self._past = Past(pads.to(self._model.device) if pads.any() else None)
            pad = asked.vocabulary.pad or 0
            first_BL = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
        else:
            self._past = Past()
            ids_BL, lengths_B = asked.batch(rows)
            padded = lengths_B if len(set(map(len, rows))) > 1 else None
            inputs = Inputs(ids_BL=ids_BL, lengths_B=padded, scored_M=_NOTHING)
            with torch.no_grad(), computing_in(asked.precision, self._model.device):
                self._memory = self._model.read(inputs).kept()
            first_BL = torch.full((len(rows), 1), start_token(asked.vocabulary))
        self.logits_BV = self._read(first_BL.to(self._model.device))

    def write(self, ids_B: Tensor) -> None:
        """Put a token, int64, behind each row."""
        self.logits_BV = self._read(ids_B[:, None])

    def read_on(self, ids_BL: Tensor) -> Tensor:
        """Put several tokens, int64 [B, L], behind each row: the logits behind each, [B, L, V]."""
        logits_BLV = self._logits(ids_BL)
        self.logits_BV = logits_BLV[:, -1]
        return logits_BLV

    def keep_rows(self, chosen_C: Tensor) -> None:
        """Go on with the chosen rows, int64 [C]; a row may be chosen often."""
        self._past.keep_rows(chosen_C)
        if isinstance(self._model, EncoderDecoderModel):
            self._memory = self._memory.rows(chosen_C)
        self.logits_BV = self.logits_BV[chosen_C]

    def _read(self, ids_BL: Tensor) -> Tensor:
        return self._logits(ids_BL, last=True)[:, 0]

    @torch.no_grad()
    def _logits(self, ids_BL: Tensor, *, last: bool = False) -> Tensor:
        """Behind all of the tokens, or behind the last one alone."""
        model = self._model
        with computing_in(self._asked.precision, model.device):
            if isinstance(model, DecoderModel):
                states_BLD = model.written_on(ids_BL, self._past)
                matrix = model.decoder.tokens.weight
            else:
                states_BLD = model.written_on(ids_BL, self._memory, self._past)
                matrix = model.encoder.tokens.weight
            if last:
                states_BLD = states_BLD[:, -1:]
            rows, length, _ = states_BLD.shape
            logits_MV: Tensor = model.next_token_head(states_BLD.flatten(0, 1), matrix).logits()
        return logits_MV.float().view(rows, length, -1)


def prompt_ids(asked: Asked, texts: list[str]) -> list[list[int]]:
    """What a writer begins with: of a decoder the text, of an encoder-decoder a whole row, in which
    sentinels and masks may be spelled out."""
    if asked.kind == "encoder-decoder":
        return asked.marked(texts)
    return [ids or [end_of(asked)] for ids in asked.plain(texts)]


def end_of(asked: Asked) -> int:
    """The token that ends a text; of a decoder, whose texts follow one another, it also stands
    before the first token. Nothing opens a row, whatever the vocabulary."""
    end = asked.vocabulary.sep
    assert end is not None  # every family has one
    return end
