"""`fairlead`: the command line. Commands are loaded when they are run, so that `--help` is quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from fairlead import __version__
from fairlead.errors import ConfigError, FairleadError, OutcomeUnknownError, UnknownProviderError, UsageError

#: Command -> its one line in the help. The command itself is `fairlead.cli.<command>.command`.
COMMANDS = {
    "demo": "Play an outage from start to recovery, with no account.",
    "providers": "Show what each provider can do, needs and allows.",
    "init": "Write a first configuration.",
    "check": "Try the configuration and say what is wrong with it.",
    "call": "Make one call and print its answer.",
    "calls": "Look at the calls that are kept, and decide on them.",
    "serve": "Run the gateway.",
    "webhooks": "See what vendors sent, have it handled again, and receive it while developing.",
    "email": "Look after what concerns email: who may not be written to.",
    "fake": "Run a stand-in for a vendor, to be broken at will.",
    "completion": "Print the script that completes commands in a shell.",
}

EXIT_CODES = """\b
Exit codes:
  0  it worked
  1  the call failed, or a check found a problem
  2  the command line is wrong
  3  the configuration is wrong
  4  whether the effect happened is not known
  130  interrupted; a server that is asked to end has worked, and ends with 0"""


class Commands(click.Group):
    """Lists every command and loads only the one that is run."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command without loading any."""
        found = [CompletionItem(name, help=said) for name, said in COMMANDS.items() if name.startswith(incomplete)]
        return found or click.Command.shell_complete(self, ctx, incomplete)  # the options

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of a newcomer's day."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"fairlead.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; where there is none of that name, name the closest."""
        close = get_close_matches(args[0], COMMANDS, n=1)
        if args[0] not in COMMANDS and close and not ctx.resilient_parsing:
            ctx.fail(f"There is no command {args[0]!r}. Did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list without loading the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Depend on other people's services without noticing it."""


def run() -> None:
    """Run the command line, and end with the exit code that fits."""
    try:
        sys.exit(obey())
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that nothing is left to fail at the end
        sys.exit(1)


def obey() -> int:
    """Run the command, and tell why it failed if it did; return the exit code."""
    try:
        check_text(sys.argv)
        main.main(prog_name="fairlead", standalone_mode=False)
    except click.ClickException as error:
        tell({"code": "usage", "message": error.format_message()}, error.show)
        return 2
    except (KeyboardInterrupt, click.Abort):
        tell({"code": "interrupted", "message": "Interrupted."}, lambda: click.echo("interrupted", err=True))
        return 130
    except FairleadError as error:
        console = import_module("fairlead.cli.console")
        tell(console.error_document(error), partial(console.print_error, error))
        return exit_code(error)
    return 0


def check_text(arguments: Sequence[str]) -> None:
    """Refuse bytes that are no text, before anything tries to send or to print them."""
    try:
        "".join(arguments).encode()
    except UnicodeEncodeError:
        raise click.UsageError("The command line is not UTF-8 text.") from None


def tell(error: dict[str, Any], to_people: Callable[[], None]) -> None:
    """Tell an error: as one JSON document on stdout where that is wished, whatever the command, else to people."""
    if "--json" in sys.argv:
        import_module("fairlead.cli.console").print_json({"error": error})
    else:
        to_people()


def exit_code(error: FairleadError) -> int:
    """Return the exit code for an error."""
    match error:
        case OutcomeUnknownError():
            return 4
        case ConfigError() | UnknownProviderError():  # only a configuration names providers
            return 3
        case UsageError():
            return 2
    return 1
