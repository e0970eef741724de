"""`lmprep evaluate` on texts, pairs and words."""

from __future__ import annotations

import json

from tests.probing.test_likelihood import write_pairs
from tests.probing.test_senses import senses_file


def test_everything_is_asked_in_one_command(model_folder, run, tmp_path):
    (tmp_path / "t.txt").write_text("the boat\n\na night\nbees\n")
    write_pairs(tmp_path / "p.jsonl", [("the boat", "boat the", "order")] * 2)
    senses_file(tmp_path / "s.tsv")
    (tmp_path / "w.txt").write_text("a b 3\na e 7\nb e 2\n")
    flags = ("--text", "t.txt", "--minimal-pairs", "p.jsonl", "--senses", "s.tsv",
             "--similarity", "w.txt", "--most", 2)  # fmt: skip
    told = run("evaluate", model_folder("bert"), *flags, "--json")
    shown = run("evaluate", model_folder("bert"), *flags)

    assert told.code == shown.code == 0, told.err + shown.err
    found = {one["kind"]: one for one in json.loads(told.out)}
    assert list(found) == ["pseudo-perplexity", "minimal pairs", "senses", "similarity"]
    assert found["pseudo-perplexity"]["texts"] == 2
    assert f"{found['senses']['contextual']['auc']:.4f}" in shown.out
    assert "t.txt by" in shown.out


def test_the_uses_of_a_word_are_drawn(model_folder, run, tmp_path):
    senses_file(tmp_path / "s.tsv")
    ended = run("evaluate", model_folder("bert"), "--senses", "s.tsv", "--word", "bank",
                "--plot", "b.svg")  # fmt: skip

    assert ended.code == 0, ended.err
    assert "<svg" in (tmp_path / "b.svg").read_text()


def test_nothing_to_ask_and_half_a_picture_are_wrong_use(model_folder, run, tmp_path):
    senses_file(tmp_path / "s.tsv")
    nothing = run("evaluate", model_folder("bert"))
    half = run("evaluate", model_folder("bert"), "--senses", "s.tsv", "--word", "bank")
    idle = run("evaluate", model_folder("bert"), "--text", "none.txt")

    assert nothing.code == half.code == idle.code == 2
    assert "Missing argument 'OUT...', or something to ask" in nothing.err
    assert "--word and --plot go together" in half.err
    assert "none.txt" in idle.err
