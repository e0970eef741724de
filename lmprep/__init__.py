"""lmprep: from raw text to a pretrained, evaluated language model.

lmprep.load(OUT, copy=k)     rows of a dataset folder, stored or masked anew
lmprep.Collator(OUT)         rows -> padded tensors named as Hugging Face models want them
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmprep.dynamic import load
    from lmprep.shards.collate import Collator

__version__ = "0.1.0"
__all__ = ["Collator", "__version__", "load"]

# Found on first use: numpy, pyarrow and torch must not slow down `lmprep --help`.
_HOMES = {"load": "lmprep.dynamic", "Collator": "lmprep.shards.collate"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lmprep' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
