"""Words to the ids of their pieces, exactly as the models of the `tokenizers` library do it.

`piece_model` takes a tokenizer's model apart into flat arrays; `encode_word`, a kernel, encodes one
word with them, in work arrays from `scratch_for`. It knows nothing of normalizers and of how text
is cut into words.
"""

from lmprep.tokenization.pieces.arrays import NONE, PieceModel, Scratch, scratch_for
from lmprep.tokenization.pieces.encoding import encode_word
from lmprep.tokenization.pieces.model import NotCovered, piece_model

__all__ = [
    "NONE",
    "NotCovered",
    "PieceModel",
    "Scratch",
    "encode_word",
    "piece_model",
    "scratch_for",
]
