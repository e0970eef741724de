"""A dataset folder as a part of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from lmprep.checks.record import Check
from lmprep.checks.stats import dataset_stats
from lmprep.checks.verify import verify
from lmprep.report.bars import panel_figure
from lmprep.report.dataset_facts import dataset_facts
from lmprep.report.dataset_panels import dataset_panels
from lmprep.report.elements import details, element, facts, section, table
from lmprep.report.examples import examples
from lmprep.report.tables import CHECKS, check_rows
from lmprep.shards.manifest import read_manifest, refuse_dense

_MOST_INPUTS = 100


def dataset_section(
    name: str, folder: Path, id_: str, most_bytes: int
) -> tuple[Element, dict[str, Any] | None, int]:
    """The part of one dataset, the rows its browser shows, and how many checks failed.

    Rows of a dataset that breaks its laws may not mean what they seem to: it has neither figures
    nor examples.

    Args:
        id_: of the part.
        most_bytes: of the rows.

    Raises:
        DatasetError: the folder is unfinished, damaged beyond its manifest, dense, or not ours.
    """
    manifest = read_manifest(folder)
    refuse_dense(folder, manifest)
    checks = verify(folder)
    failed = [check for check in checks if not check.passed]
    papers = [*_papers(manifest), _verified(checks, len(failed))]
    title = f"Dataset {name}"
    if failed:
        return section(title, *papers, id_=id_), None, len(failed)
    report = dataset_stats(folder)
    pictures = element("div", *map(panel_figure, dataset_panels(report)), class_="figures")
    shown = examples(folder, most_bytes)
    parts = [
        facts(dataset_facts(report, bars=False), "figures"),
        section("Figures", pictures, level=3),
        *papers,
        section("Examples", _sampled(shown), element("div", data_examples=id_), level=3),
    ]
    return section(title, *parts, id_=id_), shown, 0


def _papers(manifest: Mapping[str, Any]) -> list[Element]:
    """Settings, inputs and drops."""
    settings = [(key, str(value)) for key, value in _flat(manifest["settings"])]
    settings += [("part", manifest["part"]), ("lmprep", manifest["lmprep"])]
    settings += [("fingerprint", manifest["fingerprint"])]
    inputs = [(one["name"], f"{one['bytes']:,}") for one in manifest["inputs"]]
    more = len(inputs) - _MOST_INPUTS
    shown = inputs[:_MOST_INPUTS] + ([(f"and {more:,} more", "")] if more > 0 else [])
    drops = [(name.replace("_", " "), f"{n:,}") for name, n in manifest["drops"].items()]
    dropped = table("dropped, by reason", ("reason", "count"), drops)
    return [
        section("Settings", details("every setting", facts(settings, "settings")), level=3),
        section("Inputs", table("inputs", ("input", "bytes"), shown), level=3),
        section(
            "Dropped",
            dropped if drops else element("p", "Nothing."),
            level=3,
        ),
    ]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Settings of settings by `outer.inner`; those that are not set are left out."""
    found = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        elif value not in (None, ""):
            found.append((prefix + name, value))
    return found


def _verified(checks: Sequence[Check], failed: int) -> Element:
    listed = table("checks", CHECKS, check_rows(checks))
    for row in listed.iter("tr"):
        if row[0].text == "FAILED":
            row.set("class", "failed")
    if not failed:
        said = element("p", f"All {len(checks)} checks hold.", class_="good")
        return section("Checks", said, details("every check", listed), level=3)
    what = (
        f"{failed} of {len(checks)} checks failed. Figures and examples are left out: the rows of "
        "such a dataset may not mean what they seem to."
    )
    return section("Checks", element("p", what, class_="failed"), listed, level=3)


def _sampled(shown: Mapping[str, Any]) -> Element:
    there, total = len(shown["rows"]), shown["total"]
    if there == total:
        return element("p", f"All {total:,} rows of the first copy.")
    what = f"A sample: {there:,} of the {total:,} rows of the first copy, evenly spread"
    return element("p", f"{what}. lmprep inspect shows any other.", class_="sampled")
