"""`fairlead init`."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

import click
import msgspec

from fairlead.cli.console import err, new_table, out, plain, print_json
from fairlead.cli.options import completing, provider_named, with_json
from fairlead.config.sources import ProcessSources
from fairlead.config.write import GATEWAY_KEY, refuse_existing, render_settings, write_settings
from fairlead.errors import InvalidArgumentError
from fairlead.runtime.registry import provider_names
from fairlead.spec.provider import Provider, variable_name
from fairlead.testing.registry import fake_names


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """A variable that the written configuration reads."""

    name: str
    help: str
    is_set: bool


@click.command("init")
@click.option(
    "--provider",
    "names",
    multiple=True,
    metavar="NAME",
    shell_complete=completing(provider_names),
    help="Connect this provider; repeat it for several. The first is asked first.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(readable=False),
    default="fairlead.toml",
    show_default=True,
    help="The file to write.",
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
@click.option("--yes", "-y", is_flag=True, help="Ask nothing: without --provider, connect all that serve a capability.")
@with_json
def command(names: tuple[str, ...], output: str, *, force: bool, yes: bool, as_json: bool) -> None:
    """Write a first configuration, and say which variables to set.

    Asks which providers to connect, unless --provider or --yes tells. The file holds references to secrets, and no
    secret.
    """
    if not force:
        refuse_existing(output)
    chosen = names or (serving() if yes else ask())
    providers = {name: provider_named(name) for name in chosen}
    write_settings(output, render_settings(providers), may_overwrite=force)
    needed = list(variables(providers))
    following = "fairlead check" + ("" if output == "fairlead.toml" else f" --config {shlex.quote(output)}")
    if as_json:
        print_json({"written": output, "connections": list(providers), "variables": needed, "next": following})
    else:
        print_what_to_do(output, providers, needed, following)


def serving() -> tuple[str, ...]:
    """Return the providers that serve a capability; the others only send to us."""
    return tuple(name for name in provider_names() if provider_named(name).capabilities)


def ask() -> tuple[str, ...]:
    """Ask which providers to connect, and in which order."""
    if not os.isatty(0):
        raise click.UsageError("Nobody can be asked here: name providers with --provider, or take all with --yes.")
    names = provider_names()
    table = new_table("", "provider", "title", "serves", numbers=("",))
    for number, name in enumerate(names, 1):
        provider = provider_named(name)
        serves = [*provider.capabilities, *(["webhooks"] if provider.webhooks else [])]
        table.add_row(f"{number}", plain(name), plain(provider.title), ", ".join(serves))
    err.print(table)
    everything = " ".join(str(names.index(name) + 1) for name in serving())
    chosen: tuple[str, ...] = click.prompt(
        "\nWhich ones, by number or name? The first is asked first",
        default=everything,
        value_proc=lambda answer: choose(answer, names),
        err=True,
    )
    return chosen


def choose(answer: str, names: Sequence[str]) -> tuple[str, ...]:
    """Read numbers and names; raise `UsageError`, upon which click asks again, for what is neither."""
    chosen = []
    for word in re.split(r"[\s,]+", answer.strip(", \t")):
        is_number = re.fullmatch("[0-9]{1,4}", word) and 1 <= int(word) <= len(names)
        name = names[int(word) - 1] if is_number else word
        try:
            provider_named(name)
        except InvalidArgumentError as error:
            raise click.UsageError(f"{error.message} {error.hint}") from None
        chosen.append(name)
    return tuple(chosen)


def variables(providers: Mapping[str, Provider]) -> Iterator[Variable]:
    """Yield every variable that the configuration needs."""
    sources = ProcessSources()
    for name, provider in providers.items():
        for credential in provider.credentials:
            if credential.is_required:
                variable = variable_name(name, credential.name)
                said = f"{credential.label}: {credential.help}"
                yield Variable(name=variable, help=said, is_set=bool(sources.environment(variable)))
    said = "The key that callers of the gateway show: choose it yourself"
    yield Variable(name=GATEWAY_KEY, help=said, is_set=bool(sources.environment(GATEWAY_KEY)))


def print_what_to_do(output: str, providers: Mapping[str, Provider], needed: list[Variable], following: str) -> None:
    """Say what was written, what to set, and what to run then."""
    out.print(f"Wrote [bold]{plain(output)}[/]: {plain(', then '.join(providers))}.", soft_wrap=True)
    missing = [each for each in needed if not each.is_set]
    if len(missing) < len(needed):
        out.print(f"Set already: {', '.join(each.name for each in needed if each.is_set)}.", soft_wrap=True)
    out.print(f"\n{'Set these, then run' if missing else 'Now run'} [bold]{plain(following)}[/].", soft_wrap=True)
    for each in missing:
        out.print(f"\n# {plain(each.help)}", style="dim", soft_wrap=True)
        out.print(f"export {each.name}=...", markup=False, soft_wrap=True)
    faked = [name for name in providers if name in fake_names()]
    if faked and missing:
        out.print(f"\n[dim]No account yet? A stand-in will do:[/] fairlead fake {plain(faked[0])}", soft_wrap=True)
