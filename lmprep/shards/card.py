"""The dataset card: README.md of a dataset folder, for people and for hubs.

Everything in it is taken from the manifest. What that cannot know, language and licence of the
texts, is left to the user.
"""

from __future__ import annotations

from typing import Any

from lmprep.cards import SETTING, flat, front_matter, table

# What the hub calls the parts of a dataset, and what its rows are for.
SPLITS = {"train": "train", "valid": "validation"}
_TASKS = {"clm": "text-generation", "bilm": "text-generation", "electra": "fill-mask",
          "mlm": "fill-mask", "whole-word": "fill-mask", "ngram": "fill-mask",
          "span": "fill-mask", "infoword": "fill-mask"}  # fmt: skip
_MANY = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
         (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"),
         (1_000_000_000, "100M<n<1B"))  # fmt: skip


def dataset_card(manifest: dict[str, Any]) -> str:
    """The card of a dataset as Markdown."""
    objective, totals = manifest["objective"], manifest["totals"]
    rows = totals["rows"]
    header = front_matter(
        {
            "task_categories": [_TASKS[objective]] if objective in _TASKS else [],
            "size_categories": [next((name for most, name in _MANY if rows < most), "n>1B")],
            "tags": ["lmprep", objective],
            "configs": [
                {
                    "config_name": "default",
                    "data_files": [{"split": SPLITS[manifest["part"]], "path": "data-*.arrow"}],
                }
            ],
        }
    )
    about = (
        f"Training examples of the objective `{objective}`, made from text by lmprep "
        f"{manifest['lmprep']}. `lmprep inspect` shows them, `lmprep verify` checks them, "
        "`datasets.load_from_disk` loads this folder, `datasets.load_dataset` its copy on a hub."
        "\n\n"
        "This card was written by lmprep, which knows neither the language of the texts nor whose "
        "they are: add `language` and `license` above before you share them."
    )
    counted = {"documents": manifest["documents"], **totals}
    figures = [(name.replace("_", " "), f"{count:,}") for name, count in counted.items()]
    dropped = [(reason, f"{count:,}") for reason, count in manifest["drops"].items()]
    inputs = [(entry["name"], f"{entry['bytes']:,}") for entry in manifest["inputs"][:_INPUTS]]
    if (more := len(manifest["inputs"]) - _INPUTS) > 0:
        inputs.append((f"and {more:,} more", ""))
    parts = [
        header,
        f"# Examples for {objective}",
        about,
        "## Figures\n\n" + table(("", "count"), figures),
        "## Dropped\n\n" + table(("reason", "count"), dropped) if dropped else "",
        "## Inputs\n\n" + table(("input", "bytes"), inputs),
        "## Settings\n\n" + table(SETTING, flat(manifest["settings"])),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


_INPUTS = 20
"""Inputs that are named."""
