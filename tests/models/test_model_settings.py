from pathlib import Path

import pytest

from lmprep.errors import UsageError
from lmprep.models.settings import MODELS, ModelSettings, model_settings


@pytest.mark.parametrize("name", MODELS)
def test_every_name_gives_a_model_with_heads_of_64(name: str) -> None:
    settings = model_settings(name, vocabulary_size=1000)

    assert settings.width == 64 * settings.heads
    assert settings.feed_forward == 4 * settings.width


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


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("layers = 3\nwidth = 96\nheads = 5", "width 96 is not a multiple of 5 heads"),
        ("layers = 3\nwidth = 96", "heads"),
        ("layers = 3\nwidth = 96\nheads = 3\nbias = true", "unknown setting 'bias'"),
        ("layers = 3\nwidth = 96\nheads = 3\nvocabulary_size = 76", "76 is below the tokenizer's"),
        ("layers = 0\nwidth = 96\nheads = 3", "layers 0 must be at least 1"),
        ("layers = 3\nwidth = 96\nheads = 3\ndropout = 1", "dropout 1 must be from 0 to below 1"),
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
