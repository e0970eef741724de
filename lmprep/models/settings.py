"""The shape of a model: named sizes, or a TOML file with the same keys.

No torch in here, so that a command line can list the names.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lmprep.errors import UsageError
from lmprep.models.sizes import MODELS, named_shape
from lmprep.settings import Settings, choice, settings_from

__all__ = ["MODELS", "ModelSettings", "model_settings"]

_CHOICES = {
    "kind": ("encoder", "decoder", "encoder-decoder", "bi-lstm"),
    "norm": ("layer", "rms"),
    "norm_place": ("post", "pre"),
    "activation": ("gelu", "gelu-tanh", "relu", "gated-gelu", "gated-silu"),
    "positions": ("learned", "sinusoidal", "rotary", "relative"),
    "output": ("tied", "tied-scaled", "separate"),
    "initialization": ("truncated-normal", "normal", "scaled-normal", "t5", "lstm"),
}
_AT_LEAST = {
    "layers": 1,
    "width": 1,
    "heads": 1,
    "vocabulary_size": 1,
    "head_width": 1,
    "feed_forward": 1,
    "embedding_width": 1,
    "vocabulary_multiple": 1,
    "max_length": 8,
    "position_offset": 0,
    "types": 0,
    "span_boundary": 0,
    "generator_width": 0,
    "filters": 0,
}


@dataclass(frozen=True, kw_only=True)
class ModelSettings(Settings):
    """A transformer; the defaults are BERT's.

    Args:
        kind: `encoder` (reads both ways), `decoder` (forwards only), `encoder-decoder`, or
            `bi-lstm` (ELMo: two stacks of LSTMs, one forwards and one backwards), which knows only
            layers, width, feed_forward, filters, vocabulary_size, vocabulary_multiple and dropout.
        layers: transformer blocks; of an encoder-decoder in each of the two. LSTMs in each
            direction.
        shared_layers: whether all of a stack's layers are one block, used again and again
            (ALBERT).
        width: of the hidden states.
        embedding_width: of tokens, positions, types and their norm; another one than the width
            (ALBERT, ELECTRA-small) is brought to it by a linear layer, and back in the heads.
            0 means the width.
        heads: of attention.
        head_width: 0 means the width over the heads, which then divide it.
        vocabulary_size: ids with an embedding; the tokenizer may have fewer.
        vocabulary_multiple: tables of the vocabulary are filled up with zero rows to a multiple of
            this, for shapes that hardware is quick with; these rows never get a probability, and
            are neither counted nor exported.
        feed_forward: inner width of the feed-forward part, or cells of an LSTM, whose output is
            projected to the width; 0 means four times the width.
        filters: longest character convolutions of a bi-lstm, in bytes; 0: a vector for each token.
        positions: `learned`, or, for rows of any length, `sinusoidal` (fixed vectors), `rotary`
            (queries and keys turned by their place) or `relative` (T5's biases by distance).
        max_length: learned positions, in tokens.
        position_offset: rows of the position table before that of the first token, which nothing
            reads (2 in RoBERTa and BART, whose numbering starts there).
        types: token types (segments); 0 or 1: there are none to tell apart, 1 with a vector that
            is added everywhere.
        norm: `layer` or `rms` (root mean square, no mean, no bias).
        norm_place: `post`, after each addition, or `pre`, before each part and at the end.
        norm_epsilon: added to variances.
        embedding_norm: whether embeddings are normed before the first block.
        bias: whether the blocks' matrices and norms have one.
        activation: of the feed-forward; `gelu` is the exact one (erf), `gelu-tanh` its
            approximation, `gated-gelu` the approximation times a second matrix (T5 1.1),
            `gated-silu` the same with x * sigmoid(x) (SwiGLU, arXiv:2002.05202).
        scaled_attention: whether scores are divided by the root of the heads' width.
        output: `tied` to the token embeddings, `tied-scaled` (states first times width**-0.5: T5)
            or `separate`.
        pooler: whether an encoder has a pooler over the first token, and on it the head that
            tells pairs of sentences apart.
        span_boundary: longest span, in tokens, that the span-boundary head (SpanBERT) predicts;
            0 without this head.
        generator_width: width of the generator that an encoder is trained with to tell replaced
            tokens (ELECTRA); heads and inner width shrink alike. 0 without one.
        initialization: see `lmprep.models.initialization`.
        dropout: of embeddings and of what each block adds.
        attention_dropout: of attention weights.
        full_dropout: also within the feed-forward and at the end of each stack (T5).
    """

    kind: str = "encoder"
    layers: int
    width: int
    heads: int
    vocabulary_size: int
    head_width: int = 0
    feed_forward: int = 0
    embedding_width: int = 0
    shared_layers: bool = False
    vocabulary_multiple: int = 64
    positions: str = "learned"
    max_length: int = 512
    position_offset: int = 0
    types: int = 2
    norm: str = "layer"
    norm_place: str = "post"
    norm_epsilon: float = 1e-12
    embedding_norm: bool = True
    bias: bool = True
    activation: str = "gelu"
    scaled_attention: bool = True
    output: str = "tied"
    pooler: bool = True
    span_boundary: int = 0
    generator_width: int = 0
    initialization: str = "truncated-normal"
    dropout: float = 0.1
    attention_dropout: float = 0.1
    full_dropout: bool = False
    filters: int = 0

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            choice(name, getattr(self, name), choices)
        for name in ("layers", "width", "heads"):  # the defaults follow from these
            self._at_least(name, 1)
        if self.feed_forward == 0:
            object.__setattr__(self, "feed_forward", 4 * self.width)
        if self.embedding_width == 0:
            object.__setattr__(self, "embedding_width", self.width)
        if self.head_width == 0:
            self._derive_head_width()
        for name, least in _AT_LEAST.items():
            self._at_least(name, least)
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be from 0 to below 1")
        if self.norm_epsilon <= 0:
            raise ValueError(f"norm_epsilon {self.norm_epsilon} must be above 0, such as 1e-5")
        self._check_positions()
        self._check_encoder()

    def _derive_head_width(self) -> None:
        if self.width % self.heads:
            raise ValueError(
                f"width {self.width} is not a multiple of {self.heads} heads; or give a head_width"
            )
        object.__setattr__(self, "head_width", self.width // self.heads)

    def _at_least(self, name: str, least: int) -> None:
        if getattr(self, name) < least:
            raise ValueError(f"{name} {getattr(self, name)} must be at least {least}")

    def _check_positions(self) -> None:
        """Sines and cosines come in pairs."""
        for positions, name in (("sinusoidal", "embedding_width"), ("rotary", "head_width")):
            if self.positions == positions and (value := getattr(self, name)) % 2:
                raise ValueError(
                    f"{name} {value} must be even with {positions} positions, such as {value + 1}"
                )

    def _check_encoder(self) -> None:
        """What only an encoder has, and what it has not."""
        if self.kind == "encoder" and self.output != "tied":
            raise ValueError(f"output {self.output!r} is not for an encoder: its heads are 'tied'")
        if self.kind != "bi-lstm" and self.filters:
            raise ValueError(f"filters {self.filters} needs kind 'bi-lstm', not {self.kind!r}")
        if self.kind == "bi-lstm" and (self.output != "separate" or self.factorised):
            raise ValueError("a bi-lstm needs output 'separate' and embeddings as wide as it is")
        if self.kind == "bi-lstm" and self.feed_forward <= self.width:
            raise ValueError(
                f"feed_forward {self.feed_forward}, the cells of a bi-lstm, must be more than the "
                f"width {self.width} they are projected to"
            )
        if self.kind != "encoder" and self.span_boundary:
            raise ValueError(
                f"span_boundary {self.span_boundary} needs kind 'encoder', not {self.kind!r}; "
                "or give 0"
            )
        if self.kind != "encoder" and self.generator_width:
            raise ValueError(
                f"generator_width {self.generator_width} needs kind 'encoder', not {self.kind!r}; "
                "or give 0"
            )
        if self.generator_width:
            try:
                self.generator()
            except ValueError as error:
                raise ValueError(f"generator_width {self.generator_width}: {error}") from None

    def generator(self) -> ModelSettings:
        """The generator beside such an encoder: as deep, with the same embeddings, narrower."""
        heads = max(1, round(self.heads * self.generator_width / self.width))
        return replace(
            self,
            width=self.generator_width,
            heads=heads,
            head_width=0,
            feed_forward=round(self.feed_forward * self.generator_width / self.width),
            generator_width=0,
        )

    @property
    def has_generator(self) -> bool:
        """Whether a generator is trained beside it."""
        return self.generator_width > 0

    @property
    def factorised(self) -> bool:
        """Whether embeddings have another width than the hidden states."""
        return self.embedding_width != self.width

    @property
    def vocabulary_rows(self) -> int:
        """Rows of the vocabulary's tables: its size, rounded up."""
        return -(-self.vocabulary_size // self.vocabulary_multiple) * self.vocabulary_multiple

    @property
    def length_limit(self) -> int | None:
        """The longest row the model can take, in tokens; None without a limit."""
        limited = self.positions == "learned" and self.kind != "bi-lstm"
        return self.max_length if limited else None


def model_settings(name_or_file: str, *, vocabulary_size: int, **changes: Any) -> ModelSettings:
    """The settings behind a name of `MODELS` or a TOML file.

    Args:
        name_or_file: `bert-mini`, or a path that ends in `.toml`. A file may start from a named
            model: `base = "t5-tiny"`.
        vocabulary_size: of the tokenizer; a file may state a larger one.
        changes: settings that win over the name's or the file's.

    Raises:
        UsageError: no such name or file, or a file with wrong keys or values.
    """
    if name_or_file.endswith(".toml"):
        shape = _read_toml(Path(name_or_file))
    else:
        shape = _named(name_or_file)
    stated = shape.get("vocabulary_size", vocabulary_size)
    try:
        if stated < vocabulary_size:
            raise ValueError(f"vocabulary_size {stated} is below the tokenizer's {vocabulary_size}")
        return settings_from(ModelSettings, {"vocabulary_size": stated} | shape | changes)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"model {name_or_file}: {error}",
            fix="`lmprep docs models` lists the settings of a model and what they may be",
        ) from None


def _named(name: str) -> dict[str, Any]:
    if name not in MODELS:
        raise UsageError(f"there is no model {name!r}", fix=_suggestion(name))
    return named_shape(name)


def _suggestion(name: str) -> str:
    listed = f"Models: {', '.join(MODELS)}; or give a .toml file with the keys of ModelSettings"
    close = difflib.get_close_matches(name.lower(), MODELS, n=1)
    return f"Did you mean {close[0]}? {listed}" if close else listed


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            "there is no such file",
            path=path,
            fix="Give a TOML file with the shape of a model, or a name from `lmprep docs models`",
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(
            f"not a readable TOML file: {error}",
            path=path,
            fix="Write lines like `layers = 4`; see `lmprep docs models`",
        ) from None
    base = written.pop("base", None)
    return written if base is None else _named(str(base)) | written
