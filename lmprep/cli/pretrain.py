"""`lmprep pretrain`: examples -> a trained model in a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmprep.cli.console import say, show_json, show_table
from lmprep.cli.live import display, duration, validation_facts
from lmprep.cli.options import DATASET, DURATION, RATE, Written, given, settled
from lmprep.errors import UsageError
from lmprep.pretrain_settings import (
    COMPILE,
    DEVICES,
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULES,
    SHARDINGS,
    PretrainSettings,
)
from lmprep.settings import parse_assignment, parse_rate

if TYPE_CHECKING:
    from lmprep.training.preparation import Setup
    from lmprep.training.pretraining import Result

_SHARES = Written("shares", lambda text: tuple(map(parse_rate, str(text).split(","))))
# Flags that are not settings of the run.
_RUN_FLAGS = ("datasets", "run", "validation", "changes", "resume", "dry_run", "as_json")


def _default(name: str) -> str:
    """The default of a setting, as help shows it."""
    return f"  [default: {PretrainSettings(model='any', steps=1).as_dict()[name]}]"


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep pretrain shards -o run --model bert-mini --time 10m --eval shards-valid\n"
    "  lmprep pretrain shards -o run --resume",
)
@click.argument("datasets", nargs=-1, required=True, type=DATASET, metavar="OUT...")
@click.option(
    "-o",
    "--out",
    "run",
    required=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Run folder.",
)
@click.option(
    "--model",
    help="A name such as bert-mini, gpt2-small, t5-tiny or bart-base, or a TOML file.",
)
@click.option(
    "--init",
    metavar="RUN|FOLDER|NAME",
    help="First weights: of a run, of a folder in Hugging Face's layout, or of a name on its hub.",
)
@click.option(
    "--teacher",
    metavar="RUN|FOLDER|NAME",
    help="Distil this model: learn what it predicts, too, and begin with every other layer of it.",
)
@click.option(
    "--init-embeddings",
    metavar="FILE",
    help="Word vectors as text (word2vec's format, GloVe's) that tokens' embeddings begin with.",
)
@click.option(
    "--steps", type=int, help="Updates of the weights. One of --steps, --tokens, --time is needed."
)
@click.option("--tokens", type=int, help="Tokens of text to see, padding not counted.")
@click.option(
    "--epochs",
    type=int,
    help="Of word vectors: how often the data are seen.  [default: 5]",
)
@click.option(
    "--time",
    type=DURATION,
    help="How long to train, such as 90s, 10m or 1.5h; validations and checkpoints do not count.",
)
@click.option(
    "--stage",
    "stages",
    multiple=True,
    metavar="LENGTH:SHARE",
    help="A part of the training on the datasets of this length, such as 128:0.9; one for each.",
)
@click.option(
    "--weights", type=_SHARES, help="Shares of the datasets, such as 0.7,0.3.  [default: by rows]"
)
@click.option(
    "--batch-tokens",
    type=int,
    help="Tokens in the inputs of an update, padding counted." + _default("batch_tokens"),
)
@click.option(
    "--optimizer", type=click.Choice(OPTIMIZERS), help="Of the weights." + _default("optimizer")
)
@click.option("--lr", type=float, help="Peak learning rate.  [default: 5e-4; 1e-4 from width 768]")
@click.option(
    "--schedule",
    type=click.Choice(SCHEDULES),
    help="Learning rate after the warmup." + _default("schedule"),
)
@click.option(
    "--warmup", type=RATE, help="Share of the training in which it rises." + _default("warmup")
)
@click.option(
    "--weight-decay", type=float, help="Of matrices and embeddings." + _default("weight_decay")
)
@click.option("--clip", type=float, help="Norm gradients are scaled down to." + _default("clip"))
@click.option(
    "--dropout", type=float, help="Of hidden states and attention.  [default: the model's]"
)
@click.option(
    "--token-weight", type=float, help="Weight of the tokens' loss." + _default("token_weight")
)
@click.option(
    "--pair-weight", type=float, help="Weight of the pairs' loss." + _default("pair_weight")
)
@click.option(
    "--boundary-weight",
    type=float,
    help="Weight of the span-boundary loss." + _default("boundary_weight"),
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Of matrix products; auto: bf16 where the processor has it." + _default("precision"),
)
@click.option("--device", type=click.Choice(DEVICES), help="Where to compute." + _default("device"))
@click.option(
    "--compile",
    type=click.Choice(COMPILE),
    help="Whether torch compiles the model; auto: on CUDA." + _default("compile"),
)
@click.option(
    "--sharding",
    type=click.Choice(SHARDINGS),
    help="Under torchrun: a whole model for each process, or a part." + _default("sharding"),
)
@click.option("--seed", type=int, help="Of weights, order and dropout." + _default("seed"))
@click.option(
    "--eval",
    "validation",
    type=DATASET,
    metavar="OUT",
    help="Held-out dataset, scored at every checkpoint.  [default with --resume: the run's]",
)
@click.option(
    "--checkpoint-every",
    type=int,
    help="Steps from checkpoint to checkpoint; the newest two are kept."
    + _default("checkpoint_every"),
)
@click.option(
    "--keep-every", type=int, help="Checkpoints that are kept for good: every so many steps."
)
@click.option(
    "--log-every", type=int, help="Steps in a line of metrics.jsonl." + _default("log_every")
)
@click.option(
    "--static",
    is_flag=True,
    default=None,
    help="Use the stored corruption in every epoch instead of drawing a new one.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another setting: "
    + ", ".join(
        (
            "micro_tokens",
            "packed",
            "cooldown",
            "final_lr",
            "beta1",
            "beta2",
            "spike",
            "skips",
            "temperature",
            "replaced_weight",
            "teacher_weight",
            "cosine_weight",
            "ngram_weight",
        )
    )
    + ", keep_last; of word vectors: width, threads, ceiling, power, removed.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Continue RUN from its newest intact checkpoint; its settings need not be given again.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Say what it would take, after a few timed steps; write nothing.",
)
@click.option("--json", "as_json", is_flag=True, help="Result as JSON on stdout.")
def pretrain(**options: Any) -> None:
    """Train a model on the datasets OUT... (folders of `lmprep build`) into the folder RUN.

    The objectives mlm, whole-word, ngram and span train an encoder, electra one with a generator,
    clm a decoder, t5, bart and ul2 an encoder-decoder, bilm a bi-lstm (elmo-small), skipgram and
    cooccurrence word vectors (word2vec-base, cbow-base, glove-base), which know --epochs, --lr,
    --seed, --eval, --log-every and --set.

    Ctrl-C and SIGTERM finish the step, save a checkpoint and exit with 130 or 143.
    """
    if _are_for_vectors(options["datasets"]):
        _pretrain_vectors(options)
        return
    if options["epochs"] is not None:
        raise UsageError(
            "--epochs is for word vectors", fix="Give --steps, --tokens or --time instead"
        )
    from lmprep.training import pretraining
    from lmprep.training.distributed import ranks_here
    from lmprep.training.preparation import prepare
    from lmprep.training.run_folder import refuse_existing

    datasets, run, resume = list(options["datasets"]), options["run"], options["resume"]
    settings = _settings(run, _flags(options), resume=resume)
    if not resume:
        refuse_existing(run)
    if options["dry_run"]:
        continued = run if resume and run.exists() else None
        prepared = prepare(datasets, settings, options["validation"], continued)
        _show_estimate(prepared, options["as_json"])
        return
    with display() as on_progress:
        result = pretraining.pretrain(
            datasets,
            run,
            settings,
            validation=options["validation"],
            resume=resume,
            on_progress=on_progress,
        )
    if ranks_here().leads:
        _show_result(result, options["as_json"])


def _are_for_vectors(datasets: Sequence[Path]) -> bool:
    """Do the datasets ask for a trainer of word vectors?"""
    from lmprep.shards.manifest import read_manifest
    from lmprep.vectors.settings import OBJECTIVES

    return read_manifest(datasets[0])["objective"] in OBJECTIVES


def _pretrain_vectors(options: dict[str, Any]) -> None:
    from lmprep.training.distributed import ranks_here
    from lmprep.training.run_folder import refuse_existing
    from lmprep.vectors.folder import settings_for
    from lmprep.vectors.training import train_vectors

    datasets, run, resume = options["datasets"], options["run"], options["resume"]
    if ranks_here().count > 1:
        raise UsageError("word vectors are trained by one process", fix="Leave torchrun out")
    if len(datasets) > 1:
        raise UsageError(
            "word vectors are trained on one dataset",
            path=datasets[1],
            fix="Build one dataset of both corpora",
        )
    flags = _flags(options)
    if not resume:
        refuse_existing(run)
    if "model" not in flags and not (resume and run.exists()):
        raise UsageError(
            "--model is missing", fix="Give one, such as --model word2vec-base or glove-base"
        )
    if options["dry_run"]:
        raise UsageError("--dry-run does not go with word vectors", fix="Leave it out")
    settings = settled(lambda: settings_for(run, flags, resume=resume))
    with display() as on_progress:
        result = train_vectors(
            datasets[0],
            run,
            settings,
            validation=options["validation"],
            resume=resume,
            on_progress=on_progress,
        )
    _show_result(result, options["as_json"])


def _flags(options: dict[str, Any]) -> dict[str, Any]:
    """The settings that are given, by flags of their own or by --set."""
    flags = given(options, *_RUN_FLAGS)
    if not flags.get("stages"):
        flags.pop("stages", None)
    return flags | dict(settled(partial(parse_assignment, text)) for text in options["changes"])


def _settings(run: Path, flags: dict[str, Any], *, resume: bool) -> PretrainSettings:
    from lmprep.training.run_folder import settings_for

    if not {"model", "init"} & set(flags) and not (resume and run.exists()):
        raise UsageError(
            "--model is missing", fix="Give one, such as --model bert-mini, or an --init"
        )
    return settled(lambda: settings_for(run, flags, resume=resume))


def _show_estimate(prepared: Setup, as_json: bool) -> None:
    from lmprep.training.estimates import estimate

    facts = asdict(estimate(prepared))
    if as_json:
        show_json(facts)
        return
    shown = {
        **{name: f"{v:,}" if isinstance(v, int) else v for name, v in facts.items()},
        "epochs": f"{facts['epochs']:.2f}",
        "memory_bytes": f"{facts['memory_bytes'] / 1e9:.2f} GB",
        "seconds_per_step": f"{facts['seconds_per_step']:.3f}",
        "seconds": duration(facts["seconds"]),
    }
    rows = [(name.replace("_", " "), value) for name, value in shown.items()]
    show_table("Estimate (nothing written)", ("what", "value"), rows)


def _show_result(result: Result, as_json: bool) -> None:
    if result.already_finished:
        say(f"{result.run} is already complete; nothing to do.")
    if as_json:
        show_json({**asdict(result), "run": str(result.run)})
        return
    losses = {name: f"{value:.4g}" for name, value in result.losses.items()}
    validation = validation_facts(result.validation, result.validation_step, result.step)
    numbers = ", ".join(f"{name} {value}" for name, value in (losses | validation).items())
    say(
        f"{result.run}: {result.step:,} steps, {result.tokens:,} tokens, "
        f"{duration(result.seconds)}; {numbers}"
    )
