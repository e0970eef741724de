"""`lmprep export`: the model of a run in Hugging Face's layout."""

from __future__ import annotations

from pathlib import Path

import click

from lmprep.cli.console import say


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep export run -o my-model\n"
    "  lmprep export run -o my-model --checkpoint 5000 --force"
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder to write.",
)
@click.option(
    "--checkpoint", type=int, metavar="STEP", help="Step of a checkpoint.  [default: the newest]"
)
@click.option(
    "--force",
    is_flag=True,
    help="Replace an earlier export in DIR; files of other names stay.",
)
def export(run: Path, folder: Path, checkpoint: int | None, force: bool) -> None:
    """Write the model of RUN as a folder that transformers loads.

    It holds config.json, model.safetensors, the tokenizer and a model card, README.md. Weights are
    those of training, in float32. `lmprep pretrain --init DIR` begins from it.
    """
    from lmprep.export import export as write

    written = write(run, folder, step=checkpoint, force=force)
    for head in written.left_out:
        say(f"Left out: the {head}, for which {written.class_name} has no place.")
    say(f"{folder}: {written.class_name}, {written.parameters:,} parameters, step {written.step:,}")
