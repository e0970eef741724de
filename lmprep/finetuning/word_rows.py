"""Sentences of words as rows: which token is of which word, and long sentences in pieces.

A sentence that does not fit in a row is cut between words into pieces that do, which know nothing
of one another; a single word that does not fit loses its last sub-words. B rows, L positions,
W words, K scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lmprep.finetuning.rows import Batch, Int64s, Rows, ranges, rows_of, specials
from lmprep.finetuning.tokens import TextEncoder
from lmprep.ragged import Ragged, offsets_of

NO_WORD = -1


def word_rows(sentences: Sequence[Sequence[str]], encoder: TextEncoder, length: int) -> Rows:
    """Rows with the targets

    word_at       int64, ragged as the ids: the word of each token, counted from 0 in the row;
                  `NO_WORD` for special tokens
    first_token   int64, ragged by words: the place of a word's first token in the row
    first_word    int64 [N], the place of the row's first word in its sentence
    """
    ids, word_of_token = encoder.words(sentences)
    room = length - specials(encoder.vocabulary, pair=False)
    sentence, starts, counts, whole = _pieces(ids, word_of_token, room)
    flat = ranges(starts, counts)
    pieces = Ragged(ids.values[flat], offsets_of(counts))
    rows = rows_of(pieces, None, encoder.vocabulary, length)
    first_word = word_of_token[starts]
    word_in_row = word_of_token[flat] - np.repeat(first_word, counts)
    places = ranges(rows.ids.offsets[:-1] + rows.first_places, counts)
    word_at = np.full(len(rows.ids.values), NO_WORD, np.int64)
    word_at[places] = word_in_row
    begins = np.ones(len(flat), np.bool_)
    begins[1:] = word_in_row[1:] != word_in_row[:-1]
    begins[pieces.offsets[:-1]] = True
    row_of_token = np.repeat(np.arange(len(pieces)), counts)
    words = np.bincount(row_of_token[begins], minlength=len(pieces))
    first_token = places[begins] - rows.ids.offsets[row_of_token[begins]]
    notes = {
        f"sentences cut into pieces of {length} tokens": len(sentence) - len(sentences),
        f"words cut to {room} sub-words": int((counts < whole).sum()),
    }
    return replace(
        rows,
        examples=sentence,
        targets={
            "word_at": Ragged(word_at, rows.ids.offsets),
            "first_token": Ragged(first_token, offsets_of(words)),
            "first_word": first_word,
        },
        notes={name: count for name, count in notes.items() if count},
    )


def _pieces(ids: Ragged, word_of_token: Int64s, room: int) -> tuple[Int64s, Int64s, Int64s, Int64s]:
    """The sentence, first token, and kept and whole number of tokens of each piece."""
    fits = ids.lengths <= room
    sentence = [np.flatnonzero(fits)]
    starts = [ids.offsets[:-1][fits]]
    ends = [ids.offsets[1:][fits]]
    for number in np.flatnonzero(~fits):
        borders = _borders(word_of_token[ids.offsets[number] : ids.offsets[number + 1]], room)
        sentence.append(np.full(len(borders) - 1, number))
        starts.append(ids.offsets[number] + borders[:-1])
        ends.append(ids.offsets[number] + borders[1:])
    order = np.argsort(np.concatenate(starts), kind="stable")
    first, end = np.concatenate(starts)[order], np.concatenate(ends)[order]
    return np.concatenate(sentence)[order], first, np.minimum(end - first, room), end - first


def _borders(word_of_token: Int64s, room: int) -> Int64s:
    """Where to cut a sentence, both of its ends included: as late as fits, before a word."""
    begins = np.flatnonzero(np.diff(word_of_token, prepend=-1))
    ends = np.append(begins[1:], len(word_of_token))
    borders = [0]
    while borders[-1] < len(word_of_token):
        word = np.searchsorted(ends, borders[-1] + room, side="right") - 1
        next_word = np.searchsorted(ends, borders[-1], side="right")
        borders.append(int(ends[max(word, next_word)]))  # at least one word
    return np.array(borders)


def words_of(batch: Batch) -> Tensor:
    """Words in each row: int64 [B]."""
    return batch.tensor(batch.rows.targets["first_token"].lengths[batch.chosen])


def by_word(x_BLK: Tensor, batch: Batch, decide: str) -> Tensor:
    """From sub-words to words: [B, W, K].

    Args:
        decide: take the `first` sub-word's values, or the `mean` or `max` of all of them.
    """
    if decide == "first":
        first_BW = batch.padded("first_token", 0)
        return x_BLK.gather(1, first_BW[:, :, None].expand(-1, -1, x_BLK.shape[2]))
    words = int(words_of(batch).max())
    word_BL = batch.padded("word_at", NO_WORD)
    word_BL = word_BL.masked_fill(word_BL == NO_WORD, words)[:, : x_BLK.shape[1]]
    into = x_BLK.new_zeros(x_BLK.shape[0], words + 1, x_BLK.shape[2])
    how = {"mean": "mean", "max": "amax"}[decide]
    index_BLK = word_BL[:, :, None].expand_as(x_BLK)
    return into.scatter_reduce(1, index_BLK, x_BLK, how, include_self=False)[:, :words]


def inside_words(batch: Batch) -> Tensor:
    """Which places are words: bool [B, W]."""
    lengths_B = words_of(batch)
    return torch.arange(int(lengths_B.max()), device=lengths_B.device) < lengths_B[:, None]


def labels_by_row(rows: Rows, offsets: Int64s, labels: Int64s) -> Ragged:
    """Labels of words, given by sentence, as those of the rows.

    Args:
        offsets: int64 [S + 1], of the sentences, into the labels.
    """
    counts = rows.targets["first_token"].lengths
    starts = offsets[rows.examples] + rows.targets["first_word"]
    return Ragged(labels[ranges(starts, counts)], offsets_of(counts))
