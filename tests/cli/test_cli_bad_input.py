"""Bad input: one line that names the place, the fault and the fix; the right code; no debris."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Ended
from tests.corpora import build_dataset, make_tokenizer, write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("bad") / "corpus.txt")


@pytest.fixture(scope="module")
def tokenizer(corpus) -> Path:
    return make_tokenizer(corpus, corpus.parent / "tok")


def refused(ended: Ended, code: int, *words: str) -> None:
    """One line on stderr with these words, nothing on stdout, no traceback.

    On a slow machine progress may be told before it, and compiling.
    """
    slow = re.compile(r"Compiling |(vocab|build): [\d.]+ MB, ")
    lines = [line for line in ended.err.splitlines() if not slow.match(line)]
    assert ended.code == code, ended
    assert ended.out == ""
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("Error: ")
    for word in words:
        assert word in lines[0]


def test_a_missing_file(run, tokenizer):
    ended = run("build", "mlm", "nowhere.txt", "-t", tokenizer, "-o", "out")

    refused(ended, 2, "nowhere.txt")
    assert not Path("out").exists()


def test_a_glob_without_match(run, tokenizer):
    refused(run("build", "mlm", "texts/*.txt", "-t", tokenizer, "-o", "out"), 2, "texts/*.txt")


def test_a_missing_tokenizer(run, corpus):
    refused(run("build", "mlm", corpus, "-t", "tok", "-o", "out"), 2, "tok")


def test_a_gzip_cut_short(run, corpus, tokenizer):
    Path("cut.txt.gz").write_bytes(gzip.compress(corpus.read_bytes())[:-500])

    refused(run("build", "mlm", "cut.txt.gz", "-t", tokenizer, "-o", "out"), 1, "cut.txt.gz")
    assert not Path("out").exists()


def test_text_under_a_gzip_name(run, tokenizer):
    Path("plain.txt.gz").write_text("Ba ke lo.\n")

    refused(run("build", "mlm", "plain.txt.gz", "-t", tokenizer, "-o", "out"), 1, "plain.txt.gz")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_malformed_json_line(run, tokenizer, workers):
    good = json.dumps({"text": "Ba ke lo. Mi nu ra."})
    Path("bad.jsonl").write_text(f"{good}\n{good}\n{{'text': 1}}\n{good}\n")
    ended = run("build", "mlm", "bad.jsonl", "-t", tokenizer, "-o", "out", "--workers", workers)

    refused(ended, 1, "bad.jsonl:3: ")
    assert not Path("out").exists()


def test_a_missing_field_names_the_ones_there_are(run, tokenizer):
    Path("other.jsonl").write_text('{"id": 1, "body": "Ba."}\n')
    ended = run("build", "mlm", "other.jsonl", "-t", tokenizer, "-o", "out")

    refused(ended, 1, "other.jsonl:1: ", "body", "--text-field")


def test_invalid_utf8(run, tokenizer):
    Path("latin.txt").write_bytes(b"Ba ke.\nCaf\xe9 lo.\n")

    refused(run("build", "mlm", "latin.txt", "-t", tokenizer, "-o", "out"), 1, "latin.txt:2: ")


def test_what_is_malformed_can_be_left_out_and_is_counted(run, tokenizer):
    good = "".join(json.dumps({"text": f"Ba ke lo. Mi nu ra {i}."}) + "\n" for i in range(30))
    Path("bad.jsonl").write_bytes(good.encode() + b'[]\n{"text": "\xff"}\n{}\n')
    ended = run(
        "build", "mlm", "bad.jsonl", "-t", tokenizer, "-o", "out",
        "--on-error", "skip", "--encoding-errors", "skip",
    )  # fmt: skip
    manifest = json.loads(Path("out/manifest.json").read_text())

    assert ended.code == 0, ended.err
    assert manifest["drops"]["bad_records"] == 2
    assert manifest["drops"]["lines_not_utf8"] == 1
    assert "2 bad records were left out (line 31: the record is a list, not an obj" in ended.err
    assert "1 lines that are not UTF-8 were left out" in ended.err


def test_leaving_out_what_cannot_be_there_is_refused(run, corpus, tokenizer):
    ended = run("build", "mlm", corpus, "-t", tokenizer, "-o", "out", "--on-error", "skip")

    refused(ended, 2, "--on-error skip is for records", "--encoding-errors")


@pytest.mark.parametrize("command", ["vocab", "build"])
def test_an_empty_corpus(run, tokenizer, command):
    Path("empty.txt").write_text("\n\n")
    arguments = {
        "vocab": ("vocab", "empty.txt", "-o", "out", "--algorithm", "bpe", "--size", 300),
        "build": ("build", "mlm", "empty.txt", "-t", tokenizer, "-o", "out"),
    }

    refused(run(*arguments[command]), 1, "the corpus is empty", "empty.txt")
    assert not Path("out").exists()


def test_a_text_file_that_is_one_document_gets_a_warning(run, tokenizer):
    Path("one.txt").write_text("Ba ke lo mi nu.\n" * 1500)
    ended = run("build", "mlm", "one.txt", "-t", tokenizer, "-o", "out", "--workers", 1)
    warnings = [line for line in ended.err.splitlines() if line.startswith("Warning: ")]

    assert ended.code == 0
    assert len(warnings) == 1
    assert "one.txt" in warnings[0]
    assert "--documents line" in warnings[0]


@pytest.mark.parametrize("algorithm", ["wordpiece", "bpe", "byte-bpe", "unigram"])
def test_a_vocabulary_below_its_alphabet(run, corpus, algorithm):
    ended = run("vocab", corpus, "-o", "v", "--algorithm", algorithm, "--size", 12)

    refused(ended, 2, "size 12", "at least")
    assert not Path("v").exists()


def test_a_length_too_short(run, corpus, tokenizer):
    ended = run("build", "mlm", corpus, "-t", tokenizer, "-o", "out", "--length", 4)

    refused(ended, 2, "length 4", "8")


def test_an_output_folder_that_exists(run, corpus, tokenizer, tmp_path):
    build_dataset(corpus, tokenizer, tmp_path / "out")
    command = ("build", "mlm", corpus, "-t", tokenizer, "-o", "out")

    refused(run(*command), 2, "out: ", "--resume", "--force")
    refused(run("vocab", corpus, "-o", "out", "--algorithm", "word", "--size", 50), 2, "out: ")
    assert run(*command, "--resume", "--force").code == 2


@pytest.mark.parametrize("command", ["verify", "pretrain"])
def test_a_shard_cut_at_a_batch_boundary(run, corpus, tokenizer, tmp_path, command):
    out = build_dataset(corpus, tokenizer, tmp_path / "out")
    shard = next(iter(out.glob("data-*.arrow")))
    manifest = json.loads((out / "manifest.json").read_bytes())
    entry = next(e for e in manifest["shards"] if e["file"] == shard.name)
    shard.write_bytes(shard.read_bytes()[: entry["batch_offsets"][-1]])
    extra = ("-o", "run", "--model", "bert-tiny", "--steps", 1) if command == "pretrain" else ()
    ended = run(command, "out", *extra)

    assert ended.code == 1
    assert shard.name in ended.out + ended.err
    assert not Path("run").exists()


def test_a_flipped_bit_fails_verification(run, corpus, tokenizer, tmp_path):
    out = build_dataset(corpus, tokenizer, tmp_path / "out")
    shard = max(out.glob("data-*.arrow"), key=lambda path: path.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    ended = run("verify", "out")
    failed = [line for line in ended.out.splitlines() if "FAILED" in line]

    assert ended.code == 1
    assert any("sha256" in line and shard.name in line for line in failed)


def test_a_clean_dataset_passes_and_reports_json(run, corpus, tokenizer, tmp_path):
    build_dataset(corpus, tokenizer, tmp_path / "out")
    ended = run("verify", "out", "--json")
    checks = json.loads(ended.out)

    assert ended.code == 0
    assert len(checks) > 10
    assert all(check["passed"] for check in checks)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bild",), ("No such command", "bild")),
        (("build", "mlm", "x", "-t", "t", "-o", "o", "--lenght", "9"), ("--lenght", "--length")),
        (("build", "spam", "x", "-t", "t", "-o", "o"), ("'spam'", "did you mean span?")),
        (("build", "nonsense"), ("'nonsense'", "mlm, whole-word, ngram, span", "cooccurrence")),
        (("try", "mml", "-t", "t"), ("'mml'", "did you mean mlm?")),
        (("build", "mlm", "x", "-t", "t", "-o", "o", "--valid", "alot"), ("--valid", "alot")),
        (("vocab", "x", "-o", "o", "--algorithm", "bpe"), ("--size",)),
    ],
)
def test_wrong_usage_exits_with_2(run, arguments, words):
    ended = run(*arguments)

    assert ended.code == 2
    assert all(word in ended.err for word in words)
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ("[pretrain]\nmodle = 'bert-tiny'", ("modle", "model")),
        ("[pretrain]\nmodel = 'bert-tiny'", ("exactly one of steps",)),
        ("[vocab]\nsize = 100", ("algorithm is missing",)),
        ("[build]\nseed = 'x'", ("seed is 'x', not a whole number",)),
        ("[build]\nvalid = 0", ("valid is 0",)),
        ("[build]\nlength = 1024", ("1024 tokens", "512")),
        ("[pretrain]\nmodel = 'bert-tinny'\nsteps = 1", ("bert-tinny", "bert-tiny")),
        ("[pretrain]\nmodel = 'bert-tiny'\nsteps = 'many'", ("steps is 'many'",)),
        ("[pretrain]\nmodel = 'bert-tiny'\nsteps = 1\nstatic = 'no'", ("static is 'no'",)),
        ("[evaluate]\nx = 1", ("[evaluate]", "x")),
        ("[bild]\nx = 1", ("bild", "build")),
        ("[build]\nlength = 4", ("length 4",)),
        ("[build]\nsentences = 'line'", ("sentences", "[corpus]")),
        ("[build", ("not TOML",)),
    ],
)
def test_a_recipe_with_a_fault_is_refused_before_any_work(run, changes, words):
    tables = {
        "vocab": "[vocab]\nalgorithm = 'wordpiece'\nsize = 100",
        "pretrain": "[pretrain]\nmodel = 'bert-tiny'\nsteps = 1",
    }
    name = changes.strip("[").split("]")[0].split("\n")[0]
    tables[name] = changes
    Path("r.toml").write_text("\n".join(tables.values()))

    refused(run("run", "r.toml", "--corpus", "x.txt"), 2, *words)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--set", "pretrain"), ("table.key=value",)),
        (("--set", "pretrian.steps=1"), ("pretrian", "pretrain")),
        (("--corpus", "-"), ("stdin",)),
        ((), ("no corpus",)),
    ],
)
def test_flags_that_do_not_fit_a_recipe(run, flags, words):
    Path("r.toml").write_text(
        "[vocab]\nalgorithm = 'word'\nsize = 50\n[pretrain]\nmodel = 'bert-tiny'\nsteps = 1\n"
    )

    refused(run("run", "r.toml", *flags), 2, *words)
    assert not Path("runs").exists()


def test_a_budget_that_is_set_takes_the_place_of_the_recipes(tmp_path):
    from lmprep.recipe_file import load_recipe

    path = tmp_path / "r.toml"
    path.write_text(
        "corpus = { files = ['a.txt', '/b.txt'] }\nvocab = { algorithm = 'word', size = 50 }\n"
        "pretrain = { model = 'bert-tiny', steps = 9 }\n"
    )
    recipe = load_recipe(path, changes=["pretrain.time=1.5m", "build.length=64"])

    assert (recipe.pretrain.time, recipe.pretrain.steps) == (90, None)
    assert recipe.build.sequences.length == 64
    assert recipe.corpus == (str(tmp_path / "a.txt"), "/b.txt")
    assert load_recipe(path, corpus=["c.txt"]).corpus == ("c.txt",)


@pytest.mark.parametrize("command", ["verify", "pretrain", "evaluate"])
def test_a_dataset_that_is_not_there(run, command):
    arguments = {
        "verify": ("verify", "nowhere"),
        "pretrain": ("pretrain", "nowhere", "-o", "r", "--model", "bert-tiny", "--steps", 1),
        "evaluate": ("evaluate", "nowhere", "nowhere"),
    }

    refused(run(*arguments[command]), 2, "nowhere: ")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--algorithm", "bpe", "--cased"), ("cased",)),
        (("--algorithm", "bpe", "--sentinels", 7), ("sentinels",)),
        (("--algorithm", "bpe", "--criterion", "likelihood"), ("criterion", "wordpiece")),
        (("--algorithm", "bpe", "--family", "gpt2"), ("byte-bpe",)),
    ],
)
def test_flags_that_would_do_nothing_are_refused(run, corpus, flags, words):
    refused(run("vocab", corpus, "-o", "v", "--size", 200, *flags), 2, *words)


def test_the_current_folder_as_output_is_refused_in_one_line(run, corpus, tokenizer):
    Path("mine.txt").write_text("mine")

    refused(run("build", "mlm", corpus, "-t", tokenizer, "-o", "."), 2, "did not write")


def test_a_missing_recipe(run):
    refused(run("run", "nowhere.toml"), 2, "nowhere.toml")
