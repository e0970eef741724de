"""The model card of an exported folder: README.md, for people and for the hub.

Everything in it is taken from the run. What a run cannot know, its language and licence, is left
to the user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmprep import __version__
from lmprep.cards import SETTING, flat, front_matter, table
from lmprep.errors import LmprepError
from lmprep.export.examples import example
from lmprep.shards.manifest import Manifest, read_manifest
from lmprep.training import run_folder
from lmprep.training.metrics import read_metrics
from lmprep.training.pretrained import was_on_hub

# What the hub's pages try a model out with.
_PIPELINES = {"encoder": "fill-mask", "decoder": "text-generation"}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the card is about.

    Args:
        name: of the model.
        class_name: of transformers, that it loads into.
        model_type: what transformers calls its kind.
        step: of the checkpoint.
        parameters: of the model that was trained.
        left_out: trained heads that the class has no place for, in words.
    """

    name: str
    class_name: str
    model_type: str
    step: int
    parameters: int
    left_out: Sequence[str]


def model_card(run: Path, facts: Facts) -> str:
    """The card of a run's model as Markdown."""
    recipe, config = run_folder.read_recipe(run), run_folder.read_config(run)
    kind = config["model"]["kind"]
    held_out = _held_out(run, recipe, facts.step)
    parts = [
        _front_matter(facts, recipe, config, measured=bool(held_out)),
        f"# {facts.name}",
        _about(facts, recipe, config),
        f"## Use\n\n```python\n{example(kind, config['objective'])}```",
        _data(recipe, config),
        _training(run, recipe, facts.step),
        held_out,
        "## Shape\n\n" + table(SETTING, recipe["model"].items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(
    facts: Facts, recipe: Mapping[str, Any], config: Mapping[str, Any], measured: bool
) -> str:
    kind = config["model"]["kind"]
    judges = config["objective"] == "electra"  # which the hub has no pipeline for
    origin = recipe["pretrain"].get("init") or recipe["pretrain"].get("teacher")
    return front_matter(
        {
            "library_name": "transformers",
            "pipeline_tag": None if judges else _PIPELINES.get(kind),
            "base_model": origin if origin and was_on_hub(origin) else None,
            "metrics": ["perplexity", "accuracy"] if measured else [],
            "tags": list(dict.fromkeys(["lmprep", facts.model_type, config["objective"]])),
        }
    )


def _about(facts: Facts, recipe: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    kind, init = config["model"]["kind"], recipe["pretrain"].get("init")
    begun = f"begun from the weights of `{init}`" if init else "trained from scratch"
    if teacher := recipe["pretrain"].get("teacher"):
        begun = f"distilled from `{teacher}`" + (f", {begun}" if init else "")
    pairs = "" if config["pairs"] == "none" else f" and `{config['pairs']}` pairs of sentences"
    missing = "".join(
        f" Its {head} is not part of this class, and left out." for head in facts.left_out
    )
    return (
        f"A model of kind {kind} with {facts.parameters:,} parameters, {begun} on the objective "
        f"`{config['objective']}`{pairs} with lmprep {config['lmprep']}; these are the weights "
        f"after step {facts.step:,}, as `{facts.class_name}`.{missing}\n\n"
        f"This card was written by lmprep {__version__}, which knows neither the language of the "
        "texts nor whose they are: add `language` and `license` above, and what the model is for."
    )


def _data(recipe: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The datasets; of those whose folders are still at hand, what is in them."""
    rows, made = [], []
    for dataset in recipe["datasets"]:
        name, manifest = Path(dataset["folder"]).name, _manifest(dataset)
        rows.append((name, *_contents(manifest), dataset["sha256"]))
        if manifest:
            made += [f"How `{name}` was made:", table(SETTING, flat(manifest["settings"]))]
    header = ("dataset", "documents", "rows", "tokens", "made from", "SHA-256 of its manifest")
    size, sha256 = config["vocabulary"]["size"], config["tokenizer_sha256"]
    tokenizer = f"Tokenizer: {size:,} tokens; SHA-256 of its tokenizer.json: {sha256}."
    return "\n\n".join(["## Data", table(header, rows), tokenizer, *made])


def _manifest(dataset: Mapping[str, Any]) -> Manifest | None:
    """A dataset's manifest, if it lies where it lay and is the one the run was made with."""
    try:
        manifest = read_manifest(Path(dataset["folder"]))
    except (LmprepError, OSError):
        return None
    return manifest if manifest["manifest_sha256"] == dataset["sha256"] else None


def _contents(manifest: Manifest | None) -> tuple[str, str, str, str]:
    """Documents, rows, tokens and names of inputs."""
    if manifest is None:
        return "?", "?", "?", "(no longer at hand)"
    totals = manifest["totals"]
    inputs = ", ".join(entry["name"] for entry in manifest["inputs"])
    counts = (manifest["documents"], totals["rows"], totals["tokens"])
    documents, rows, tokens = (f"{count:,}" for count in counts)
    return documents, rows, tokens, inputs


def _training(run: Path, recipe: Mapping[str, Any], step: int) -> str:
    lines = [line for line in read_metrics(run) if line["step"] <= step and "tokens" in line]
    done = [("steps done", f"{step:,}")]
    if lines:
        done.append(("tokens seen", f"{lines[-1]['tokens']:,}"))
        done.append(("seconds of training", f"{lines[-1]['elapsed']:,.0f}"))
    done.append(("fingerprint of the run", run_folder.fingerprint(recipe)))
    return "## Training\n\n" + table(SETTING, [*done, *recipe["pretrain"].items()])


def _held_out(run: Path, recipe: Mapping[str, Any], step: int) -> str:
    """Figures of the last validation up to the step; nothing without one."""
    found = [x for x in read_metrics(run) if x["step"] <= step and "validation" in x]
    if not found:
        return ""
    last = found[-1]
    folder = Path(recipe.get("validation", {}).get("folder", "")).name
    on = f" on `{folder}`" if folder else ""
    figures = [(name.replace("_", " "), f"{v:.4f}") for name, v in last["validation"].items()]
    return (
        f"## Held-out figures\n\nAfter step {last['step']:,}{on}; losses are cross-entropies in "
        "nats.\n\n" + table(("figure", "value"), figures)
    )
