"""What a picture of several runs shows."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from lmprep.report.curves import smoothed
from lmprep.report.curves_plot import curves_figure, plot_curves
from lmprep.report.pictures import save_picture


def metrics(count: int, level: float = 3.0, **more: object) -> list[dict]:
    """Reports of a run with sentence pairs, and a validation after every tenth."""
    noise = np.random.default_rng(count).normal(0, 0.1, count)
    lines: list[dict] = []
    for i in range(1, count + 1):
        step, loss = 10 * i, level + noise[i - 1]
        line = {"step": step, "tokens": 50 * step, "elapsed": 2.0 * step, "loss": loss + 0.7}
        line |= {"token_loss": loss, "pair_loss": 0.7, "lr": 1e-4, "tokens_per_second": 25.0}
        lines.append(line | more)
        if i % 10 == 0:
            lines.append({"step": step, "validation": {"token_loss": level, "pair_loss": 0.7}})
    return lines


def panel(figure: Figure, title: str):
    (axes,) = (axes for axes in figure.axes if axes.get_title() == title)
    return axes


def drawn(axes) -> list[tuple[list[float], list[float]]]:
    """Points of the lines in a panel, marks of skipped steps left out."""
    lines = [line for line in axes.get_lines() if line.get_marker() != "x"]
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in lines]


def test_there_is_a_panel_for_each_loss_and_for_the_pace():
    titles = [axes.get_title() for axes in curves_figure({"a": metrics(20)}, "steps").axes]

    assert titles == [
        "token loss, training", "token loss, held out",
        "pair loss, training", "pair loss, held out",
        "learning rate", "tokens a second",
    ]  # fmt: skip
    known = curves_figure({"a": metrics(3, utilisation=0.4), "b": metrics(3)}, "steps")
    assert [axes.get_title() for axes in known.axes][2:] == [
        "learning rate", "tokens a second", "share of the device's peak",
    ]  # fmt: skip


def test_a_long_run_is_drawn_as_logged_and_smoothed_a_short_one_once():
    lines = metrics(100)
    figure = curves_figure({"a": lines}, "steps")
    (faint, raw), (strong, mean) = drawn(panel(figure, "token loss, training"))
    values = np.array([line["token_loss"] for line in lines if "token_loss" in line])

    assert faint == strong == [10 * i for i in range(1, 101)]
    assert raw == values.tolist()
    assert mean == smoothed(values).tolist()
    assert "faint" in figure.get_supxlabel()
    short = curves_figure({"a": metrics(20)}, "steps")
    assert len(drawn(panel(short, "token loss, training"))) == 1
    assert short.get_supxlabel() == ""


def test_every_run_looks_its_own_way_also_without_colours():
    figure = curves_figure({f"run {i}": metrics(12, level=i) for i in range(6)}, "steps")
    lines = panel(figure, "token loss, training").get_lines()
    marks = panel(figure, "token loss, held out").get_lines()

    assert len({line.get_color() for line in lines if len(line.get_xdata())}) == 6
    assert len({str(line._dash_pattern) for line in lines if len(line.get_xdata())}) == 6
    assert len({line.get_marker() for line in marks}) == 6
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [f"run {i}" for i in range(6)]
    assert [line.get_color() for line in legend.get_lines()] == [m.get_color() for m in marks]


def test_a_single_point_is_seen():
    figure = curves_figure({"a": metrics(1), "b": metrics(12)}, "steps")
    one, several = (
        line for line in panel(figure, "token loss, training").get_lines() if len(line.get_xdata())
    )

    assert one.get_marker() not in ("", "None")
    assert several.get_marker() in ("", "None")


def test_skipped_steps_are_marked_and_explained():
    lines = metrics(6)
    for line in lines[3:]:
        line["skipped"] = 2
    figure = curves_figure({"a": lines, "b": metrics(6)}, "tokens")
    marks = [m for m in panel(figure, "token loss, training").get_lines() if m.get_marker() == "x"]

    assert [list(mark.get_xdata()) for mark in marks] == [[2000], []]
    assert figure.legends[0].get_texts()[-1].get_text() == "skipped steps"
    plain = curves_figure({"b": metrics(6)}, "tokens").legends[0].get_texts()
    assert [text.get_text() for text in plain] == ["b"]


def test_time_is_told_in_a_fitting_unit():
    for count, unit, last in (
        (4, "seconds", 80),
        (100, "minutes", 2000 / 60),
        (600, "hours", 10 / 3),
    ):
        axes = panel(curves_figure({"a": metrics(count)}, "time"), "learning rate")

        assert axes.get_xlabel() == f"{unit} of training"
        assert np.isclose(drawn(axes)[0][0][-1], last)


def test_a_name_with_dollars_is_drawn_as_it_is(tmp_path):
    plot_curves({"a$_b^c$": metrics(2)}, tmp_path / "a.svg", "steps")

    assert r"a\$_b^c\$" in [
        text.get_text()
        for text in curves_figure({"a$_b^c$": metrics(2)}, "steps").legends[0].get_texts()
    ]


def test_the_same_curves_give_the_same_bytes(tmp_path):
    for name in ("a.svg", "b.svg", "a.png", "b.png"):
        save_picture(curves_figure({"a": metrics(30)}, "steps"), tmp_path / name)

    for kind in ("svg", "png"):
        first, second = (tmp_path / f"{name}.{kind}" for name in "ab")
        assert first.read_bytes() == second.read_bytes()
