"""The curves of several runs over each other, as pictures with their values as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

import numpy as np

from lmprep.report.curves import Curve, Values
from lmprep.report.elements import details, element, table
from lmprep.report.svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    SERIES,
    TOP,
    WIDTH,
    Scale,
    brief,
    percent,
    picture_of,
    ticks,
    titled,
    x_axis,
    y_axis,
)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A curve as it is to be drawn.

    Args:
        curve: its points.
        look: number of its run: colour, dashes and mark follow from it.
        name: of its run.
        faint: it lies behind a smoothed one.
        marked: each point has a mark.
        crosses: x of steps that were skipped.
    """

    curve: Curve
    look: int
    name: str
    faint: bool = False
    marked: bool = False
    crosses: Sequence[float] = field(default_factory=tuple)


def curves(title: str, drawn: Sequence[Drawn], x_name: str, unit: str, most: int) -> Element:
    """Curves over each other.

    Args:
        x_name: what they are drawn over.
        unit: of `CurvePanel`.
        most: points of a curve at most; of more, each stretch keeps its lowest and its highest.
    """
    kept = [(one, thinned(one.curve, most)) for one in drawn]
    finite = [c.y[np.isfinite(c.x) & np.isfinite(c.y)] for _, c in kept]
    values = np.concatenate([*finite, np.empty(0)])
    right = max(
        (float(c.x.max()) for _, c in kept if len(c.x) and np.isfinite(c.x).all()), default=1.0
    )
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if unit:
        low, high = 0.0, 1.05 * high or 1.0
    margin = 0.04 * (high - low) or 0.5
    x = Scale(0.0, right or 1.0, LEFT, WIDTH - RIGHT)
    bottom = low if unit else low - margin
    y = Scale(bottom, high + margin, HEIGHT - BOTTOM, TOP)
    shapes = [shape for one, curve in kept for shape in _curve(one, curve, x, y)]
    crosses = [
        _cross(x(place), HEIGHT - BOTTOM - 6, one.look) for one in drawn for place in one.crosses
    ]
    write = percent if unit == "share" else brief
    below = x_axis(x, x_name, ticks(0.0, x.high))
    label = f"{title}, over {x_name}"
    picture = picture_of(label, *y_axis(y, write), *shapes, *crosses, *below)
    rows = [(one.name, *_ends(one.curve.y)) for one in drawn if not one.faint and len(one.curve.y)]
    header = ("run", "first", "lowest", "highest", "last")
    written = details("values", table(f"{title}, values", header, rows))
    return element("figure", element("figcaption", title), picture, written)


def _ends(y: Values) -> tuple[str, ...]:
    return tuple(f"{value:.4g}" for value in (y[0], y.min(), y.max(), y[-1]))


def thinned(curve: Curve, most: int) -> Curve:
    """The lowest and the highest point of each of `most` / 2 stretches, in their order."""
    if len(curve.x) <= most:
        return curve
    kept = [0, len(curve.x) - 1]
    for stretch in np.array_split(np.arange(len(curve.x)), max(1, most // 2 - 1)):
        y = curve.y[stretch]
        kept += [int(stretch[y.argmin()]), int(stretch[y.argmax()])]
    places = np.unique(kept)
    return Curve(x=curve.x[places], y=curve.y[places])


def _curve(one: Drawn, curve: Curve, x: Scale, y: Scale) -> list[Element]:
    there = np.isfinite(curve.x) & np.isfinite(curve.y)
    points = [(x(a), y(b)) for a, b in zip(curve.x[there], curve.y[there], strict=True)]
    kind = f"curve c{one.look % SERIES}" + (" faint" if one.faint else f" d{one.look % 6}")
    made = []
    if len(points) > 1:
        path = "M" + "L".join(f"{a:g} {b:g}" for a, b in points)
        shape = titled("path", one.name, class_=kind)
        shape.set("d", path)  # longer than a text may be
        made.append(shape)
    if one.marked or len(points) == 1:
        written = zip(points, curve.x[there], curve.y[there], strict=True)
        for (a, b), at, value in written:
            label = f"{one.name}: {value:.4g} at {brief(at)}"
            made.append(titled("circle", label, cx=a, cy=b, r=3, class_=f"f{one.look % SERIES}"))
    return made


def _cross(x: float, y: float, look: int) -> Element:
    path = f"M{x - 3:g} {y - 3:g}l6 6m0 -6l-6 6"
    return titled("path", "a skipped step", d=path, class_=f"curve c{look % SERIES}")


def key(look: int) -> Element:
    """A short piece of a run's line, for a legend."""
    stroke = element("path", d="M0 6H34", class_=f"curve c{look % SERIES} d{look % 6}")
    return element("svg", stroke, viewBox="0 0 34 12", class_="key", aria_hidden="true")
