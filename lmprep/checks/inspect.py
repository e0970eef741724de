"""Rows for eyes: each token of a row with its text and its role, and what is to be predicted.

    text      an ordinary token, as the source has it
    special   of the template, a mode or an end token
    sentinel  stands for a span (T5, UL2)
    masked    hidden, random, kept: chosen to be predicted, and treated so
    noise     in BART's targets, which repeat the text: what the inputs lack

Records only; how they are drawn is the command line's business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from lmprep.batches import DOCUMENT_SHIFT, Columns
from lmprep.objective_settings import DENOISERS
from lmprep.ragged import Ragged
from lmprep.tokenization.components import component
from lmprep.vocabulary import Vocabulary

ROLES = ("text", "special", "sentinel", "masked", "random", "kept", "noise")
NEXT_SENTENCE = ("B follows A", "B is from elsewhere")
SENTENCE_ORDER = ("in order", "swapped")

PREDICTED = {
    "clm": "each token is predicted from those before it",
    "electra": "masks are drawn in training, and each token is judged: replaced or not",
    "bilm": "each token is predicted from those before it, and from those after it",
    "skipgram": "frequent tokens are thinned out; each token predicts those around it",
    "cooccurrence": "a token, one that stands near it, and how often, by distance",
}
"""What is predicted of rows that are stored as they are, by objective."""

# Columns that say something of a row as a whole, as they are stored.
_PLAIN = (
    "document", "first_sentence", "second_document", "second_sentence", "next_sentence_label",
    "sentence_order_label", "denoiser", "word", "context", "weight",
)  # fmt: skip
_LISTS = ("document_starts", "span_starts", "span_lengths", "noise_positions")


@dataclass(frozen=True, kw_only=True)
class Token:
    """One token.

    Args:
        id: in the vocabulary.
        text: its piece, readable: control characters escaped, byte-level pieces decoded.
        role: one of `ROLES`.
        target: text of what is to be predicted here, if that stands at the same place.
        segment: 0, or 1 in the second segment.
        begins: it is the first of a further document in its row.
    """

    id: int
    text: str
    role: str = "text"
    target: str | None = None
    segment: int = 0
    begins: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """One example.

    Args:
        number: its place in the dataset.
        objective: what it was made for.
        inputs: what the model sees.
        targets: what it is to say, where that is a sequence of its own; else empty.
        facts: origin, labels and what else is stored of the row, by column name.
    """

    number: int
    objective: str
    inputs: tuple[Token, ...]
    targets: tuple[Token, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scored(self) -> int:
        """Tokens marked as to be predicted at their place."""
        return sum(token.target is not None for token in self.inputs)


class Pieces:
    """The texts of ids as people can read them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._added = frozenset(tokenizer.get_added_tokens_decoder())
        parts = [component(tokenizer, name) for name in ("decoder", "pre_tokenizer")]
        self._bytes = '"ByteLevel"' in json.dumps(parts)

    def __getitem__(self, token: int) -> str:
        piece = self._tokenizer.id_to_token(token)
        if piece is None:
            return f"<{token}>"
        if self._bytes and token not in self._added:
            piece = _from_bytes(piece)
        return readable(piece)


