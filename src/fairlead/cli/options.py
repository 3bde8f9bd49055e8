"""The options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

from fairlead.errors import InvalidArgumentError, UnknownProviderError
from fairlead.runtime.registry import load_provider
from fairlead.spec.provider import Provider

Command = Callable[..., Any]

with_config: Callable[[Command], Command] = click.option(
    "--config",
    "-c",
    type=click.Path(readable=False),  # for shells, which then complete it; it is read later, with a better error
    default="fairlead.toml",
    envvar="FAIRLEAD_CONFIG",
    show_default=True,
    show_envvar=True,
    help="The configuration file.",
)
with_json: Callable[[Command], Command] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead of text."
)


def completing(names: Callable[[], Iterable[str]]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return what completes an argument, for a shell, with one of these names."""

    def complete(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
        return [name for name in names() if name.startswith(begun)]

    return complete


def provider_named(name: str) -> Provider:
    """Load a provider that the command line names; an unknown one is a wrong command line."""
    try:
        return load_provider(name)
    except UnknownProviderError as error:
        raise InvalidArgumentError(error.message, hint=error.hint) from None
