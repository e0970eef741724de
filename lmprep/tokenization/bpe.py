"""BPE vocabularies: an alphabet and a ranked list of merges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models
from tokenizers.pre_tokenizers import ByteLevel

from lmprep.settings import VocabSettings
from lmprep.tokenization.alphabet import learn_alphabet, number_characters
from lmprep.tokenization.counts import WordCounts
from lmprep.tokenization.families import TABLE, front_tokens, pieces_that_fit, special_tokens
from lmprep.tokenization.merges import PairQueue

Merge = tuple[str, str]


def learn_bpe(counted: WordCounts, settings: VocabSettings, tokenizer: Tokenizer) -> None:
    """Give `tokenizer` a BPE model of `settings.size`, special tokens counted.

    Byte-level vocabularies know all 256 bytes and need no unknown token; the others know the
    characters of `learn_alphabet`, and a run of other characters is one unknown token.
    """
    byte_level = settings.algorithm == "byte-bpe"
    alphabet = _bytes_alphabet() if byte_level else learn_alphabet(counted, settings.size)
    size = pieces_that_fit(settings, len(alphabet))
    codes, offsets = counted.characters()
    queue = PairQueue(number_characters(codes, alphabet), offsets, counted.counts)
    pieces, merges = merge_pieces(queue, [chr(c) for c in alphabet], size, special_tokens(settings))
    unknown = None if byte_level else TABLE[settings.family].roles["unk"]
    vocabulary = {t: i for i, t in enumerate((*front_tokens(settings), *pieces))}
    tokenizer.model = models.BPE(vocabulary, merges, unk_token=unknown, fuse_unk=not byte_level)


def merge_pieces(
    queue: PairQueue,
    alphabet: list[str],
    size: int,
    forbidden: tuple[str, ...],
    prefix: str = "",
) -> tuple[list[str], list[Merge]]:
    """Merge the most frequent pairs until there are `size` pieces, or no pair is left.

    Args:
        queue: its symbols are places in `alphabet`.
        alphabet: the pieces to start from.
        size: number of pieces wanted, `alphabet` counted.
        forbidden: pieces that must not come about: special tokens, that no text may lead to.
        prefix: what every piece but a word's first begins with; a merge drops it in between.

    Returns:
        The pieces, `alphabet` first, and the merges by rank. Two merges may give the same piece.
    """
    pieces = list(alphabet)
    numbers = {piece: i for i, piece in enumerate(pieces)}
    merges: dict[Merge, None] = {}
    while len(pieces) < size and (pair := queue.pop()):
        left, right = (pieces[i] for i in pair)
        joined = left + right[len(prefix) :]
        if joined in forbidden:
            continue
        number = numbers.setdefault(joined, len(pieces))
        if number == len(pieces):
            pieces.append(joined)
        merges[left, right] = None
        queue.join(*pair, number)
    return pieces, list(merges)


def _bytes_alphabet() -> NDArray[np.uint32]:
    """The 256 characters that stand for bytes, as code points, ascending."""
    return np.sort(np.array([ord(c) for c in ByteLevel.alphabet()], np.uint32))
