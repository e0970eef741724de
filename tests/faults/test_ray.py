"""Builds on a Ray cluster of three nodes: the bytes of one machine, also when nodes are killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmprep.shards.manifest import RECEIPTS
from tests.corpora import make_tokenizer, tree, write_corpus

pytest.importorskip("ray")

OBJECTIVES = {
    "mlm": ("bert", ["--pairs", "nsp", "--valid", "20%"]),
    "cooccurrence": ("bert", []),
    "clm": ("gpt2", []),
    "t5": ("t5", ["--copies", "2"]),
    "skipgram": ("bert", ["--subsample", "0.01"]),
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.txt", documents=60)


@pytest.fixture(scope="module")
def tokenizers(corpus) -> dict[str, Path]:
    folder = corpus.parent
    return {f: make_tokenizer(corpus, folder / f, family=f) for f in ("bert", "gpt2", "t5")}


@pytest.fixture(scope="module")
def cluster() -> Iterator[subprocess.Popen[str]]:
    """The process that holds the nodes; its first line was read into `address`."""
    script = Path(__file__).with_name("ray_nodes.py")
    process = subprocess.Popen(
        [sys.executable, script], stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True
    )
    process.address = process.stdout.readline().strip()  # type: ignore[attr-defined]
    yield process
    process.communicate()


def command(objective, corpus, tokenizer, out, *more) -> list[str]:
    given = ["-t", tokenizer, "-o", out, "--length", 48, "--partition-size", "1kB", *more]
    words = [sys.executable, "-m", "lmprep", "build", objective, corpus, *given]
    return [str(word) for word in words]


def on(cluster) -> dict[str, str]:
    return {**os.environ, "RAY_ADDRESS": cluster.address}


@pytest.mark.long
def test_a_cluster_leaves_the_bytes_of_one_machine(corpus, tokenizers, tmp_path, cluster):
    for objective, (family, options) in OBJECTIVES.items():
        trees = []
        for engine in ("local", "ray"):
            (tmp_path / engine / objective).mkdir(parents=True)
            out = tmp_path / engine / objective / "out"
            given = command(objective, corpus, tokenizers[family], out, *options)
            done = subprocess.run(
                [*given, "--engine", engine], env=on(cluster), capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            trees.append(tree(out.parent))
        assert sum(name.endswith(".arrow") for name in trees[0]) > (objective != "cooccurrence")
        assert trees[0] == trees[1], objective


def test_nodes_that_are_killed_are_made_up_for(corpus, tokenizers, tmp_path, cluster, request):
    (tmp_path / "whole").mkdir()
    whole = command("mlm", corpus, tokenizers["bert"], tmp_path / "whole" / "out")
    subprocess.run(whole, check=True, capture_output=True)
    for round in range(request.config.getoption("--rounds")):
        folder = tmp_path / f"round-{round}"
        folder.mkdir()
        given = command("mlm", corpus, tokenizers["bert"], folder / "out", "--engine", "ray")
        running = subprocess.Popen(given, env=on(cluster), stdout=-1, stderr=-1, text=True)
        receipts = folder / "out" / RECEIPTS
        while running.poll() is None and not any(receipts.glob("*.json")):
            time.sleep(0.01)
        cluster.stdin.write("kill\n")
        cluster.stdin.flush()
        assert cluster.stdout.readline() == "killed\n"
        _, errors = running.communicate(timeout=120)

        assert running.returncode == 0, errors
        assert tree(folder) == tree(tmp_path / "whole")


def test_an_error_of_a_task_is_the_error_of_the_command(tokenizers, tmp_path, cluster):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "Ba ke."}\n[]\n')
    given = command("mlm", bad, tokenizers["bert"], tmp_path / "out", "--engine", "ray")
    done = subprocess.run(given, env=on(cluster), capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert f"Error: {bad}:2: the record is a list, not an object." in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
