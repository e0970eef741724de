"""Settings that cannot work, as a shell sees it: exit code, one line with a way out, no debris."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmprep.settings import FAMILIES
from tests.corpora import make_tokenizer, write_corpus

ONE_SENTENCE = "Ba ke lo.\n\nMi nu ra.\n\nSo te vi.\n\nZu ba ke.\n"
ONE_DOCUMENT = "Ba ke lo.\nMi nu ra.\nSo te vi.\nZu ba ke.\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("refused")
    corpus = write_corpus(folder / "corpus.txt", documents=9)
    for family in FAMILIES:
        make_tokenizer(corpus, folder / family, family=family)
    return folder


def refused(lmprep, tmp_path, command: tuple[object, ...], code: int, *words: str) -> None:
    """The command ends with this code, says these words in one line, and leaves nothing behind."""
    before = sorted(tmp_path.iterdir())
    done = lmprep(*command)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]

    assert done.returncode == code
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in line
    assert sorted(tmp_path.iterdir()) == before


# The vocabularies of the tests have 30 sentinels.
@pytest.mark.parametrize(
    ("objective", "family", "flags", "words"),
    [
        pytest.param(
            "t5", "t5", ("--noise-density", "0.5"),
            ("noise_density 0.5", "length 512", "30", "--sentinels 128", "mean_span_length"),
            id="more spans than sentinels",
        ),
        pytest.param(
            "ul2", "ul2", (), ("X", "density 0.5", "30", "--sentinels 127", "weights"),
            id="more spans than sentinels in one denoiser",
        ),
        pytest.param("mlm", "bert", ("--length", 7), ("length 7", "from 8"), id="too short"),
        pytest.param("t5", "t5", ("--length", 7), ("length 7", "from 8"), id="too short for t5"),
        pytest.param(
            "mlm", "gpt2", (), ("bert or roberta", "not gpt2", "--algorithm wordpiece"),
            id="no mask token",
        ),
        pytest.param(
            "t5", "bert", (), ("t5 or ul2", "not bert", "--algorithm unigram"), id="no sentinels"
        ),
        pytest.param(
            "ul2", "t5", (), ("ul2", "not t5", "--family ul2"), id="no mode tokens"
        ),
        pytest.param(
            "bart", "bert", (), ("roberta", "not bert", "--family roberta"), id="no <s>"
        ),
        pytest.param(
            "mlm", "gpt2", ("--pairs", "nsp"), ("bert or roberta", "not gpt2"), id="pairs of gpt2"
        ),
        pytest.param("clm", "gpt2", ("--pairs", "nsp"), ("--pairs", "'none'"), id="pairs for clm"),
        pytest.param("t5", "t5", ("--pairs", "sop"), ("--pairs", "'none'"), id="pairs for t5"),
        pytest.param(
            "ul2", "ul2", ("--weights", "0,0,0,0,0,0,0"), ("weights", "1,1,1,1,1,1,1"),
            id="weights of nothing",
        ),
        pytest.param(
            "mlm", "bert", ("--pairs", "nsp", "--documents", "file"),
            ("--pairs nsp", "2 documents", "--documents blank"), id="one document a file",
        ),
        pytest.param(
            "mlm", "bert", ("--pairs", "sop", "--documents", "line"),
            ("--pairs sop", "several sentences", "--sentences icu"), id="one sentence a document",
        ),
        pytest.param(
            "mlm", "bert", ("--pairs", "sop", "--sentences", "none"),
            ("pairs sop", "sentences none", "line or icu"), id="no sentences",
        ),
        pytest.param(
            "mlm", "bert", ("--pairs", "nsp", "--sequences", "packed"),
            ("sequences packed", "pairs nsp", "document"), id="packed pairs",
        ),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused_before_any_work(
    lmprep, folder, tmp_path, objective, family, flags, words
):
    command = ("build", objective, folder / "corpus.txt", "-t", folder / family, "-o", "out")

    refused(lmprep, tmp_path, (*command, *flags), 2, *words)


@pytest.mark.parametrize(
    ("pairs", "text", "words"),
    [
        ("sop", ONE_SENTENCE, ("sop_one_sentence", "several sentences", "--pairs none")),
        ("nsp", ONE_DOCUMENT, ("nsp_single_document", "several documents", "--pairs none")),
    ],
)
def test_text_without_pairs_is_refused_once_it_was_read(
    lmprep, folder, tmp_path, pairs, text, words
):
    (tmp_path / "text.txt").write_text(text)
    command = ("build", "mlm", "text.txt", "-t", folder / "bert", "-o", "out", "--pairs", pairs)
    command += ("--workers", 1)

    refused(lmprep, tmp_path, command, 1, *words)
