"""`lmprep completion`: what makes a shell complete commands, options and names."""

from __future__ import annotations

import os

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")
_HOW = {
    "bash": 'eval "$(lmprep completion bash)"',
    "zsh": 'eval "$(lmprep completion zsh)"',
    "fish": "lmprep completion fish | source",
}


@click.command(
    epilog="\b\nExamples:\n"
    + "".join(f"  {how}\n" for how in _HOW.values())
    + "  lmprep completion bash > ~/.local/share/bash-completion/completions/lmprep",
)
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
def completion(shell: str | None) -> None:
    """Print a script that lets SHELL complete lmprep's commands, options and names.

    Put the line below into the shell's start file (~/.bashrc, ~/.zshrc,
    ~/.config/fish/config.fish). Without SHELL the one of $SHELL is taken.
    """
    shell = shell or os.path.basename(os.environ.get("SHELL", ""))
    if shell not in _SHELLS:
        raise click.UsageError(f"Name a shell: {', '.join(_SHELLS)}.")
    from lmprep.cli import cli

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "lmprep", "_LMPREP_COMPLETE").source())
