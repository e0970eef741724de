"""`lmprep build`: text -> training examples in Arrow shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmprep.cli.console import progress, say, show_json, show_table
from lmprep.cli.options import (
    RATE,
    SIZE,
    corpus_options,
    default_workers,
    family_option,
    given,
    settled,
)
from lmprep.objective_settings import FORMS
from lmprep.settings import PAIRS, SEQUENCES

if TYPE_CHECKING:
    from lmprep.engines.job import BuildResult, Plan

# Flags that decide how a build runs, not what it holds.
_RUN_FLAGS = (
    "corpus", "tokenizer", "out", "family", "workers", "resume", "force", "dry_run", "as_json",
)  # fmt: skip


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep build mlm corpus/*.txt -t tok -o shards --pairs nsp --length 128\n"
    "  zcat books.jsonl.gz | lmprep build mlm - --format jsonl -t tok -o shards --valid 1%"
)
@click.argument("objective", type=click.Choice(tuple(FORMS)))
@corpus_options
@click.option("-t", "--tokenizer", required=True, help="Tokenizer folder or tokenizer.json.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Output folder.")
@click.option(
    "--length", type=int, help="Tokens in a sequence at most, special ones too.  [default: 128]"
)
@click.option(
    "--sequences",
    type=click.Choice(SEQUENCES),
    help="Windows of one document (default), or of many packed together.",
)
@click.option("--pairs", type=click.Choice(PAIRS), help="Sentence pairs and their task.")
@click.option(
    "--short-sequence-probability",
    type=RATE,
    help="Pairs: share that aims at a shorter length.  [default: 0.1]",
)
@click.option("--mask-rate", type=RATE, help="Share of tokens to predict.  [default: 0.15]")
@click.option("--mask-share", type=RATE, help="Share of those that are masked.  [default: 0.8]")
@click.option("--random-share", type=RATE, help="Share made a random token.  [default: 0.1]")
@click.option("--seed", type=int, help="Every draw depends on it.  [default: 0]")
@click.option("--copies", type=int, help="Corrupt each sequence so often.  [default: 1]")
@click.option("--valid", type=RATE, help="Share of documents for OUT-valid, such as 1%.")
@click.option("--partition-size", type=SIZE, help="Text in a partition.  [default: 64MB]")
@click.option("--keep-order", is_flag=True, default=None, help="Do not shuffle rows.")
@family_option("Family of a foreign tokenizer that does not tell it.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=default_workers,
    show_default="cores",
    help="Processes; the bytes written do not depend on it.",
)
@click.option("--resume", is_flag=True, help="Continue an unfinished build.")
@click.option("--force", is_flag=True, help="Remove an earlier build in OUT and start over.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Result as JSON on stdout.")
def build(**options: Any) -> None:
    """Turn CORPUS (files, globs, or - for stdin) into training examples for OBJECTIVE."""
    from lmprep.build import BuildSettings
    from lmprep.engines.job import make_plan, run

    if options["resume"] and options["force"]:
        raise click.UsageError("--resume and --force exclude each other.")
    settings = settled(lambda: BuildSettings.from_options(given(options, *_RUN_FLAGS)))
    plan = make_plan(
        options["corpus"],
        options["tokenizer"],
        options["out"],
        settings,
        family=options["family"],
    )
    if options["dry_run"]:
        _show_plan(plan, options["as_json"])
        return
    total = sum(file.bytes for file in plan.inputs)
    known = all(file.seekable for file in plan.inputs)
    with progress("build", total if known else None) as advance:
        result = run(
            plan,
            workers=options["workers"],
            resume=options["resume"],
            force=options["force"],
            on_receipt=lambda receipt: advance(receipt["text_bytes"]),
        )
    _show(result, options["out"], options["as_json"])


def _show_plan(plan: Plan, as_json: bool) -> None:
    facts = {
        "inputs": len(plan.inputs),
        "input_bytes": sum(file.bytes for file in plan.inputs),
        "sources": len(plan.sources),
        "fingerprint": plan.paper["fingerprint"],
        "settings": plan.paper["settings"],
    }
    if as_json:
        show_json(facts)
        return
    rows = [(name, value) for name, value in facts.items() if name != "settings"]
    show_table("Plan (nothing written)", ("what", "value"), rows)


def _show(result: BuildResult, out: Path, as_json: bool) -> None:
    if result.already_complete:
        say(f"{out} is already complete; nothing to do.")
    if as_json:
        show_json(
            {
                part: {
                    "documents": manifest["documents"],
                    "drops": manifest["drops"],
                    "fingerprint": manifest["fingerprint"],
                    "shards": len(manifest["shards"]),
                    **manifest["totals"],
                }
                for part, manifest in result.manifests.items()
            }
        )
        return
    for part, manifest in result.manifests.items():
        totals = manifest["totals"]
        dropped = ", ".join(f"{count} {reason}" for reason, count in manifest["drops"].items())
        say(
            f"{part}: {totals['rows']} examples, {totals['tokens']} tokens, "
            f"{totals['scored_tokens']} to predict, {len(manifest['shards'])} shards, "
            f"{totals['bytes'] / 1e6:.1f} MB; dropped: {dropped or 'nothing'}"
        )
