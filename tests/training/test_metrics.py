import json
import logging

import pytest

from lmprep.training.metrics import MetricsWriter, cut_metrics, read_metrics, scalars


def test_lines_beyond_the_checkpoint_and_a_torn_one_are_cut(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"step": step, "loss": 1.5}) for step in (4, 8, 12)]
    path.write_text("\n".join(lines) + '\n{"step": 1')
    kept = cut_metrics(tmp_path, 8)

    assert kept == read_metrics(tmp_path)
    assert [line["step"] for line in read_metrics(tmp_path)] == [4, 8]


def test_lines_go_on_after_the_cut(tmp_path):
    for start in (0, 2):
        cut_metrics(tmp_path, start)
        writer = MetricsWriter(tmp_path, start)
        for step in range(start + 1, start + 5):
            writer.write({"step": step, "loss": 1.0 * start, "validation": {"token_loss": 2.0}})
        writer.close()

    assert [(line["step"], line["loss"]) for line in read_metrics(tmp_path)] == [
        (1, 0.0),
        (2, 0.0),
        (3, 2.0),
        (4, 2.0),
        (5, 2.0),
        (6, 2.0),
    ]


def test_damaged_lines_go_with_one_warning(tmp_path, caplog):
    good = [json.dumps({"step": step}) for step in (1, 2)]
    bad = ['{"step": ', '{"loss": 1.0}', "[3]", "\x00\x00"]
    (tmp_path / "metrics.jsonl").write_text("\n".join([good[0], *bad, good[1]]) + "\n")
    with caplog.at_level(logging.WARNING, "lmprep"):
        kept = cut_metrics(tmp_path, 9)

    assert kept == read_metrics(tmp_path) == [{"step": 1}, {"step": 2}]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'metrics.jsonl'}: 4 damaged line(s) left out."
    ]


def test_only_numbers_that_json_has_are_written(tmp_path):
    writer = MetricsWriter(tmp_path, 0)
    with pytest.raises(ValueError, match="JSON compliant"):
        writer.write({"step": 1, "loss": float("nan")})
    writer.close()


def test_tensorboard_shows_numbers_in_groups_and_leaves_words_out():
    line = {
        "step": 9, "tokens": 90, "loss": 2.0, "pair_loss": 0.7, "grad_norm": 1.0, "lr": 1e-4,
        "tokens_per_second": 5.0, "utilisation": 0.4, "stage": "128 tokens", "skipped": 1,
    }  # fmt: skip
    assert scalars(line) == {
        "schedule/tokens": 90,
        "train/loss": 2.0,
        "train/pair_loss": 0.7,
        "train/grad_norm": 1.0,
        "schedule/lr": 1e-4,
        "speed/tokens_per_second": 5.0,
        "speed/utilisation": 0.4,
        "schedule/skipped": 1,
    }
    assert scalars({"step": 9, "validation": {"token_loss": 2.5}}) == {"validation/token_loss": 2.5}
