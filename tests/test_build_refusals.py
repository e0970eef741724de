"""What cannot be built is refused before any work, with the setting and a value that would do."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmprep.build_settings import BuildSettings
from lmprep.engines import job
from lmprep.errors import UsageError
from lmprep.objective_settings import FORMS
from lmprep.objectives import OBJECTIVES
from lmprep.settings import FAMILIES
from tests.corpora import make_tokenizer, write_corpus

COMMANDS = {
    "bert": "--algorithm wordpiece --size",
    "roberta": "--algorithm byte-bpe --family roberta --size",
    "gpt2": "--algorithm byte-bpe --family gpt2 --size",
    "t5": "--algorithm unigram --size",
    "ul2": "--algorithm unigram --family ul2 --size",
}
UNFIT = [
    (objective, family)
    for objective in FORMS
    for family in FAMILIES
    if family not in FORMS[objective].families
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.txt", documents=20)


@pytest.fixture(scope="module")
def tokenizers(corpus) -> dict[str, Path]:
    """A vocabulary of each family."""
    return {
        family: make_tokenizer(corpus, corpus.parent / family, family=family) for family in FAMILIES
    }


def refusal(inputs, tokenizer, out, **options) -> str:
    """The message; nothing has been written by then."""
    settings = BuildSettings.from_options(options)
    with pytest.raises(UsageError) as caught:
        job.make_plan([str(path) for path in inputs], str(tokenizer), out, settings)
    assert not out.exists()
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(("objective", "family"), UNFIT)
def test_a_vocabulary_of_another_family_is_refused_with_the_command_for_one_that_fits(
    corpus, tokenizers, tmp_path, objective, family
):
    message = refusal([corpus], tokenizers[family], tmp_path / "out", objective=objective)
    fitting = FORMS[objective].families

    assert f"{objective} needs a vocabulary of family {' or '.join(fitting)}, not {family}" in (
        message
    )
    assert f"lmprep vocab CORPUS -o TOK {COMMANDS[fitting[0]]}" in message


@pytest.mark.parametrize("family", FAMILIES)
def test_the_commands_make_vocabularies_of_their_families(family):
    from lmprep.settings import VocabSettings

    words = COMMANDS[family].split()
    options = {k.removeprefix("--"): v for k, v in zip(words[::2], words[1::2], strict=False)}

    assert VocabSettings(size=30_000, **options).family == family


def test_a_vocabulary_without_a_role_is_refused_with_the_command_for_its_own_family(
    corpus, tokenizers, tmp_path, monkeypatch
):
    import dataclasses

    from lmprep.tokenization import folder

    real = folder.load

    def load(*arguments):
        found = real(*arguments)
        bare = dataclasses.replace(found.vocabulary, mask=None)
        return dataclasses.replace(found, vocabulary=bare)

    monkeypatch.setattr(folder, "load", load)
    message = refusal([corpus], tokenizers["roberta"], tmp_path / "out", objective="mlm")

    assert "mlm needs a mask token" in message
    assert COMMANDS["roberta"] in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "clm", "pairs": "nsp"}, "clm does not take pairs nsp; pairs none would do"),
        ({"objective": "electra", "sequences": "packed"}, "electra does not take packed"),
        ({"objective": "skipgram", "sequences": "packed"}, "skipgram does not take packed"),
        ({"objective": "bart", "pairs": "sop"}, "bart does not take pairs sop; pairs none would"),
    ],
)
def test_settings_at_fault_do_not_blame_the_vocabulary(
    corpus, tokenizers, tmp_path, options, message
):
    tokenizer = tokenizers[FORMS[options["objective"]].families[0]]
    found = refusal([corpus], tokenizer, tmp_path / "out", **options)

    assert message in found
    assert "lmprep vocab" not in found


@pytest.mark.parametrize("pairs", ["nsp", "sop"])
def test_pairs_of_documents_of_one_line_are_refused(corpus, tokenizers, tmp_path, pairs):
    options = {"pairs": pairs, "documents": "line"}
    for sentences in ({}, {"sentences": "line"}):
        message = refusal([corpus], tokenizers["bert"], tmp_path / "out", **options, **sentences)
        assert f"--pairs {pairs} needs documents of several sentences" in message
        assert "--sentences icu" in message
    plan_of([corpus], tokenizers["bert"], tmp_path / "out", **options, sentences="icu")
    records = corpus.with_suffix(".jsonl")
    records.write_text('{"text": "Ba. Ke."}\n')
    plan_of([records], tokenizers["bert"], tmp_path / "out", pairs=pairs)


def plan_of(inputs, tokenizer, out, **options):
    settings = BuildSettings.from_options(options)
    return job.make_plan([str(path) for path in inputs], str(tokenizer), out, settings)


@pytest.mark.parametrize(
    ("options", "files", "message"),
    [
        ({"pairs": "nsp"}, 1, "--pairs nsp needs 2 documents at least"),
        ({"valid": "10%"}, 3, "--valid needs 4 documents at least"),
        ({"pairs": "nsp", "valid": "10%"}, 3, "--valid needs 4 documents at least"),
    ],
)
def test_a_document_a_file_and_too_few_files_is_refused(
    tokenizers, tmp_path, options, files, message
):
    paths = [tmp_path / f"{n}.txt" for n in range(files + 1)]
    for path in paths:
        path.write_text("Ba ke.\nLo mi.\n")
    options = {"documents": "file", **options}
    found = refusal(paths[:files], tokenizers["bert"], tmp_path / "out", **options)

    assert f"{message}: with --documents file there are {files}" in found
    plan_of(paths, tokenizers["bert"], tmp_path / "out", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lenght": 64}, "unknown setting 'lenght'"),
        ({"length": 4}, "length 4 must be from 8"),
        ({"mask_rate": "0"}, "mask_rate"),
        ({"mask_rate": "1.5"}, "rate 1.5 is not between 0 and 1"),
        ({"mask_share": "0.8", "random_share": "0.3"}, "add up to at most 1"),
        ({"pairs": "both"}, "pairs is 'both'"),
        ({"copies": 0}, "copies 0"),
        ({"copies": 1.5}, "copies is 1.5, not a whole number"),
        ({"length": "long"}, "length is 'long', not a whole number"),
        ({"keep_order": "no"}, "keep_order is 'no', not true or false"),
        ({"pairs": "nsp", "sequences": "packed"}, "packed does not go with pairs nsp"),
        ({"sequences": "packed", "short_sequence_probability": "0.5"}, "does not apply to packed"),
        ({"mask_share": "0.33333333", "random_share": "1/3000001"}, "too many decimals"),
        ({"partition_size": "100GB"}, "from 1kB to 1GB"),
        ({"valid": "60%"}, "valid 0.6"),
        ({"partition_size": "64 parsecs"}, "is not a size"),
        ({"seed": -1}, "seed -1"),
        ({"pairs": "nsp", "sentences": "none"}, "pairs nsp .* sentences line or icu would do"),
        ({"pairs": "sop", "sentences": "none"}, "pairs sop .* sentences line or icu would do"),
        ({"objective": "cooccurrence", "keep_order": True}, "keep_order does not apply"),
        (
            {"objective": "cooccurrence", "short_sequence_probability": "0.1"},
            "short_sequence_probability does not apply",
        ),
        ({"objective": "skipgram", "window": 0}, "window 0 must be from 1"),
        ({"objective": "skipgram", "negatives": 0}, "negatives 0 must be from 1"),
        ({"objective": "cooccurrence", "window": 101}, "window 101 must be from 1 to 100"),
    ],
)
def test_settings_check_themselves(options, message):
    with pytest.raises(ValueError, match=message):
        BuildSettings.from_options(options)


@pytest.mark.parametrize("objective", [n for n, row in OBJECTIVES.items() if not row.draws])
def test_copies_that_would_all_be_alike_are_refused(objective):
    with pytest.raises(ValueError, match=f"copies 2 .*{objective} draws nothing; copies 1 would"):
        BuildSettings.from_options({"objective": objective, "copies": 2})


def test_replacements_of_dense_electra_rows_are_drawn_so_copies_differ():
    BuildSettings.from_options({"objective": "electra", "copies": 2, "dense": True})


def test_sentences_none_is_for_windows():
    BuildSettings.from_options({"sentences": "none"})