def readable(text: str) -> str:
    """A text with everything escaped that is not seen or turns what follows: controls of all
    kinds, of the writing direction too, and halves of surrogate pairs."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _byte_alphabet() -> dict[str, int]:
    """The characters byte-level tokenizers write for bytes (GPT-2's table)."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    table = {chr(byte): byte for byte in shown}
    return table | {chr(256 + place): byte for place, byte in enumerate(hidden)}


_BYTES = _byte_alphabet()


def _from_bytes(piece: str) -> str:
    """A byte-level piece as text with Ġ for the space; as it is, if it is part of a character."""
    try:
        return bytes(_BYTES[character] for character in piece).decode().replace(" ", "Ġ")
    except (KeyError, UnicodeDecodeError):
        return piece


class Describer:
    """Turns the columns of a dataset into records.

    Args:
        objective: its name.
        settings: the settings record of that objective.
        vocabulary: of the dataset.
        tokenizer: gives ids their texts.
    """

    def __init__(
        self, objective: str, settings: Any, vocabulary: Vocabulary, tokenizer: Tokenizer
    ) -> None:
        self._objective = objective
        # Targets that lie token for token under the inputs: T5's bert-style and mass.
        self._in_place = getattr(settings, "noise", "") in ("bert-style", "mass")
        # Targets that repeat the whole text, with positions of what the inputs lack.
        self._marks_noise = objective == "bart"
        self._vocabulary = vocabulary
        self._special = frozenset(vocabulary.special) - {vocabulary.unk}
        self._sentinels = frozenset(vocabulary.sentinels)
        self._pieces = Pieces(tokenizer)

    def rows(self, columns: Columns, numbers: Sequence[int]) -> list[Row]:
        """A record for each row; `numbers` are the places they have in the dataset."""
        return [self._row(_one_row(columns, i), number) for i, number in enumerate(numbers)]

    def _row(self, row: Mapping[str, Any], number: int) -> Row:
        if "word" in row:
            inputs, targets = self.tokens([row["word"]]), self.tokens([row["context"]])
        else:
            inputs, targets = self._inputs(row), self._targets(row)
        facts = {name: row[name] for name in (*_PLAIN, *_LISTS) if name in row}
        return Row(
            number=number,
            objective=self._objective,
            inputs=tuple(inputs),
            targets=tuple(targets),
            facts=facts,
        )

    def tokens(self, ids: Sequence[int]) -> list[Token]:
        """Tokens of nothing but their ids."""
        return [Token(id=i, text=self._pieces[i], role=self._plain_role(i)) for i in ids]

    def _plain_role(self, token: int) -> str:
        if token in self._sentinels:
            return "sentinel"
        return "special" if token in self._special else "text"

    def _inputs(self, row: Mapping[str, Any]) -> list[Token]:
        ids: list[int] = row["input_ids"]
        places, originals = row.get("masked_positions", ()), row.get("masked_labels", ())
        labels = dict(zip(places, originals, strict=True))
        if self._in_place:  # the last is the end token on both sides
            labels = {i: label for i, label in enumerate(row["labels"]) if label != ids[i]}
        first = row.get("first_segment_length", len(ids))
        begins = frozenset(row.get("document_starts", ()))
        return [
            Token(
                id=token,
                text=self._pieces[token],
                role=self._input_role(token, labels.get(i)),
                target=self._pieces[labels[i]] if i in labels else None,
                segment=int(i >= first),
                begins=i in begins,
            )
            for i, token in enumerate(ids)
        ]

    def _input_role(self, token: int, label: int | None) -> str:
        if label is not None:
            if token in self._special:
                return "masked"
            return "kept" if token == label else "random"
        return "masked" if token == self._vocabulary.mask else self._plain_role(token)

    def _targets(self, row: Mapping[str, Any]) -> list[Token]:
        if "labels" not in row or self._in_place:
            return []
        missing = frozenset(row["noise_positions"] if self._marks_noise else ())
        tokens = self.tokens(row["labels"])
        return [replace(t, role="noise") if i in missing else t for i, t in enumerate(tokens)]


def _one_row(columns: Columns, row: int) -> dict[str, Any]:
    """One row as plain Python values."""
    return {
        name: (column[row] if isinstance(column, Ragged) else np.asarray(column)[row]).tolist()
        for name, column in columns.items()
    }


def explain(facts: Mapping[str, Any]) -> list[str]:
    """What the facts of a row mean, in words."""
    said = []
    for prefix, name, sentence in (
        ("", "document", "first_sentence"),
        ("B: ", "second_document", "second_sentence"),
    ):
        if name in facts:
            said.append(f"{prefix}{origin(facts[name])}, sentence {facts[sentence]}")
    for name, meanings in (
        ("next_sentence_label", NEXT_SENTENCE),
        ("sentence_order_label", SENTENCE_ORDER),
    ):
        if name in facts:
            said.append(f"{name} {facts[name]}: {meanings[facts[name]]}")
    if "denoiser" in facts:
        said.append(f"denoiser {facts['denoiser']}: {denoiser_name(facts['denoiser'])}")
    if "span_starts" in facts:
        starts, lengths = facts["span_starts"], facts["span_lengths"]
        one = f"span of {lengths[0]} at {starts[0]}" if len(starts) == 1 else ""
        said.append(one or f"{len(starts)} spans")
    if "weight" in facts:
        said.append(f"weight {facts['weight']:g}")
    return said


def origin(document: int) -> str:
    """A document as people count: its place in its source."""
    source, ordinal = document >> DOCUMENT_SHIFT, document & ((1 << DOCUMENT_SHIFT) - 1)
    return f"document {ordinal}" + (f" of source {source}" if source else "")


def denoiser_name(number: int) -> str:
    """A denoiser of UL2 as its paper's table has it: mode, mean span length, noise density."""
    mode, span, density = DENOISERS[number]
    return f"{mode} span {span or 'to the end'}, density {float(density):g}"
