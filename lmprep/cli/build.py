"""`lmprep build`: text -> training examples in Arrow shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lmprep.cli.console import progress, say, show_json, show_table
from lmprep.cli.objectives import ObjectiveGroup, add_objectives, objective_options
from lmprep.cli.options import (
    FOLDER,
    RATE,
    SIZE,
    TASK,
    default_workers,
    family_option,
    given,
    reading_options,
    settled,
    with_options,
)
from lmprep.objective_settings import FORMS
from lmprep.settings import DEDUP

if TYPE_CHECKING:
    from lmprep.engines.job import BuildResult, Plan

# Flags that decide how a build runs, not what it holds.
_RUN_FLAGS = (
    "corpus", "tokenizer", "out", "family", "workers", "engine", "task", "finish", "resume",
    "force", "dry_run", "as_json",
)  # fmt: skip


@click.group(
    cls=ObjectiveGroup,
    epilog="\b\nExamples:\n"
    "  lmprep build mlm corpus/*.txt -t tok -o shards --pairs nsp --length 128\n"
    "  zcat books.jsonl.gz | lmprep build t5 - --format jsonl -t tok -o shards --valid 1%",
)
def build() -> None:
    """Turn a corpus into training examples for an OBJECTIVE.

    Each has its own flags: lmprep build OBJECTIVE --help. A flag's default can be set in the
    environment, as LMPREP_BUILD_LENGTH, or LMPREP_BUILD_MLM_LENGTH for one objective.
    """


_shared_options = with_options(
    click.option("--seed", type=int, help="Every draw depends on it.  [default: 0]"),
    click.option("--copies", type=int, help="Corrupt each sequence so often.  [default: 1]"),
    click.option("--valid", type=RATE, help="Share of documents for OUT-valid, such as 1%."),
    click.option("--partition-size", type=SIZE, help="Text in a partition.  [default: 64MB]"),
    click.option(
        "--dedup",
        type=click.Choice(DEDUP),
        help="exact: drop, and count, documents whose text came before; reads the corpus twice.  "
        "[default: none]",
    ),
    click.option("--keep-order", is_flag=True, default=None, help="Do not shuffle rows."),
    click.option(
        "--dense",
        is_flag=True,
        default=None,
        help="Write padded columns as Hugging Face models take them; for use without lmprep.",
    ),
    family_option("Family of a foreign tokenizer that does not tell it."),
    click.option(
        "--workers",
        type=click.IntRange(1),
        help="Processes; the bytes written do not depend on it.  [default: cores]",
    ),
    click.option(
        "--engine",
        type=click.Choice(("local", "ray")),
        default="local",
        show_default=True,
        help="Where they run: here, or in the Ray cluster that RAY_ADDRESS names (extra ray).",
    ),
    click.option(
        "--task",
        type=TASK,
        help="Build share I of N, I from 0, beside the other tasks; the last one completes OUT.",
    ),
    click.option("--finish", is_flag=True, help="Complete OUT when all its tasks have ended."),
    click.option("--resume", is_flag=True, help="Continue an unfinished build."),
    click.option("--force", is_flag=True, help="Remove an earlier build in OUT and start over."),
    click.option("--dry-run", is_flag=True, help="Say what would be done and write nothing."),
    click.option("--json", "as_json", is_flag=True, help="Result as JSON on stdout."),
)


def _command(objective: str) -> click.Command:
    """`lmprep build OBJECTIVE`."""

    def callback(**options: Any) -> None:
        _build(objective, options)

    callback.__doc__ = f"""Turn CORPUS (files, globs, or - for stdin) into training examples.

    The objective: {FORMS[objective].title}.
    """
    decorate = with_options(
        click.argument("corpus", nargs=-1, required=True),
        click.option(
            "-t", "--tokenizer", required=True, help="Tokenizer folder or tokenizer.json."
        ),
        click.option(
            "-o", "--out", required=True, type=FOLDER, help="Output folder, or a URL (s3://...)."
        ),
        objective_options(objective),
        reading_options,
        _shared_options,
    )
    examples = (
        f"  lmprep build {objective} corpus/*.txt -t tok -o shards\n"
        f"  zcat dump.jsonl.gz | lmprep build {objective} - --format jsonl -t tok -o shards"
    )
    return click.command(epilog=f"\b\nExamples:\n{examples}")(decorate(callback))


add_objectives(build, _command, tuple(FORMS))


def _build(objective: str, options: dict[str, Any]) -> None:
    from lmprep.ahead import before_build
    from lmprep.build_settings import BuildSettings
    from lmprep.engines.job import make_plan, run

    if options["resume"] and options["force"]:
        raise click.UsageError("--resume and --force exclude each other.")
    if options["force"] and (options["task"] or options["finish"]):
        raise click.UsageError("--force would remove what other tasks are building.")
    if options["engine"] == "ray" and options["task"]:
        raise click.UsageError("--engine ray shares out the work itself; leave --task out.")
    if options["task"] and options["finish"]:
        raise click.UsageError("--task and --finish exclude each other.")
    flags = given(options, *_RUN_FLAGS)
    settings = settled(lambda: BuildSettings.from_options({"objective": objective, **flags}))
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
    before_build(plan.job.tokenizer, settings)
    total = sum(file.bytes for file in plan.inputs)
    total *= 1 if settings.dedup == "none" else 2  # it is read twice
    known = all(file.seekable for file in plan.inputs) and not options["task"]
    with progress("build", total if known else None) as advance:
        result = run(
            plan,
            workers=_workers(options),
            engine=options["engine"],
            task=options["task"],
            finish=options["finish"],
            resume=options["resume"],
            force=options["force"],
            on_receipt=lambda receipt: advance(receipt["text_bytes"]),
        )
    _show(result, options["out"], options["as_json"])


def _workers(options: dict[str, Any]) -> int | None:
    """Here as many as there are cores, unless told; a cluster knows its own."""
    if options["workers"] is None and options["engine"] == "local":
        return default_workers()
    workers: int | None = options["workers"]
    return workers


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


def _show(result: BuildResult, out: object, as_json: bool) -> None:
    if result.waits_for:
        say(f"{out}: this task is done; the dataset is not complete yet: {result.waits_for}.")
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
