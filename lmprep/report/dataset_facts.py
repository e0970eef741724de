"""A dataset's figures in words, as commands and pages show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def dataset_facts(report: Mapping[str, Any], *, bars: bool) -> list[tuple[str, str]]:
    """The figures of `checks.stats.dataset_stats`: names, and what is to be said of each.

    Args:
        bars: whether histograms are drawn as further lines, of blocks.
    """
    lines = [
        ("objective", report["objective"]),
        ("settings", named(report["settings"]) or "none"),
        ("sequences", f"{report['sequences']}, pairs {report['pairs']}, length {report['length']}"),
        ("copies", f"{report['copies']} in {report['shards']} shards, {_megabytes(report)}"),
        ("rows", f"{report['rows']:,}"),
        ("tokens", f"{report['tokens']:,}, of them {report['scored_tokens']:,} to predict"),
        ("documents", named(report["documents"])),
        ("dropped", named(report["drops"]) or "nothing"),
    ]
    if report["lengths"]:
        lines.append(("length of rows", named(report["lengths"])))
        lines.append(("padding", f"{report['padding_share']:.1%} at length {report['length']}"))
    return lines + _special_facts(report, bars)


def _special_facts(report: Mapping[str, Any], bars: bool) -> list[tuple[str, str]]:
    """What only some objectives have."""
    lines = []
    if "target_lengths" in report:
        lines.append(("length of targets", named(report["target_lengths"])))
        lines.append(("noise", f"{report['noise_rate']:.2%} of the tokens"))
    if weights := report.get("weights"):
        lines.append(("weights", f"{weights['sum']:,.0f} in all"))
        lines += [(f"  from {low}", bar) for low, bar in _bars(weights["histogram"], 20) if bars]
    if masking := report.get("masking"):
        lines.append(("masked", f"{masking['rate']:.2%} of the tokens"))
        lines.append(("shortfall", f"{masking['shortfall']:,} of {masking['wanted']:,} wanted"))
        shares = (f"{masking[name]:.1%} {name}" for name in ("masked", "random", "kept"))
        lines.append(("became", ", ".join(shares)))
    if spans := report.get("spans"):
        lines.append(("spans, in tokens", named(spans)))
        lines += [(f"  of {n}", bar) for n, bar in _bars(spans["histogram"]) if bars]
    if "sentinels" in report:
        lines.append(("sentinels in a row", named(report["sentinels"])))
    for name, shares in report.get("labels", {}).items():
        lines.append((name, ", ".join(f"{share:.1%} {value}" for value, share in shares.items())))
    for number, one in enumerate(report.get("denoisers", ())):
        lines.append((f"denoiser {number}", f"{one['share']:.1%}, wanted {one['wanted']:.1%}"))
    return lines


def _megabytes(report: Mapping[str, Any]) -> str:
    return f"{report['bytes'] / 1e6:.1f} MB"


def named(values: Mapping[str, Any]) -> str:
    """`a 1, b 2.5` for plain values by name."""
    plain = ((name, value) for name, value in values.items() if not isinstance(value, dict))
    return ", ".join(f"{name} {_number(value)}" for name, value in plain)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _bars(histogram: Mapping[float, int], most: int = 10, width: int = 30) -> list[tuple[str, str]]:
    """The first values with their shares as bars; the rest in one."""
    total = sum(histogram.values())
    values = sorted(histogram)
    shown = [(f"{value:g}", histogram[value]) for value in values[:most]]
    if rest := sum(histogram[value] for value in values[most:]):
        shown.append((f"{values[most]:g} and more", rest))
    longest = max(count for _, count in shown)
    return [
        (name, f"{'█' * max(1, round(width * count / longest))} {count / total:.1%}")
        for name, count in shown
    ]
