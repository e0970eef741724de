"""The shape of a model: named sizes, or a TOML file with the same keys.

No torch in here, so that a command line can list the names.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmprep.errors import UsageError
from lmprep.settings import Settings, settings_from

# Layers, width, heads. BERT (arXiv:1810.04805) and its small siblings (arXiv:1908.08962).
_SIZES = {
    "bert-tiny": (2, 128, 2),
    "bert-mini": (4, 256, 4),
    "bert-small": (4, 512, 8),
    "bert-base": (12, 768, 12),
    "bert-large": (24, 1024, 16),
}
MODELS = tuple(_SIZES)


@dataclass(frozen=True, kw_only=True)
class ModelSettings(Settings):
    """A BERT encoder.

    Args:
        layers: transformer blocks.
        width: of the hidden states.
        heads: of attention; they divide the width.
        vocabulary_size: ids with an embedding; the tokenizer may have fewer.
        feed_forward: inner width of the feed-forward part; 0 means four times the width.
        max_length: positions with an embedding, in tokens.
        types: token types (segments).
        dropout: of embeddings and of what each block adds.
        attention_dropout: of attention weights.
    """

    layers: int
    width: int
    heads: int
    vocabulary_size: int
    feed_forward: int = 0
    max_length: int = 512
    types: int = 2
    dropout: float = 0.1
    attention_dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.feed_forward == 0:
            object.__setattr__(self, "feed_forward", 4 * self.width)
        for name in ("layers", "width", "heads", "vocabulary_size", "feed_forward", "types"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        if self.max_length < 8:
            raise ValueError(f"max_length {self.max_length} must be at least 8")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of {self.heads} heads")
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be from 0 to below 1")


def model_settings(name_or_file: str, *, vocabulary_size: int, **changes: Any) -> ModelSettings:
    """The settings behind a name of `MODELS` or a TOML file.

    Args:
        name_or_file: `bert-mini`, or a path that ends in `.toml`.
        vocabulary_size: of the tokenizer; a file may state a larger one.
        changes: settings that win over the name's or the file's.

    Raises:
        UsageError: no such name or file, or a file with wrong keys or values.
    """
    if name_or_file in _SIZES:
        layers, width, heads = _SIZES[name_or_file]
        shape: dict[str, Any] = {"layers": layers, "width": width, "heads": heads}
    elif name_or_file.endswith(".toml"):
        shape = _read_toml(Path(name_or_file))
    else:
        raise UsageError(f"there is no model {name_or_file!r}", fix=_suggestion(name_or_file))
    stated = shape.get("vocabulary_size", vocabulary_size)
    try:
        if stated < vocabulary_size:
            raise ValueError(f"vocabulary_size {stated} is below the tokenizer's {vocabulary_size}")
        return settings_from(ModelSettings, {"vocabulary_size": stated} | shape | changes)
    except (TypeError, ValueError) as error:
        raise UsageError(f"model {name_or_file}: {error}") from None


def _suggestion(name: str) -> str:
    listed = f"Models: {', '.join(MODELS)}; or give a .toml file with the keys of ModelSettings"
    close = difflib.get_close_matches(name.lower(), MODELS, n=1)
    return f"Did you mean {close[0]}? {listed}" if close else listed


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError("there is no such file", path=path) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"not a readable TOML file: {error}", path=path) from None
