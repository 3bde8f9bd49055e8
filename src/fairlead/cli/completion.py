"""`fairlead completion`."""

from __future__ import annotations

import sys

import click
from click.shell_completion import get_completion_class

#: How the scripts ask for completions: click answers instead of running a command where this variable is set.
_VARIABLE = "_FAIRLEAD_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete commands, options, operations and providers.

    \b
    bash  eval "$(fairlead completion bash)"   in ~/.bashrc
    zsh   eval "$(fairlead completion zsh)"    in ~/.zshrc
    fish  fairlead completion fish | source    in ~/.config/fish/config.fish
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    kind = get_completion_class(shell)
    if kind is None:  # click knows all of the choices
        raise click.UsageError(f"There is no completion for {shell}.")
    sys.stdout.write(kind(ctx.find_root().command, {}, "fairlead", _VARIABLE).source() + "\n")
