import json

from lmprep.training.metrics import MetricsWriter, cut_metrics, read_metrics


def test_lines_beyond_the_checkpoint_and_a_torn_one_are_cut(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"step": step, "loss": 1.5}) for step in (4, 8, 12)]
    path.write_text("\n".join(lines) + '\n{"step": 1')
    cut_metrics(path, 8)

    assert [line["step"] for line in read_metrics(tmp_path)] == [4, 8]


def test_lines_go_on_after_the_cut(tmp_path):
    for start in (0, 2):
        writer = MetricsWriter(tmp_path, start)
        for step in range(start + 1, start + 5):
            writer.write({"step": step, "loss": 1.0 * start, "validation": {"mlm_loss": 2.0}})
        writer.close()

    assert [(line["step"], line["loss"]) for line in read_metrics(tmp_path)] == [
        (1, 0.0),
        (2, 0.0),
        (3, 2.0),
        (4, 2.0),
        (5, 2.0),
        (6, 2.0),
    ]
