"""The whole table: each objective with each kind of sequences, pairs and vocabulary it is offered.

A cell is built from a text to a finished dataset, or refused before any work by name.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lmprep.batches import Columns, Sequences
from lmprep.objective_settings import FORMS, NOISES
from lmprep.objectives import OBJECTIVES, UnfitVocabulary, check_fit, stored_objective
from lmprep.settings import FAMILIES, PAIRS, SEQUENCES, SequenceSettings
from lmprep.shards.reader import Dataset
from lmprep.vocabulary import Vocabulary
from tests.corpora import build_dataset, make_tokenizer, write_corpus

LENGTH = 48
KINDS = [(sequences, "none") for sequences in SEQUENCES]
KINDS += [("document", pairs) for pairs in PAIRS if pairs != "none"]
CELLS = [
    (objective, sequences, pairs, family)
    for objective in FORMS
    for sequences, pairs in KINDS
    for family in FAMILIES
]
# No role is missing, so that the table alone decides.
ROLES = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
LABELS = {"nsp": "next_sentence_label", "sop": "sentence_order_label"}


def takes(objective: str, sequences: str, pairs: str, family: str) -> bool:
    form = FORMS[objective]
    fits = pairs in form.pairs and (pairs != "none" or sequences in form.sequences)
    return fits and family in form.families


ALLOWED = [cell for cell in CELLS if takes(*cell)]
REFUSED = [cell for cell in CELLS if not takes(*cell)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.txt", documents=30)


@pytest.fixture(scope="module")
def tokenizers(corpus) -> dict[str, Path]:
    """A vocabulary of each family."""
    return {
        family: make_tokenizer(corpus, corpus.parent / family, family=family) for family in FAMILIES
    }


def own_tokens(sequences: Sequences) -> int:
    """Tokens of text in the sequences, text borrowed for negatives left out."""
    rows = np.repeat(np.arange(len(sequences)), np.diff(sequences.offsets))
    own = sequences.maskable.copy()
    if sequences.next_sentence_label is not None:
        places = np.arange(len(own)) - sequences.offsets[rows]
        second = places >= sequences.first_segment_length[rows]
        own &= ~(second & (sequences.next_sentence_label[rows] == 1))
    return int(own.sum())


def check_columns(columns: Columns, objective: str, sequences: str, pairs: str) -> None:
    """The columns of segments, labels and documents are there, and only where they belong."""
    frame, rows = OBJECTIVES[objective].frame, OBJECTIVES[objective].second_stage != "sums"
    packed = pairs == "none" and sequences == "packed" and frame != "bare"
    assert ("document_starts" in columns) == packed
    assert ("first_segment_length" in columns) == (pairs != "none" or frame == "segments")
    assert {name for name in LABELS.values() if name in columns} == {LABELS.get(pairs)} - {None}
    assert ("sentence_starts" in columns) == (objective == "bart")
    assert ("denoiser" in columns) == (objective == "ul2")
    assert {"document", "first_sentence"} <= set(columns) or not rows


def check_build(out: Path, objective: str, sequences: str, pairs: str) -> None:
    """A finished dataset with rows, of which every token of the text is in one or was counted."""
    dataset = Dataset(out)
    columns = dataset.rows(np.arange(len(dataset)))
    assert len(dataset) > 0
    check_columns(columns, objective, sequences, pairs)
    row, settings = stored_objective(dataset.manifest)
    if row.restore is not None:
        drops = dataset.manifest["drops"]
        lost = sum(count for reason, count in drops.items() if reason.endswith("_tokens"))
        restored = row.restore(columns, settings, dataset.vocabulary)
        assert own_tokens(restored) + lost == dataset.manifest["input_tokens"]
        assert lost == 0 or pairs != "none"


@pytest.mark.parametrize(("objective", "sequences", "pairs", "family"), ALLOWED)
def test_what_the_table_allows_is_built(
    corpus, tokenizers, tmp_path, objective, sequences, pairs, family
):
    out = build_dataset(
        corpus,
        tokenizers[family],
        tmp_path / "out",
        objective=objective,
        sequences=sequences,
        pairs=pairs,
        length=LENGTH,
    )

    check_build(out, objective, sequences, pairs)


@pytest.mark.parametrize("sequences", SEQUENCES)
@pytest.mark.parametrize("noise", NOISES)
def test_each_noise_of_t5_is_built(corpus, tokenizers, tmp_path, noise, sequences):
    out = build_dataset(
        corpus,
        tokenizers["t5"],
        tmp_path / "out",
        objective="t5",
        noise=noise,
        sequences=sequences,
        length=LENGTH,
    )

    check_build(out, "t5", sequences, "none")


@pytest.mark.parametrize(("objective", "sequences", "pairs", "family"), REFUSED)
def test_what_the_table_does_not_allow_is_refused_by_name(objective, sequences, pairs, family):
    form = FORMS[objective]
    vocabulary = Vocabulary(family=family, size=50, special=tuple(ROLES.values()), **ROLES)
    settings = SequenceSettings(length=LENGTH, sequences=sequences, pairs=pairs)

    with pytest.raises(ValueError, match=f"^{objective} ") as caught:
        check_fit(objective, form.settings(), settings, vocabulary)
    named = [
        (pairs not in form.pairs, f"pairs {pairs}", form.pairs),
        (sequences not in form.sequences and pairs == "none", sequences, form.sequences),
        (family not in form.families, family, form.families),
    ]
    what, would_do = next((what, fitting) for wrong, what, fitting in named if wrong)
    assert what in str(caught.value)
    assert " or ".join(would_do) in str(caught.value)


@pytest.mark.parametrize("objective", FORMS)
def test_a_vocabulary_without_a_needed_token_is_refused_by_the_token(objective):
    form, row = FORMS[objective], OBJECTIVES[objective]
    for role in row.needs:
        roles = {name: token for name, token in ROLES.items() if name != role}
        vocabulary = Vocabulary(family=form.families[0], size=50, special=(), **roles)
        settings = SequenceSettings(length=LENGTH, sequences=form.sequences[0])
        with pytest.raises(UnfitVocabulary, match=f"{objective} needs a {role} token"):
            check_fit(objective, form.settings(), settings, vocabulary)


@pytest.mark.parametrize("pairs", [pairs for pairs in PAIRS if pairs != "none"])
def test_pairs_are_never_packed(pairs):
    with pytest.raises(ValueError, match=f"sequences packed does not go with pairs {pairs}"):
        SequenceSettings(length=LENGTH, sequences="packed", pairs=pairs)


def test_every_form_is_an_objective():
    assert set(FORMS) == set(OBJECTIVES)
