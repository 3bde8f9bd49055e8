"""How results look on a terminal, and as JSON."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fairlead import errors

_PIPE_WIDTH = 10_000


def new_console(*, stderr: bool = False) -> Console:
    """Return a console. A pipe has no width: there nothing is wrapped, so that lines can be searched."""
    console = Console(stderr=stderr, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


out = new_console()
err = new_console(stderr=True)


def plain(text: str) -> str:
    """Return somebody else's text such that it stands as it is: it is no markup, and does not steer the terminal."""
    return escape("".join(char if char.isprintable() else " " for char in text))


def print_json(value: Any) -> None:
    """Print a value as JSON, indented when somebody watches."""
    encoded = msgspec.json.encode(value)
    sys.stdout.write((msgspec.json.format(encoded, indent=2) if sys.stdout.isatty() else encoded).decode() + "\n")
    sys.stdout.flush()


def print_error(error: errors.FairleadError) -> None:
    """Print what happened, to whom, and what to do."""
    whom = "".join(f"{part}: " for part in (error.connection, error.operation) if part)
    err.print(f"[bold red]error[/] [dim]{error.code}[/]  {plain(whom + error.message)}")
    if error.hint:
        err.print(f"       {plain(error.hint)}")


def error_document(error: errors.FairleadError) -> dict[str, Any]:
    """Return an error as JSON has it."""
    found = {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "connection": error.connection,
        "operation": error.operation,
        "call_id": error.call_id,
        "outcome": error.outcome,
        "retry_after_s": error.retry_after_s,
        "attempts": error.attempts,
    }
    return {key: value for key, value in found.items() if value}


def new_table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """Return an empty table; `numbers` names the columns that stand to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        # What does not fit goes on in the next line: half an address leads nowhere.
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return table
