"""`lmprep stats`: the figures of a dataset, as a table, as JSON, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lmprep.cli.console import say, show_json, show_table
from lmprep.cli.options import PICTURE


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep stats shards\n"
    "  lmprep stats shards --json | jq .masking.rate\n"
    "  lmprep stats shards --plot shards.svg"
)
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--plot",
    type=PICTURE,
    metavar="FILE",
    help="Draw them too, as a .png or .svg file.",
)
@click.option("--json", "as_json", is_flag=True, help="Figures as JSON on stdout.")
def stats(out: Path, plot: Path | None, as_json: bool) -> None:
    """Count rows, tokens, masks, pairs and drops of a dataset.

    OUT is a folder of lmprep build.
    """
    from lmprep.checks.stats import dataset_stats

    if plot is not None:
        import matplotlib  # noqa: F401  # missing: said before any counting
    report = dataset_stats(out)
    if plot is not None:
        from lmprep.report.dataset_plot import plot_stats

        plot_stats(report, plot, title=str(out))
        say(f"Drawn: {plot}")
    if as_json:
        show_json(report)
    else:
        show_table(f"stats {out}", ("what", "value"), list(_lines(report)))


def _lines(report: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures as they are best read."""
    lines = [
        ("objective", report["objective"]),
        ("settings", _named(report["settings"]) or "none"),
        ("sequences", f"{report['sequences']}, pairs {report['pairs']}, length {report['length']}"),
        ("copies", f"{report['copies']} in {report['shards']} shards, {_megabytes(report)}"),
        ("rows", f"{report['rows']:,}"),
        ("tokens", f"{report['tokens']:,}, of them {report['scored_tokens']:,} to predict"),
        ("documents", _named(report["documents"])),
        ("dropped", _named(report["drops"]) or "nothing"),
    ]
    if report["lengths"]:
        lines.append(("length of rows", _named(report["lengths"])))
        lines.append(("padding", f"{report['padding_share']:.1%} at length {report['length']}"))
    return lines + _special_lines(report)


def _special_lines(report: dict[str, Any]) -> list[tuple[str, str]]:
    """What only some objectives have."""
    lines = []
    if "target_lengths" in report:
        lines.append(("length of targets", _named(report["target_lengths"])))
        lines.append(("noise", f"{report['noise_rate']:.2%} of the tokens"))
    if weights := report.get("weights"):
        lines.append(("weights", f"{weights['sum']:,.0f} in all"))
        lines += [(f"  from {low}", bar) for low, bar in _bars(weights["histogram"], 20)]
    if masking := report.get("masking"):
        lines.append(("masked", f"{masking['rate']:.2%} of the tokens"))
        lines.append(("shortfall", f"{masking['shortfall']:,} of {masking['wanted']:,} wanted"))
        shares = (f"{masking[name]:.1%} {name}" for name in ("masked", "random", "kept"))
        lines.append(("became", ", ".join(shares)))
    if spans := report.get("spans"):
        lines.append(("spans, in tokens", _named(spans)))
        lines += [(f"  of {n}", bar) for n, bar in _bars(spans["histogram"])]
    if "sentinels" in report:
        lines.append(("sentinels in a row", _named(report["sentinels"])))
    for name, shares in report.get("labels", {}).items():
        lines.append((name, ", ".join(f"{share:.1%} {value}" for value, share in shares.items())))
    for number, one in enumerate(report.get("denoisers", ())):
        lines.append((f"denoiser {number}", f"{one['share']:.1%}, wanted {one['wanted']:.1%}"))
    return lines


def _megabytes(report: dict[str, Any]) -> str:
    return f"{report['bytes'] / 1e6:.1f} MB"


def _named(values: dict[str, Any]) -> str:
    """`a 1, b 2.5` for plain values by name."""
    plain = ((name, value) for name, value in values.items() if not isinstance(value, dict))
    return ", ".join(f"{name} {_number(value)}" for name, value in plain)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _bars(histogram: dict[float, int], most: int = 10, width: int = 30) -> list[tuple[str, str]]:
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
