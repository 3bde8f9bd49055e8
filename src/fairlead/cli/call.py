"""`fairlead call`."""

from __future__ import annotations

import asyncio

import click

from fairlead.cli.console import err, out, print_json
from fairlead.cli.options import completing, with_config, with_json
from fairlead.cli.show import answer_document, print_answer
from fairlead.errors import InvalidArgumentError
from fairlead.model.answer import Answer
from fairlead.runtime.by_name import OPERATIONS, call_by_name
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.wanted import CallOptions


def _usage() -> str:
    lines = (
        f"  {name} {' '.join(word.rstrip('!') + '=...' for word in each.words)}" for name, each in OPERATIONS.items()
    )
    return "\b\nOperations:\n" + "\n".join(lines)


@click.command("call", epilog=_usage())
@click.argument("operation", shell_complete=completing(lambda: OPERATIONS))
@click.argument("words", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--deadline", type=click.FloatRange(min=0, min_open=True), help="Seconds the call may take.")
@with_config
@with_json
def command(operation: str, words: tuple[str, ...], deadline: float | None, config: str, *, as_json: bool) -> None:
    """Make one call and print its answer, as in: fairlead call recipes.search q=pasta."""
    options: CallOptions = {"deadline_s": deadline} if deadline else {}
    answer = asyncio.run(make(config, operation, words, options))
    if as_json:
        print_json(answer_document(answer))
        return
    print_answer(answer, out)
    if answer.call:
        age = f", {answer.call.age_s:.0f} s old" if answer.is_stale else ""
        err.print(
            f"[dim]served by[/] {answer.served_by}{age} [dim]in {answer.call.total_s * 1000:.0f} ms, "
            f"{answer.call.exchanges} attempt{'s' * (answer.call.exchanges != 1)}, call {answer.call.call_id}[/]"
        )


async def make(config: str, operation: str, words: tuple[str, ...], options: CallOptions) -> Answer:
    """Read the configuration and make the call."""
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidArgumentError(f"{word!r} is not NAME=VALUE.", hint="Write it as q=pasta.")
        pairs[name] = value
    async with Fairlead.from_config(config) as fl:
        return await call_by_name(fl, operation, pairs, options)
