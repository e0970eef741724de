"""What there is to draw of a dataset's figures, whoever draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MOST_BINS = 40


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """How often whole numbers occurred.

    Args:
        title: above it.
        counts: by number, at least one.
        unit: what the numbers count.
    """

    title: str
    counts: Mapping[int, int]
    unit: str = "tokens"

    def bins(self) -> list[tuple[int, int, int]]:
        """First and last number and count of each bin; all have the same width."""
        low, high = min(self.counts), max(self.counts)
        width = -(-(high - low + 1) // _MOST_BINS)
        sums = [0] * (-(-(high - low + 1) // width))
        for number, count in self.counts.items():
            sums[(number - low) // width] += count
        return [
            (low + place * width, low + (place + 1) * width - 1, count)
            for place, count in enumerate(sums)
        ]


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Shares of a whole by name.

    Args:
        title: above it.
        shares: by name, from 0 to 1.
        wanted: what each was to be, in the same order; empty where nothing was asked for.
    """

    title: str
    shares: Mapping[str, float]
    wanted: Sequence[float] = ()

    @property
    def top(self) -> float:
        """The largest value, above 0."""
        return max(*self.shares.values(), *self.wanted, 0.01)


@dataclass(frozen=True, kw_only=True)
class NamedCounts:
    """Counts by long names.

    Args:
        lost: whether they count what is not there, which is drawn in red.
    """

    title: str
    counts: Mapping[str, int]
    lost: bool = False


Panel = Histogram | Shares | NamedCounts


def dataset_panels(report: Mapping[str, Any]) -> list[Panel]:
    """What the figures of `checks.stats.dataset_stats` have to show."""
    panels: list[Panel] = []
    if report["lengths"]:
        padding = f"{report['padding_share']:.1%} padding at {report['length']}"
        title = f"tokens in a row ({padding})"
        panels.append(Histogram(title=title, counts=report["lengths"]["histogram"]))
    if targets := report.get("target_lengths"):
        panels.append(Histogram(title="tokens in the targets", counts=targets["histogram"]))
    if spans := report.get("spans"):
        title = f"tokens in a span (mean {spans['mean']:.2f})"
        panels.append(Histogram(title=title, counts=spans["histogram"]))
    if masking := report.get("masking"):
        title = f"masked tokens ({masking['rate']:.2%} of all)"
        became = {name: masking[name] for name in ("masked", "random", "kept")}
        panels.append(Shares(title=title, shares=became))
    for name, shares in report.get("labels", {}).items():
        named = {str(value): share for value, share in shares.items()}
        panels.append(Shares(title=name, shares=named))
    if denoisers := report.get("denoisers"):
        found = {str(number): one["share"] for number, one in enumerate(denoisers)}
        wanted = [one["wanted"] for one in denoisers]
        panels.append(Shares(title="rows by denoiser (line: wanted)", shares=found, wanted=wanted))
    if sentinels := report.get("sentinels"):
        title = f"sentinels in a row (of {sentinels['available']})"
        panels.append(Histogram(title=title, counts=sentinels["histogram"]))
    if weights := report.get("weights"):
        found = {f"{low:g}": n / report["rows"] for low, n in weights["histogram"].items()}
        panels.append(Shares(title="pairs by weight, from", shares=found))
    if drops := report["drops"]:
        named = {name.replace("_", " "): count for name, count in drops.items()}
        panels.append(NamedCounts(title="dropped", counts=named, lost=True))
    return panels
