from pathlib import Path

import pytest

from lmprep.errors import UsageError
from lmprep.models.settings import MODELS, ModelSettings, model_settings
from lmprep.settings import settings_from


def test_the_defaults_are_berts() -> None:
    named = model_settings("bert-mini", vocabulary_size=9)

    assert named == ModelSettings(layers=4, width=256, heads=4, vocabulary_size=9)
    assert (named.head_width, named.feed_forward) == (64, 1024)


@pytest.mark.parametrize("name", MODELS)
def test_a_shape_survives_its_plain_form(name: str) -> None:
    settings = model_settings(name, vocabulary_size=1000)

    assert settings_from(ModelSettings, settings.as_dict()) == settings


def test_the_shape_that_early_runs_recorded_is_still_a_bert() -> None:
    recorded = {
        "layers": 2, "width": 128, "heads": 2, "vocabulary_size": 9, "feed_forward": 512,
        "max_length": 512, "types": 2, "dropout": 0.1, "attention_dropout": 0.1,
    }  # fmt: skip

    expected = model_settings("bert-tiny", vocabulary_size=9)
    assert settings_from(ModelSettings, recorded) == expected


def test_changes_win() -> None:
    assert model_settings("bert-tiny", vocabulary_size=9, dropout=0.0).dropout == 0.0


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"'bert-min'.*Did you mean bert-mini\?.*bert-large"):
        model_settings("bert-min", vocabulary_size=1000)


def test_a_file_gives_the_shape(tmp_path: Path) -> None:
    path = tmp_path / "model.toml"
    path.write_text("layers = 3\nwidth = 96\nheads = 3\nfeed_forward = 200\nmax_length = 64\n")

    assert model_settings(str(path), vocabulary_size=77) == ModelSettings(
        layers=3, width=96, heads=3, feed_forward=200, max_length=64, vocabulary_size=77
    )


def test_a_file_may_start_from_a_named_model(tmp_path: Path) -> None:
    path = tmp_path / "model.toml"
    path.write_text('base = "t5-tiny"\nlayers = 3\n')

    expected = model_settings("t5-tiny", vocabulary_size=77, layers=3)
    assert model_settings(str(path), vocabulary_size=77) == expected


def test_embeddings_are_as_wide_as_the_model_unless_told_otherwise() -> None:
    bert = model_settings("bert-tiny", vocabulary_size=9)
    albert = model_settings("albert-base", vocabulary_size=9)

    assert (bert.embedding_width, bert.factorised) == (128, False)
    assert (albert.embedding_width, albert.factorised) == (128, True)


@pytest.mark.parametrize(
    ("size", "multiple", "rows"), [(97, 64, 128), (128, 64, 128), (129, 64, 192), (97, 1, 97)]
)
def test_a_vocabularys_rows_are_rounded_up(size: int, multiple: int, rows: int) -> None:
    shape = {"vocabulary_size": size, "vocabulary_multiple": multiple}

    assert ModelSettings(layers=1, width=8, heads=2, **shape).vocabulary_rows == rows


def test_only_learned_positions_limit_the_length() -> None:
    assert model_settings("gpt2-tiny", vocabulary_size=9).length_limit == 1024
    assert model_settings("t5-tiny", vocabulary_size=9).length_limit is None
    for positions in ("sinusoidal", "rotary"):
        settings = model_settings("gpt2-tiny", vocabulary_size=9, positions=positions)
        assert settings.length_limit is None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("layers = 3\nwidth = 96\nheads = 5", "width 96 is not a multiple of 5 heads"),
        ("layers = 3\nwidth = 96", "heads"),
        ("layers = 3\nwidth = 96\nheads = 3\nbiases = true", "unknown setting 'biases'"),
        ("layers = 3\nwidth = 96\nheads = 3\nvocabulary_size = 76", "76 is below the tokenizer's"),
        ("layers = 0\nwidth = 96\nheads = 3", "layers 0 must be at least 1"),
        ("layers = 3\nwidth = 96\nheads = 3\ndropout = 1", "dropout 1 must be from 0 to below 1"),
        ('base = "t5-mii"', "there is no model 't5-mii'.*Did you mean t5-mini"),
        ('base = "bert-tiny"\nkind = "encodr"', "kind is 'encodr'; it must be one of encoder"),
        ('base = "bert-tiny"\nnorm = "batch"', "norm is 'batch'; it must be one of layer, rms"),
        ('base = "bert-tiny"\nnorm_place = "mid"', "norm_place is 'mid'"),
        ('base = "bert-tiny"\nactivation = "silu"', "activation is 'silu'.* gated-gelu"),
        ('base = "bert-tiny"\npositions = "alibi"', "positions is 'alibi'.* rotary, relative"),
        ('base = "bert-tiny"\ninitialization = "zero"', "initialization is 'zero'"),
        ('base = "bert-tiny"\noutput = "separate"', "output 'separate' is not for an encoder"),
        ('base = "gpt2-tiny"\noutput = "none"', "output is 'none'; it must be one of tied"),
        ('base = "gpt2-tiny"\nspan_boundary = 9', "span_boundary 9 needs kind 'encoder'"),
        ('base = "bert-tiny"\nspan_boundary = -1', "span_boundary -1 must be at least 0"),
        ('base = "bert-tiny"\nhead_width = -1', "head_width -1 must be at least 1"),
        ('base = "bert-tiny"\nembedding_width = -1', "embedding_width -1 must be at least 1"),
        ('base = "bert-tiny"\nshared_layers = 1', "shared_layers is 1, not true or false"),
        ('base = "bert-tiny"\npooler = "yes"', "pooler is 'yes', not true or false"),
        (
            'base = "bert-tiny"\nvocabulary_multiple = 0',
            "vocabulary_multiple 0 must be at least 1",
        ),
        (
            'base = "bert-tiny"\npositions = "rotary"\nhead_width = 7',
            "head_width 7 must be even with rotary positions, such as 8",
        ),
        (
            'base = "bert-tiny"\npositions = "sinusoidal"\nembedding_width = 33',
            "embedding_width 33 must be even with sinusoidal positions, such as 34",
        ),
        ('base = "bert-tiny"\nheads = 0', "heads 0 must be at least 1"),
        ('base = "bert-tiny"\ntypes = -1', "types -1 must be at least 0"),
        ('base = "bert-tiny"\nposition_offset = -2', "position_offset -2 must be at least 0"),
        ('base = "bert-tiny"\nmax_length = 4', "max_length 4 must be at least 8"),
        ('base = "bert-tiny"\nnorm_epsilon = 0.0', "norm_epsilon 0.0 must be above 0"),
        ('base = "bert-tiny"\nbias = 1', "bias is 1, not true or false"),
        ("layers == 3", "not a readable TOML file"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "model.toml"
    path.write_text(content)

    with pytest.raises(UsageError, match=complaint):
        model_settings(str(path), vocabulary_size=77)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        model_settings(str(tmp_path / "model.toml"), vocabulary_size=77)
