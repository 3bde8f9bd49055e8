"""The options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., Any]

with_config: Callable[[Command], Command] = click.option(
    "--config",
    "-c",
    default="fairlead.toml",
    envvar="FAIRLEAD_CONFIG",
    show_default=True,
    show_envvar=True,
    help="The configuration file.",
)
with_json: Callable[[Command], Command] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead of text."
)
