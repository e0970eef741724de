"""Sequences of words for masked objectives, and what all of those objectives must keep."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import numpy as np
from hypothesis import strategies as st

from lmprep.objective_settings import FORMS
from lmprep.objectives import OBJECTIVES
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary
from tests.strategies import BERT, keys_of, sequences_of

LARGE = Vocabulary(
    family="bert", size=1000, special=(0, 1, 2, 3, 4), pad=0, unk=1, cls=2, sep=3, mask=4
)
WORDED = ("whole-word", "ngram", "span")
MASKED = ("mlm", *WORDED, "infoword")

rates = st.fractions("1/100", 1, max_denominator=100)


@st.composite
def worded(draw, vocabulary=BERT, min_rows=1):
    """Sequences of 1 to 8 rows, any id and any word start anywhere; special tokens start words."""
    token = st.tuples(st.integers(0, vocabulary.size - 1), st.booleans())
    rows = draw(st.lists(st.lists(token, max_size=30), min_size=min_rows, max_size=8))
    sequences = sequences_of([[i for i, _ in row] for row in rows], vocabulary)
    starts = np.array([start for row in rows for _, start in row], np.bool_)
    return replace(sequences, word_start=starts | ~sequences.maskable)


@st.composite
def settings_for(draw, name):
    """Settings of an objective: any rate, any law of lengths."""
    settings = {"mask_rate": draw(rates)}
    if name in ("ngram", "infoword"):
        settings["ngram_max"] = draw(st.integers(1, 6))
    if name == "span":
        settings["span_p"] = draw(st.fractions("1/20", "19/20", max_denominator=20))
        settings["span_max"] = draw(st.integers(1, 12))
    return FORMS[name].settings(**settings)


def of_words(rows, vocabulary=BERT):
    """Sequences from rows of words; a word is a list of ids, a special token an id."""
    tokens = [[[w] if isinstance(w, int) else w for w in row] for row in rows]
    ids = [list(itertools.chain(*row)) for row in tokens]
    starts = [i == 0 for row in tokens for word in row for i in range(len(word))]
    return replace(sequences_of(ids, vocabulary), word_start=np.array(starts, np.bool_))


def repeated(row, rows, vocabulary=BERT):
    """So many times the same row of words."""
    one = of_words([row], vocabulary)
    tiled = {name: np.tile(getattr(one, name), rows) for name in ("ids", "word_start", "maskable")}
    return replace(
        one,
        **tiled,
        offsets=np.arange(rows + 1) * len(one.ids),
        document=np.arange(rows),
        first_sentence=np.zeros(rows, np.int32),
    )


def words_in(sequences):
    """Each row's words as (first, end) positions, with the number of the run they stand in."""
    found = []
    for row in range(len(sequences)):
        start, stop = sequences.offsets[row], sequences.offsets[row + 1]
        words, run = [], 0
        for t in range(stop - start):
            if not sequences.maskable[start + t]:
                run += 1
            elif t == 0 or sequences.word_start[start + t] or not sequences.maskable[start + t - 1]:
                words.append((t, t + 1, run))
            else:
                words[-1] = (words[-1][0], t + 1, run)
        found.append(words)
    return found


def corrupted(name, sequences, settings=None, vocabulary=BERT, seed=0):
    """The columns of an objective as they are stored, provenance included."""
    settings = settings or FORMS[name].settings()
    columns = OBJECTIVES[name].corrupt(
        sequences, settings, vocabulary, keys_of(len(sequences), seed)
    )
    return {**columns, **sequences.provenance()}


def lists(columns, name):
    return [row.tolist() for row in columns[name]]


def flat_positions(columns):
    """Where the masked tokens lie among all tokens."""
    positions, ids = columns["masked_positions"], columns["input_ids"]
    return positions.values + np.repeat(ids.offsets[:-1], positions.lengths)


def same(a, b):
    if isinstance(a, Ragged):
        return np.array_equal(a.values, b.values) and np.array_equal(a.offsets, b.offsets)
    return np.array_equal(a, b) and (a is None or a.dtype == b.dtype)


def check_objective(name, sequences, settings, vocabulary=BERT, seed=0):
    """What every objective must keep, whatever it does: returns its columns."""
    objective, keys = OBJECTIVES[name], keys_of(len(sequences), seed)
    before = {f.name: _copy(getattr(sequences, f.name)) for f in fields(sequences)}
    columns = objective.corrupt(sequences, settings, vocabulary, keys)
    again = objective.corrupt(sequences, settings, vocabulary, keys)
    restored = objective.restore({**columns, **sequences.provenance()}, settings, vocabulary)

    # Inputs unchanged; the same key, the same bytes.
    assert all(same(before[name], getattr(sequences, name)) for name in before)
    assert all(same(columns[name], again[name]) for name in columns)
    assert not set(columns) & set(sequences.provenance())
    # Undoing it gives the row back.
    lost = set() if "word_start" in columns else {"word_start"}
    assert all(same(before[name], getattr(restored, name)) for name in set(before) - lost)
    # A row depends on itself and its key only.
    for row in range(len(sequences)):
        alone = objective.corrupt(
            _one_row(sequences, row), settings, vocabulary, keys[row : row + 1]
        )
        assert all(lists(alone, name)[0] == lists(columns, name)[row] for name in columns)
    return columns


def check_masked(name, sequences, settings, vocabulary=BERT, seed=0):
    """What every masked objective must keep beside that: returns its columns."""
    columns = check_objective(name, sequences, settings, vocabulary, seed)
    positions, labels, ids = (
        columns[c] for c in ("masked_positions", "masked_labels", "input_ids")
    )
    places = flat_positions(columns)
    untouched = np.ones(len(sequences.ids), np.bool_)
    untouched[places] = False

    assert {c.values.dtype for c in (positions, labels, ids)} == {np.dtype(np.int32)}
    assert all(np.all(np.diff(row) > 0) for row in positions)
    assert same(positions.offsets, labels.offsets)
    assert np.all(sequences.maskable[places])
    assert np.array_equal(ids.values[untouched], sequences.ids[untouched])
    assert np.array_equal(labels.values, sequences.ids[places])
    replaced = ids.values[places][ids.values[places] != labels.values]
    assert np.all(np.isin(replaced, [vocabulary.mask, *vocabulary.replacements]))
    assert OBJECTIVES[name].scored(columns) == len(places)
    return columns


def wanted(settings, length):
    """k before the row's maskable tokens limit it. Python rounds fractions half to even."""
    return max(1, round(settings.mask_rate * length))


def _copy(column):
    if column is None:
        return None
    if isinstance(column, Ragged):
        return Ragged(column.values.copy(), column.offsets.copy())
    return column.copy()


def _one_row(sequences, row):
    part = slice(sequences.offsets[row], sequences.offsets[row + 1])
    cut = {name: getattr(sequences, name)[part] for name in ("ids", "word_start", "maskable")}
    return replace(
        sequences_of([[]]), **cut, offsets=np.array([0, part.stop - part.start], np.int64)
    )
