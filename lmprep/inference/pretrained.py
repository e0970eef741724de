"""A pretrained model ready to be asked: its weights on a device, its tokenizer, texts to ids."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmprep.errors import UsageError
from lmprep.finetuning.rows import marks_of
from lmprep.finetuning.start import copy_weights, load_start
from lmprep.finetuning.tokens import TextEncoder
from lmprep.models.construction import outline
from lmprep.models.decoder import DecoderModel
from lmprep.models.encoder_decoder import EncoderDecoderModel
from lmprep.models.initialization import initialize
from lmprep.models.language_model import LanguageModel
from lmprep.tokenization.folder import TokenizerFolder
from lmprep.training.devices import choose_device, choose_precision
from lmprep.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """A model and its tokenizer.

    Args:
        model: on its device, without dropout.
        tokenizer: as loaded.
        encoder: of texts in which nothing is a special token.
        precision: of matrix products.
        description: where it is from, for messages.
    """

    model: LanguageModel
    tokenizer: TokenizerFolder
    encoder: TextEncoder
    precision: torch.dtype
    description: str

    @property
    def vocabulary(self) -> Vocabulary:
        """Of the tokenizer."""
        return self.tokenizer.vocabulary

    @property
    def kind(self) -> str:
        """`encoder`, `decoder` or `encoder-decoder`."""
        return self.model.settings.kind

    def limit(self) -> int | None:
        """Positions the model has; None where there is no end to them."""
        return self.model.settings.length_limit

    def plain(self, texts: list[str]) -> list[list[int]]:
        """Ids of texts, without special tokens."""
        ids = self.encoder.texts(texts).ids
        return [
            ids.values[a:b].tolist() for a, b in zip(ids.offsets, ids.offsets[1:], strict=False)
        ]

    def marked(self, texts: list[str]) -> list[list[int]]:
        """Ids of texts in which special tokens are spelled out, between those of a row."""
        opening, _, closing = marks_of(self.vocabulary, pair=False)
        found = self.tokenizer.tokenizer.encode_batch(texts, add_special_tokens=False)
        return [[*opening, *each.ids, *closing] for each in found]

    def text(self, ids: list[int], *, special: bool = False) -> str:
        """Ids as text, special tokens left out unless asked for."""
        decoded: str = self.tokenizer.tokenizer.decode(ids, skip_special_tokens=not special)
        return decoded

    def said(self, text: str, new: list[int]) -> str:
        """What new ids say behind a text, with the space between them if there is one."""
        if self.kind == "encoder-decoder":
            return self.text(new)
        before = self.plain([text])[0]
        both, alone = self.text([*before, *new]), self.text(before)
        return both[len(alone) :] if both.startswith(alone) else f" {self.text(new)}"

    def token(self, id: int) -> str:
        """How a token is spelled in the vocabulary."""
        return str(self.tokenizer.tokenizer.id_to_token(id))

    def batch(self, rows: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Rows padded on the right, int64 [B, L], and their lengths, int64 [B]."""
        longest = max(map(len, rows))
        pad = self.vocabulary.pad or 0
        ids_BL = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
        lengths_B = torch.tensor([len(row) for row in rows])
        return ids_BL.to(self.model.device), lengths_B.to(self.model.device)


def ask(source: str, *, device: str = "auto", precision: str = "fp32", head: bool = True) -> Asked:
    """Load a run, one of its checkpoints, a folder of Hugging Face's layout or a name on its hub.

    Args:
        device, precision: values of `pretrain_settings.DEVICES` and `PRECISIONS`.
        head: whether the one that predicts tokens is needed.

    Raises:
        UsageError: there is none, it has no tokenizer or not the head, or it is word vectors.
        CheckpointError: its files are damaged.
    """
    start = load_start(source)
    model = outline(start.settings).to_empty(device="cpu")
    initialize(model, start.settings, seed=0)  # heads that were not kept
    missing = copy_weights(model, start.tensors, start.description)
    if head and any(name.startswith("masked_token_head.") for name in missing):
        raise UsageError(
            "it has no head that predicts tokens",
            path=start.description,
            fix="Give a model as it was pretrained; of ELECTRA the exported generator has one",
        )
    model.to(choose_device(device)).eval()
    return Asked(
        model=model,
        tokenizer=start.tokenizer,
        encoder=TextEncoder(start.tokenizer),
        precision=choose_precision(precision, model.device),
        description=start.description,
    )


def writing_model(asked: Asked) -> DecoderModel | EncoderDecoderModel:
    """The model, if it writes.

    Raises:
        UsageError: it does not.
    """
    if isinstance(asked.model, DecoderModel | EncoderDecoderModel):
        return asked.model
    raise UsageError(
        f"a model of kind {asked.kind} does not write text",
        path=asked.description,
        fix="Give a decoder such as GPT, or an encoder-decoder such as T5",
    )
