"""A dataset's or a vocabulary's figures as pictures of bars, with their values as tables."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from lmprep.report.dataset_panels import Histogram, NamedCounts, Panel, Shares
from lmprep.report.elements import details, element, shown, table
from lmprep.report.svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    SERIES,
    TOP,
    WIDTH,
    Scale,
    percent,
    picture_of,
    straight,
    ticks,
    titled,
    written,
    x_axis,
    y_axis,
)
from lmprep.report.tables import Rows


def panel_figure(panel: Panel) -> Element:
    """A panel of a dataset's figures, with its values as a table."""
    match panel:
        case Histogram():
            picture, header, rows = _histogram(panel)
        case Shares():
            picture, header, rows = _shares(panel)
        case NamedCounts():
            picture, header, rows = _named_counts(panel)
    values = details("values", table(f"{panel.title}, values", header, rows))
    return element("figure", element("figcaption", panel.title), picture, values)


_Drawn = tuple[Element, Sequence[str], Rows]


def _vertical(top: float) -> Scale:
    return Scale(0, top, HEIGHT - BOTTOM, TOP)


def _bar(title: str, x: float, width: float, y: float, kind: str) -> Element:
    height = max(0.0, round(HEIGHT - BOTTOM - y, 1))
    return titled(
        "rect", title, x=round(x, 1), y=y, width=round(width, 1), height=height, class_=kind
    )


def _histogram(panel: Histogram) -> _Drawn:
    bins = panel.bins()
    x = Scale(bins[0][0], bins[-1][1] + 1, LEFT, WIDTH - RIGHT)
    y = _vertical(max(count for _, _, count in bins))
    bars: list[Element] = []
    rows: Rows = []
    for first, last, count in bins:
        name = f"{first}" if first == last else f"{first} to {last}"
        left, right = x(first), x(last + 1)
        gap = min(1.0, 0.1 * (right - left))
        bars.append(_bar(f"{name}: {count:,}", left, right - left - gap, y(count), "s0"))
        rows.append((name, f"{count:,}"))
    half = 0.5 if bins[0][0] == bins[0][1] else 0.0  # a bar of one number is named in its middle
    named = Scale(x.low - half, x.high - half, x.start, x.end)
    whole = [tick for tick in ticks(x.low, bins[-1][1]) if tick == int(tick)]
    picture = picture_of(panel.title, *y_axis(y), *bars, *x_axis(named, panel.unit, whole))
    return picture, (panel.unit, "count"), rows


def _shares(panel: Shares) -> _Drawn:
    names = list(panel.shares)
    y = _vertical(1.12 * panel.top)
    step = (WIDTH - RIGHT - LEFT) / len(names)
    few = len(names) <= SERIES
    shapes: list[Element] = []
    rows: Rows = []
    for place, (name, share) in enumerate(panel.shares.items()):
        left = LEFT + place * step
        middle = round(left + step / 2, 1)
        kind = f"s{place}" if few else "s0"
        shapes.append(_bar(f"{name}: {share:.2%}", left + 0.1 * step, 0.8 * step, y(share), kind))
        if few:
            shapes.append(written(f"{share:.1%}", middle, y(share) - 4))
        if few or place % (len(names) // 8 + 1) == 0:
            shapes.append(written(shown(name, 14), middle, HEIGHT - BOTTOM + 16))
        row: tuple[str, ...] = (name, f"{share:.2%}")
        if panel.wanted:
            wanted = panel.wanted[place]
            height = y(wanted)
            shapes.append(
                straight(left + 0.05 * step, height, left + 0.95 * step, height, "wanted")
            )
            row = (*row, f"{wanted:.2%}")
        rows.append(row)
    bottom = straight(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "axis")
    header = ("name", "share", "wanted") if panel.wanted else ("name", "share")
    return picture_of(panel.title, *y_axis(y, percent), *shapes, bottom), header, rows


def _named_counts(panel: NamedCounts) -> _Drawn:
    """Bars to the right, each under its name, since names are long."""
    step, top = 34, max(panel.counts.values()) or 1
    kind = "s5" if panel.lost else "s0"
    x = Scale(0, top, 4, WIDTH - RIGHT)
    shapes: list[Element] = []
    rows: Rows = []
    for place, (name, count) in enumerate(panel.counts.items()):
        y = place * step + 4
        shapes.append(written(f"{shown(name, 50)}: {count:,}", 4, y + 11, "start"))
        width = round(max(1.0, x(count) - 4), 1)
        label = f"{name}: {count:,}"
        shapes.append(titled("rect", label, x=4, y=y + 16, width=width, height=10, class_=kind))
        rows.append((name, f"{count:,}"))
    height = len(rows) * step + 8
    return picture_of(panel.title, *shapes, height=height), ("name", "count"), rows
