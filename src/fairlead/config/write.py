"""Write a first configuration from what the providers declare. It holds references to secrets, and no secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap

import msgspec

from fairlead.errors import ConfigFileError
from fairlead.spec.describe import duration_text, plan_text
from fairlead.spec.provider import Credential, Provider, variable_name

#: The variable that the written file names for the gateway's key.
GATEWAY_KEY = "FAIRLEAD_KEY"
_WIDTH = 100

_HEAD = """\
# Fairlead's configuration. `fairlead check` tries it; docs/reference/settings.md has every setting.
# Secrets stay outside: env:NAME or file:/path says where they are.
"""
_GATEWAY = f"""\
# `fairlead serve` listens on 127.0.0.1:8080 unless told otherwise. Callers show one of the keys.
[gateway]
api_keys = ["env:{GATEWAY_KEY}"]
"""


def refuse_existing(path: str) -> None:
    """Raise `ConfigFileError` where there is such a file already."""
    if Path(path).exists():
        raise _exists(path)


def write_settings(path: str, text: str, *, may_overwrite: bool) -> None:
    """Write the configuration file; raise `ConfigFileError` where it exists and may not be overwritten."""
    try:
        with Path(path).open("w" if may_overwrite else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise ConfigFileError(
            f"{path} cannot be written: {error.strerror}.", hint="Check the path and its permissions."
        ) from None


def render_settings(providers: Mapping[str, Provider]) -> str:
    """Return a configuration with a connection for each provider, and a route for each capability that one has."""
    parts = [_HEAD, *(_connection(name, provider) for name, provider in providers.items())]
    routes: dict[str, list[str]] = {}
    for name, provider in providers.items():
        for capability in provider.capabilities:
            routes.setdefault(capability, []).append(name)
    parts += [_route(capability, names) for capability, names in routes.items()]
    return "\n".join([*parts, _GATEWAY])


def _exists(path: str) -> ConfigFileError:
    return ConfigFileError(
        f"{path} exists already.", hint="Overwrite it with --force, or name another file with --output."
    )


def _connection(name: str, provider: Provider) -> str:
    lines = [
        *_comment(f"{provider.title}: {provider.docs_url}"),
        f"[connections.{_key(name)}]",
        f"provider = {_text(name)}",
        *(_credential(name, each) for each in provider.credentials),
        *_plan(provider),
        *_terms(provider),
    ]
    return "\n".join(lines) + "\n"


def _credential(name: str, credential: Credential) -> str:
    """Write the reference; one that is not needed by everybody is commented out."""
    reference = _text(f"env:{variable_name(name, credential.name)}")
    line = f"credentials.{_key(credential.name)} = {reference}"
    if credential.is_required:
        return line
    return "\n".join([*_comment(f"{credential.label}. {credential.help}."), f"# {line}"])


def _plan(provider: Provider) -> Iterator[str]:
    """Write the plan, whose limits are kept, and beside it the others."""
    if provider.default_plan is None:
        return
    choices = ", ".join(f"{name} ({plan_text(plan)})" for name, plan in provider.plans.items())
    yield from _comment(f"Your price plan, whose limits are kept: {choices}.")
    yield f"plan = {_text(provider.default_plan)}"


def _terms(provider: Provider) -> Iterator[str]:
    """Write what the terms demand, and the permission to keep answers commented out."""
    if provider.terms is None:
        return
    if provider.terms.attribution:
        yield from _comment(provider.terms.attribution)
    longest = provider.terms.cache_max_age_s
    span = "" if longest is None else f" for {duration_text(longest)}"
    if longest == 0:
        yield from _comment("The terms let no answer be kept.")
    elif provider.terms.cache_needs_permission:
        yield from _comment(f"The terms let answers be kept{span} only once the vendor has agreed. Where it has:")
        yield "# cache_permitted = true"
    elif span:
        yield from _comment(f"The terms let answers be kept{span}.")


def _route(capability: str, names: list[str]) -> str:
    others = "The first that can serve does; where it fails, the next one stands in." if len(names) > 1 else ""
    connections = ", ".join(map(_text, names))
    return "\n".join([*_comment(others), f"[routes.{_key(capability)}]", f"connections = [{connections}]"]) + "\n"


def _comment(text: str) -> list[str]:
    """Write a text as lines of comment; nothing in it can end the comment."""
    words = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return wrap(
        words,
        _WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _key(text: str) -> str:
    """Write a key, bare where TOML allows that."""
    return text if re.fullmatch("[A-Za-z0-9_-]+", text) else _text(text)


def _text(text: str) -> str:
    """Write a basic string of TOML, whose escapes are those of JSON; it has one character more that needs them."""
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")
