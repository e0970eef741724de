"""The pieces of a page: elements, pictures, embedded data, sampled rows."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.checks.inspect import ROLES, Row, Token
from lmprep.models.shown_masks import LENGTH, shown_masks
from lmprep.report import examples
from lmprep.report.bars import panel_figure
from lmprep.report.curve_pictures import Drawn, curves, thinned
from lmprep.report.curves import Curve
from lmprep.report.dataset_panels import Histogram, NamedCounts, Shares
from lmprep.report.elements import element, shown, table
from lmprep.report.page import embedded
from lmprep.report.runs import Run, overview
from lmprep.report.svg import brief, ticks
from tests.corpora import build_dataset, make_tokenizer, write_corpus

TEXTS = st.text(st.characters(exclude_categories=()), max_size=30)


def html(made: ElementTree.Element) -> str:
    return ElementTree.tostring(made, encoding="unicode", method="html")


@given(TEXTS, TEXTS)
def test_no_text_becomes_markup(text, other):
    written = html(element("p", text, element("b", other), text, title=other))

    assert written.count("<") == 4
    assert '"' not in written.split('title="')[1].split('">')[0]
    written.encode()


@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_embedded_data_come_back_and_cannot_end_their_element(value):
    text = embedded(value)

    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == value


def test_texts_for_eyes_hide_nothing_and_have_an_end():
    assert shown("a\u202eb\x00\u200f\ud800") == r"a\u202eb\x00\u200f\ud800"
    assert shown("Grüße, 渔 🙂") == "Grüße, 渔 🙂"
    assert shown("x" * 1001) == "x" * 1000 + "… (1,001 characters)"


def test_columns_of_numbers_go_to_the_right():
    cells = table("c", ("name", "n", "m"), [("a", "1", "x"), ("b", "", "2")]).findall(".//td")

    assert [cell.get("class") for cell in cells] == ["number", None, "number", None]


@pytest.mark.parametrize(("given", "shown_rate"), [(2e-4, "0.0002"), (None, "0.0005")])
def test_a_rate_that_was_left_to_its_default_is_the_highest_of_the_log(given, shown_rate):
    lines = [{"step": 10 * i, "loss": 9.0, "lr": rate} for i, rate in enumerate((1e-4, 5e-4, 0), 1)]
    recipe = {"pretrain": {"lr": given}}
    rows = overview([Run(name="a", config={}, recipe=recipe, lines=lines)]).findall(".//tr")
    header, cells = (["".join(cell.itertext()) for cell in row] for row in rows)

    assert cells[header.index("lr")] == shown_rate


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (3.1, 3.4, [3.1, 3.2, 3.3, 3.4]),
        (0, 61_000, [0, 20_000, 40_000, 60_000]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_numbers(low, high, wanted):
    assert ticks(low, high) == wanted


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e12))
def test_ticks_lie_within_and_are_few(low, width):
    found = ticks(low, low + width)

    assert len(found) <= 6
    assert all(low - 1e-6 * width <= tick <= low + width + 1e-6 * width for tick in found)


def test_numbers_are_brief():
    assert [brief(x) for x in (0, 0.25, 4092, 12_500, 2_000_000, -3e9, 0.00025)] == [
        "0", "0.25", "4092", "12.5k", "2M", "-3G", "2.5e-4",
    ]  # fmt: skip


@given(st.dictionaries(st.integers(0, 5000), st.integers(0, 1000), min_size=1))
def test_bins_of_equal_width_lose_nothing(counts):
    bins = Histogram(title="t", counts=counts).bins()

    assert len(bins) <= 40
    assert len({last - first for first, last, _ in bins}) == 1
    assert all(b[0] == a[1] + 1 for a, b in pairwise(bins))
    for first, last, count in bins:
        assert count == sum(n for value, n in counts.items() if first <= value <= last)


def test_a_bar_is_as_high_as_its_count():
    figure = panel_figure(Histogram(title="lengths", counts={3: 10, 4: 5, 6: 1}))
    heights = [float(bar.get("height", 0)) for bar in figure.iter("rect")]
    values = ["".join(row.itertext()) for row in figure.iter("tr")][1:]

    assert heights == pytest.approx([200, 100, 0, 20])
    assert values == ["310", "45", "50", "61"]


@pytest.mark.parametrize(("lost", "series"), [(False, "s0"), (True, "s5")])
def test_only_counts_of_what_was_lost_are_red(lost, series):
    figure = panel_figure(NamedCounts(title="some", counts={"a": 3, "b": 1}, lost=lost))

    assert [bar.get("class") for bar in figure.iter("rect")] == [series, series]


def test_pictures_say_what_they_are():
    shares = Shares(title="became", shares={"masked": 0.8, "kept": 0.2}, wanted=[0.75, 0.25])
    for panel in (shares, NamedCounts(title="dropped", counts={"too short": 3})):
        figure = panel_figure(panel)
        picture = figure.find("svg")
        assert picture is not None
        assert picture.get("aria-label") == panel.title
    rows = [
        "|".join("".join(cell.itertext()) for cell in row)
        for row in panel_figure(shares).iter("tr")
    ]
    assert rows == ["name|share|wanted", "masked|80.00%|75.00%", "kept|20.00%|25.00%"]


def test_a_thinned_curve_keeps_its_spikes_and_its_ends():
    y = np.sin(np.arange(10_000) / 500)
    y[[1234, 7890]] = 9, -9
    thin = thinned(Curve(x=np.arange(10_000.0), y=y), 100)

    assert len(thin.x) <= 100
    assert {0, 1234, 7890, 9999} <= set(thin.x)
    assert (np.diff(thin.x) > 0).all()


def test_a_curve_of_nothing_and_one_of_a_point_can_be_drawn():
    empty, one = Curve(x=np.empty(0), y=np.empty(0)), Curve(x=np.ones(1), y=np.ones(1))
    drawn = [Drawn(curve=curve, look=i, name=f"run {i}") for i, curve in enumerate((empty, one))]
    figure = curves("loss", drawn, "steps", "", 100)

    assert len(list(figure.iter("circle"))) == 1
    assert not [e for e in figure.iter() for v in e.attrib.values() if "nan" in v]


def test_masks_on_the_page_are_those_of_the_textbook():
    cells = {mask.name: np.array(mask.cells) for mask in shown_masks()}
    i, j = np.indices((LENGTH, LENGTH))

    assert (cells["causal"] == (j <= i)).all()
    assert (cells["bidirectional"] == (j < 6)).all()
    assert (cells["prefix"] == ((j <= i) | (j < 3))).all()
    assert (cells["packed, bidirectional"] == ((i < 5) == (j < 5))).all()
    assert (cells["packed, causal"] == (((i < 5) == (j < 5)) & (j <= i))).all()
    assert (cells["cross"] == (j[:5] < 6)).all()


def tokens(*pairs: tuple[int, str]) -> tuple[Token, ...]:
    return tuple(Token(id=i, text=str(i), role=role) for i, role in pairs)


def test_every_role_has_a_letter():
    assert set(examples.ROLES) == set(ROLES)
    assert len(set(examples.ROLES.values())) == len(ROLES)


def test_tokens_behind_sentinels_are_found():
    """`1 2 3 4 5` with `2 3` and `5` hidden, a mode token in front."""
    row = Row(
        number=0,
        objective="ul2",
        inputs=tokens((99, "special"), (1, "text"), (90, "sentinel"), (4, "text"), (91, "sentinel"),
                      (98, "special")),
        targets=tokens((90, "sentinel"), (2, "text"), (3, "text"), (91, "sentinel"), (5, "text"),
                       (98, "special")),
    )  # fmt: skip

    assert examples.behind_sentinels(row, 5) == {1, 2, 4}
    assert examples.behind_sentinels(row, 6) == set()


@pytest.mark.parametrize("objective", ["mlm", "t5", "bart", "cooccurrence"])
def test_what_is_carried_fits_its_room_and_is_spread(tmp_path: Path, quick_disk, objective):
    family = {"t5": "t5", "bart": "roberta"}.get(objective, "bert")
    corpus = write_corpus(tmp_path / "corpus.txt")
    tokenizer = make_tokenizer(corpus, tmp_path / "tok", family=family)
    out = build_dataset(corpus, tokenizer, tmp_path / "out", objective=objective)
    whole, part = examples.examples(out, 10**9), examples.examples(out, 20_000)
    numbers = [row["number"] for row in part["rows"]]

    assert len(whole["rows"]) == min(whole["total"], examples.MOST_ROWS)
    assert 0 < len(json.dumps(part)) < 24_000
    assert len(set(np.diff(numbers) // max(1, min(np.diff(numbers))))) <= 2
    assert numbers[0] == 0
    assert max(numbers) > 0.8 * part["total"]
    for row in whole["rows"][:5]:
        ids = row["inputs"]["ids"]
        assert set(ids) <= set(whole["pieces"])
        if objective == "mlm":
            assert {row["inputs"]["roles"][i] for i in row["was"]} <= set("mrk")
        if objective == "t5":
            assert chosen(row["original"], "p") == chosen(row["targets"], "t")
        assert row.get("repeats", False) == (objective == "bart")


def chosen(stream: dict, letter: str) -> list[int]:
    """The ids with this role."""
    return [i for i, role in zip(stream["ids"], stream["roles"], strict=True) if role == letter]
