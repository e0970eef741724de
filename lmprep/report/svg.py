"""What pictures are made of: axes, ticks, shapes that say what they are, as SVG elements.

Colours are classes (`s0` to `s6` filled, `c0` to `c6` drawn, `axis`, `grid`), so that the style
sheet can have one set for light and one for dark. Lengths are in units of the picture, which is
as wide as its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from lmprep.report.elements import element

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 10, 40
"""Margins around the axes."""
SERIES = 7
"""How many colours there are."""


@dataclass(frozen=True)
class Scale:
    """Values to places.

    Args:
        low, high: values.
        start, end: where they lie.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(self.start + share * (self.end - self.start), 1)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, `most` + 1 of them at most."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def brief(value: float) -> str:
    """`12k` for 12000, `2.5e-4` for 0.00025."""
    if 0 < abs(value) < 1e-3:
        digits, exponent = f"{value:.1e}".split("e")
        return f"{float(digits):g}e{int(exponent)}"
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(size, 1e4):
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}"


def percent(value: float) -> str:
    """`12%` for 0.12."""
    return f"{100 * value:.3g}%"


def picture_of(title: str, *children: Element | None, height: float = HEIGHT) -> Element:
    """A picture; screen readers say its title."""
    return element(
        "svg", *children, viewBox=f"0 0 {WIDTH} {height:g}", role="img", aria_label=title
    )


def written(text: str, x: float, y: float, anchor: str = "middle", **more: object) -> Element:
    """A text at a place: `start`, `middle` or `end` of it."""
    return element("text", text, x=x, y=y, text_anchor=anchor, **more)


def straight(x1: float, y1: float, x2: float, y2: float, kind: str) -> Element:
    """A line of a class."""
    return element("line", x1=round(x1, 1), y1=y1, x2=round(x2, 1), y2=y2, class_=kind)


def titled(tag: str, title: str, **attributes: object) -> Element:
    """A shape that says what it is when it is pointed at."""
    return element(tag, element("title", title), **attributes)


def y_axis(scale: Scale, write: Callable[[float], str] = brief) -> list[Element]:
    """Lines across the picture at round numbers, each named on the left."""
    made = []
    for value in ticks(scale.low, scale.high):
        y = scale(value)
        made.append(straight(LEFT, y, WIDTH - RIGHT, y, "grid"))
        made.append(written(write(value), LEFT - 6, y + 4, "end"))
    return made


def x_axis(scale: Scale, name: str, values: Sequence[float]) -> list[Element]:
    """The lower edge of the axes, what it counts, and these values of it."""
    bottom = HEIGHT - BOTTOM
    made = [straight(LEFT, bottom, WIDTH - RIGHT, bottom, "axis")]
    for value in values:
        made.append(written(brief(value), scale(value), bottom + 16))
    made.append(written(name, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4))
    return made
