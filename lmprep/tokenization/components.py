"""The parts of a tokenizer as tokenizer.json describes them, each without the rest.

The whole of tokenizer.json says the same, but most of it is the vocabulary: for a model of 30,000
pieces a hundred times the work of the normalizer's few lines.
"""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Tokenizer

Component = dict[str, Any]


def component(tokenizer: Tokenizer, name: str) -> Component | None:
    """`normalizer`, `pre_tokenizer`, `post_processor` or `decoder`; None where there is none."""
    part = getattr(tokenizer, name)
    return None if part is None else json.loads(part.__getstate__())


def model_of(tokenizer: Tokenizer) -> Component:
    """The model, with all its pieces. Slow where ids have large holes."""
    found: Component = json.loads(tokenizer.model.__getstate__())
    return found
