"""What does not go together is refused before any work, with what would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_runs import make_folders, settings_of, train

from lmprep.errors import UsageError
from lmprep.evaluation import evaluate
from lmprep.training.preparation import prepare
from tests.corpora import build_dataset, make_tokenizer

ENCODERS = "bert-tiny, bert-mini, bert-base, roberta-tiny"


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    """Folders named after objectives."""
    folder = tmp_path_factory.mktemp("fit")
    for objective in ("span", "clm", "t5", "bart"):
        (folder / objective).mkdir()
        make_folders(folder / objective, objective)
    return folder


@pytest.mark.parametrize(
    ("objective", "model", "needed", "fitting"),
    [
        ("span", "gpt2-tiny", "encoder, not decoder", ENCODERS),
        ("span", "t5-tiny", "encoder, not encoder-decoder", ENCODERS),
        ("clm", "bert-tiny", "decoder, not encoder", "gpt-tiny, gpt2-tiny"),
        ("t5", "gpt2-tiny", "encoder-decoder, not decoder", "t5-tiny, t5-base"),
        ("bart", "bert-base", "encoder-decoder, not encoder", "bart-tiny, bart-base"),
    ],
)
def test_a_model_of_another_kind_is_refused_with_those_that_fit(
    corpora, tmp_path, objective, model, needed, fitting
):
    with pytest.raises(UsageError) as info:
        train(corpora / objective, tmp_path / "run", model=model)

    assert f"the objective {objective} needs a model of kind {needed}" in str(info.value)
    named = str(info.value).split("These fit: ")[1].rstrip(".").split(", ")
    assert set(fitting.split(", ")) <= set(named)
    assert model not in named
    assert not (tmp_path / "run").exists()


def test_word_vectors_are_for_a_trainer_of_their_own(corpora, tmp_path):
    span = corpora / "span"
    dataset = build_dataset(
        span / "corpus.txt", span / "tok", tmp_path / "out", objective="cooccurrence", pairs="none"
    )

    with pytest.raises(UsageError, match=r"trains word vectors.*word2vec-base or glove-base"):
        prepare([dataset], settings_of(span))


def test_t5s_noises_do_not_mix(corpora, tmp_path):
    t5 = corpora / "t5"
    other = build_dataset(
        t5 / "corpus.txt", t5 / "tok", tmp_path / "other", objective="t5", noise="mass"
    )

    with pytest.raises(UsageError, match=r"other: its noise is mass, that of .* is random-spans"):
        prepare([t5 / "train", other], settings_of(t5))
    train(t5, tmp_path / "run", steps=1)
    with pytest.raises(UsageError, match="its noise is mass"):
        evaluate(tmp_path / "run", other)


def test_positions_must_hold_inputs_and_targets(corpora, tmp_path):
    t5, clm = corpora / "t5", corpora / "clm"
    dense = build_dataset(  # more than half of the text: the targets outgrow the inputs
        t5 / "corpus.txt", t5 / "tok", tmp_path / "dense", objective="t5", noise_density="0.7"
    )
    (tmp_path / "bart.toml").write_text('base = "bart-tiny"\nmax_length = 50\n')
    (tmp_path / "gpt.toml").write_text('base = "gpt2-tiny"\nmax_length = 40\n')

    with pytest.raises(UsageError, match=r"targets of \d+ tokens do not fit the model's 50 pos"):
        prepare([dense], settings_of(t5, model=str(tmp_path / "bart.toml")))
    with pytest.raises(UsageError, match="sequences of 48 tokens do not fit the model's 40 pos"):
        prepare([clm / "train"], settings_of(clm, model=str(tmp_path / "gpt.toml")))
    # Relative positions have no end.
    (tmp_path / "t5.toml").write_text('base = "t5-tiny"\nmax_length = 40\n')
    prepare([dense], settings_of(t5, model=str(tmp_path / "t5.toml")))


def test_a_span_dataset_gives_its_model_a_boundary_head_that_no_span_outgrows(corpora, tmp_path):
    span = corpora / "span"
    (tmp_path / "own.toml").write_text(f"{(span / 'model.toml').read_text()}span_boundary = 3\n")

    def prepared(**changes: object):
        return prepare([span / "train"], settings_of(span, **changes))

    usual = prepared()
    assert usual.model.span_boundary == 7  # 15 % of 48 tokens
    assert usual.stages.task.losses == ("token_loss", "pair_loss", "boundary_loss")
    own = prepared(model=str(tmp_path / "own.toml"))
    assert own.model.span_boundary == 3
    batches = [each.stages.all[0].data.step(0).batches[0] for each in (own, usual)]
    short, long = (batch.inputs.boundaries.offset_S for batch in batches)
    assert short.max() == 2
    assert long.max() > 2
    assert len(short) == (long < 3).sum()
    without = prepared(boundary_weight=0.0)
    assert without.model.span_boundary == 0
    assert without.stages.task.losses == ("token_loss", "pair_loss")
    assert without.stages.all[0].data.step(0).batches[0].inputs.boundaries is None


def test_packed_and_single_documents_are_kept_apart_in_one_batch(corpora, tmp_path):
    span = corpora / "span"
    packed, single = (
        build_dataset(
            span / "corpus.txt", span / "tok", tmp_path / kind, pairs="none", sequences=kind
        )
        for kind in ("packed", "document")
    )
    everything = 48 * 400
    settings = settings_of(span, batch_tokens=everything, packed=False)
    documents = {
        name: prepare(folders, settings).stages.all[0].data.step(0).batches[0].inputs.documents
        for name, folders in {"both": [single, packed], "single": [single]}.items()
    }

    assert documents["single"] is None
    offsets = documents["both"].offsets_S.numpy()
    runs = np.bincount(offsets[:-1] // 48)  # of each row, its padding among them
    assert runs.min() == 1
    assert runs.max() > 2


def test_a_vocabulary_without_padding_can_be_padded(corpora):
    tokenizer = make_tokenizer(corpora / "clm" / "corpus.txt", corpora / "gpt", family="gpt2")
    out = build_dataset(
        corpora / "clm" / "corpus.txt", tokenizer, corpora / "documents", objective="clm",
        sequences="document",
    )  # fmt: skip
    setup = prepare([out], settings_of(corpora / "clm", packed=False))
    batch = setup.stages.all[0].data.step(0).batches[0]

    assert batch.inputs.lengths_B.min() < 48
