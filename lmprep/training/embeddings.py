"""First embeddings from word vectors: what words are like is known before the training begins.

A token takes the vector of its word: `cat` of a WordPiece vocabulary, `Ġcat` of byte-level BPE or
`▁cat` of a Metaspace one that of `cat`. Pieces within words, and words without a vector, keep their
fresh ones. All vectors are scaled by one factor, so that together they have the root mean square of
the fresh embeddings whose places they take: those of word2vec are many times as large, and outputs
tied to them would begin far from even.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lmprep.errors import UsageError
from lmprep.models.language_model import LanguageModel
from lmprep.training.vector_files import read_vectors

_WORD_STARTS = ("Ġ", "▁")  # a space before the word, in byte-level BPE and in Metaspace
_log = logging.getLogger("lmprep")


class TokenVectors(NamedTuple):
    """Vectors for some tokens.

    Args:
        ids: int64 [N].
        vectors: float32 [N, E].
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]


def read_token_vectors(file: Path, tokenizer: Path, width: int) -> TokenVectors:
    """The vectors of those tokens that are words of a file.

    Args:
        file: word vectors as text, see `lmprep.training.vector_files`.
        tokenizer: a tokenizer folder.
        width: E, of the model's embeddings.

    Raises:
        UsageError: the file is none of word vectors, they have another width, or no token is among
            their words.
    """
    ids = token_words(tokenizer)
    words, vectors = read_vectors(file, ids)
    if vectors.shape[1] != width:
        raise UsageError(
            f"its vectors have {vectors.shape[1]} values, the model's embeddings {width}",
            path=file,
            fix="Train vectors of that width (--set width=N), or choose another model",
        )
    if not words:
        raise UsageError(
            "none of its words is a token of the datasets",
            path=file,
            fix="Give vectors of the same language, cased as the tokenizer is",
        )
    _log.info("%s: vectors for %d of %d words of the vocabulary.", file, len(words), len(ids))
    return TokenVectors(np.array([ids[word] for word in words]), vectors)


@torch.no_grad()
def put_embeddings(model: LanguageModel, found: TokenVectors) -> None:
    """Put vectors into the table of token embeddings of a model on CPU, its weights drawn."""
    tables = [p for name, p in model.named_parameters() if name.endswith("tokens.weight")]
    table, places = tables[0], torch.from_numpy(found.ids)
    vectors = torch.from_numpy(found.vectors)
    fresh, theirs = (each.square().mean().sqrt() for each in (table[places], vectors))
    table[places] = vectors * (fresh / theirs.clamp_min(1e-30))


def token_words(tokenizer: Path) -> dict[str, int]:
    """The words that are one token each, and their ids."""
    content = json.loads((tokenizer / "tokenizer.json").read_bytes())
    vocabulary = content["model"]["vocab"]
    if isinstance(vocabulary, list):  # Unigram: pieces with their scores
        vocabulary = {piece: number for number, (piece, _) in enumerate(vocabulary)}
    marked = [token for token in vocabulary if token.startswith(_WORD_STARTS)]
    prefix = content["model"].get("continuing_subword_prefix") or ""
    if marked:
        return {token[1:]: vocabulary[token] for token in marked if len(token) > 1}
    return {t: id for t, id in vocabulary.items() if not (prefix and t.startswith(prefix))}
