"""The pages of `docs/reference`, made from the code: `python tests/docs/refresh.py` writes them all."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import click
import msgspec

from fairlead import errors
from fairlead.capabilities import news
from fairlead.capabilities.email import Feature
from fairlead.cli.main import COMMANDS, exit_code, main
from fairlead.config.group import Group
from fairlead.config.settings import Settings
from fairlead.gateway.answers import status_of
from fairlead.model.attempt import Attempt
from fairlead.observe.events import Event
from fairlead.observe.metrics import Metrics
from fairlead.runtime.by_name import OPERATIONS
from fairlead.runtime.event_words import FILTERS, PLACES
from fairlead.runtime.registry import load_provider, provider_names
from fairlead.spec.describe import iter_facts, list_operations
from fairlead.spec.provider import Provider
from fairlead.spec.settlement import Settlement
from fairlead.spec.webhook_text import scheme_text
from fairlead.testing.faults import Faults

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
REFRESH = "make fix"
Row = Sequence[str]

_SETTINGS = """\
# Settings

The configuration is TOML, in `fairlead.toml` unless `--config` or `FAIRLEAD_CONFIG` names another file. A key that is
not on this page is refused, and so is a value that cannot be. Secrets do not stand in it: `env:NAME` and `file:/path`
say where they are. `fairlead check` tries all of it. Times are in seconds."""

_ERRORS = """\
# Errors

Everything Fairlead raises is a `FairleadError`, from `fairlead` or `fairlead.errors`. Its `code` is stable: programs
may compare it. `message` says what happened, `hint` what to do; `provider`, `connection`, `operation` and `call_id` to
whom; `attempts` what was tried; `outcome` whether it was done, and `retry_after_s` in how many seconds a repeat may
succeed, where that is known. None of them ever holds a secret.

The last columns are the status that the [gateway](gateway.md) answers with, and the exit code of the
[command line](cli.md)."""

_EVENTS = """\
# Events

What Fairlead does, it tells in events. A sink is any function that takes one; it must be quick, and must not raise. No
event holds a secret.

```python
from fairlead import Fairlead
from fairlead.config.settings import Settings
from fairlead.observe.events import EventStream
from fairlead.runtime.ports import Ports

fl = Fairlead(Settings(), ports=Ports(events=EventStream((print,))))
```

`fairlead serve` logs each as a JSON line on stderr."""

_METRICS = """\
## Metrics

`GET /metrics` of the [gateway](gateway.md), made of the events above."""

_COMMANDS = """\
# The command line

With `--json` every command but `completion` prints exactly one JSON document on stdout, errors included:
`{"error": {"code": ..., "message": ..., "hint": ...}}`; `webhooks listen` goes on with one a line. Without it, results
go to stdout, and everything else to stderr.

`eval "$(fairlead completion bash)"` in `~/.bashrc` completes commands, options, operations and providers."""

_PROVIDERS = """\
# Providers

What the vendors' declarations say. `fairlead providers` shows the same, also of providers that other packages bring,
and with `--json` all of it; `fairlead init` writes a configuration from it."""

#: What the gateway answers of its own accord: code -> status and title.
_OWN_PROBLEMS = {
    "missing_key": (401, "The gateway needs one of its keys."),
    "unknown_event": (404, "No event has this id."),
    "unknown_path": (404, "The gateway has no such path."),
    "unknown_method": (405, "The gateway has no such method here."),
    "malformed_request": (400, "This is not HTTP/1.1 as RFC 9112 has it."),
    "slow_request": (408, "The request was too long in coming."),
    "head_too_large": (431, "The head of the request is longer than 64 KiB."),
    "too_many_connections": (503, "The gateway has all the connections it may."),
    "unsupported_coding": (501, "The proxy knows no transfer coding but chunked."),
    "unsupported_upgrade": (501, "The proxy speaks no protocol but HTTP."),
    "internal": (500, "The gateway failed; its log says why."),
}


def settings() -> str:
    """Document every setting."""
    parts = [_SETTINGS]
    for path, group in groups(Settings, ""):
        doc = inspect.getdoc(group) or ""
        parts += [f"## {f'`[{path}]`' if path else 'At the top'}", doc.strip(), table(_settings_rows(group))]
    return page(parts)


def groups(kind: type[Group], path: str) -> Iterator[tuple[str, type[Group]]]:
    """Walk the groups; a table whose keys are free is written `connections.NAME`, a list of tables `[...]`."""
    yield path, kind
    for name, hint in get_type_hints(kind).items():
        inner = plain(hint)
        below = f"{path}.{name}" if path else name
        if get_origin(inner) is dict:
            inner, below = get_args(inner)[1], f"{below}.NAME"
        elif get_origin(inner) is list:
            inner, below = get_args(inner)[0], f"[{below}]"
        if is_group(inner):
            yield from groups(inner, below)


def _settings_rows(group: type[Group]) -> Iterator[Row]:
    yield "key", "type", "default", "meaning"
    hints, said = get_type_hints(group, include_extras=True), comments(group)
    for field in msgspec.structs.fields(group):
        hint = plain(hints[field.name])
        if not any(map(is_group, (hint, *get_args(hint)))):
            yield f"`{field.name}`", type_text(hint), default_text(field), said[field.name]
        elif field.name in said:
            yield f"`{field.name}`", "tables" if get_origin(hint) is list else "table", "", said[field.name]


def type_text(hint: Any) -> str:
    """Say in words what a setting may be."""
    if get_origin(hint) is Annotated:
        kind, bounds = hint.__origin__, hint.__metadata__[0]
        least = {"above": bounds.gt, "from": bounds.ge}
        most = {"up to": bounds.le}
        limits = [f"{word} {value:.10g}" for word, value in (least | most).items() if value is not None]
        return " ".join([type_text(kind), *limits]) + (", not empty" if bounds.min_length else "")
    if get_origin(hint) is Literal:
        return ", ".join(f'`"{value}"`' for value in get_args(hint))
    if get_origin(hint) in {list, tuple}:
        return f"list of {type_text(get_args(hint)[0])}"
    if get_origin(hint) is dict:
        return f"table of {type_text(get_args(hint)[1])}"
    if hint is Any:
        return "any value"
    return {bool: "true or false", float: "number", int: "whole number", str: "text"}[hint]


def default_text(field: msgspec.structs.FieldInfo) -> str:
    """Write a default as TOML does."""
    if field.required:
        return "required"
    default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return "" if default is None else f"`{msgspec.json.encode(default).decode()}`"


def error_tree() -> str:
    """Document every error."""
    rows: list[Row] = [("error", "code", "meaning", "gateway", "command line")]
    for depth, kind in family(errors.FairleadError, 0):
        name = f"`{kind.__name__}`" if depth > 1 else f"**`{kind.__name__}`**"
        rows.append((
            f"{'· ' * max(0, depth - 1)}{name}", f"`{kind.code}`", errors.default_message(kind),
            str(status_of(kind)), str(exit_code(kind())),
        ))  # fmt: skip
    return page([_ERRORS, table(rows)])


def family(kind: type[errors.FairleadError], depth: int) -> Iterator[tuple[int, type[errors.FairleadError]]]:
    """Walk the tree of errors in the order in which it is drawn."""
    yield depth, kind
    for each in sorted(kind.__subclasses__(), key=lambda each: (errors.__doc__ or "").find(f" {each.__name__}")):
        if each.__module__.startswith(f"{errors.__name__}."):
            yield from family(each, depth + 1)


def events() -> str:
    """Document every event, and the metrics that are made of them."""
    parts = [_EVENTS]
    for kind in (*get_args(Event), Attempt):
        fields = [(f"`{name}`", python_text(hint)) for name, hint in get_type_hints(kind).items()]
        parts += [f"## {kind.__name__}", inspect.getdoc(kind) or "", table([("field", "type"), *fields])]
    rows: list[Row] = [("metric", "type", "labels", "meaning")]
    for metric in Metrics().registry.collect():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        rows.append((f"`{name}`", metric.type, ", ".join(labels(metric.name)), metric.documentation))
    return page([*parts, _METRICS, table(rows)])


def labels(name: str) -> Sequence[str]:
    """Return the labels of a metric; before it has counted anything, only the object itself knows them."""
    found = Metrics().registry._names_to_collectors[name]
    return [f"`{label}`" for label in found._labelnames]  # type: ignore[attr-defined]


def commands() -> str:
    """Document the command line by its own help."""
    whole = click.Context(main, info_name="fairlead", terminal_width=100, **main.context_settings)
    parts = [_COMMANDS, fenced(main.get_help(whole))]
    for name in COMMANDS:
        command = import_module(f"fairlead.cli.{name}").command
        context = click.Context(command, whole, info_name=name)
        parts += [f"## fairlead {name}", fenced(command.get_help(context))]
        for below, each in getattr(command, "commands", {}).items():
            help_text = each.get_help(click.Context(each, context, info_name=below))
            parts += [f"### fairlead {name} {below}", fenced(help_text)]
    return page(parts)


def providers() -> str:
    """Document every provider that the package brings."""
    found = {name: load_provider(name) for name in provider_names()}
    parts = [_PROVIDERS]
    for capability in sorted({each for provider in found.values() for each in provider.capabilities}):
        serving = {name: each for name, each in found.items() if capability in each.capabilities}
        operations = {name: list_operations(each, capability) for name, each in serving.items()}
        heading = [capability, *(f"`{each.name}`" for each in next(iter(operations.values())))]
        rows = [
            [f"[{found[name].title}](#{name})", *("yes" if each.is_supported else "" for each in kinds)]
            for name, kinds in operations.items()
        ]
        parts += [f"## {capability.capitalize()}", table([heading, *rows])]
    for name, provider in found.items():
        parts += [
            f"## {name}",
            f"{provider.title}: <{provider.docs_url}>",
            table([("", "", ""), *iter_facts(provider)]),
        ]
    return page(parts)


def fenced(text: str) -> str:
    """Show what a terminal shows."""
    return f"```text\n{text}\n```"


def gateway() -> str:
    """Fill the two tables of the page on the gateway; the rest of it is written by hand."""
    text = (REFERENCE / "gateway.md").read_text(encoding="utf-8")
    words = [("word", "meaning"), *((f"`{name}`", said) for name, said in OPERATIONS["recipes.search"].words.items())]
    asked = [("word", "meaning"), *((f"`{name}`", said) for name, said in {**FILTERS, **PLACES}.items())]
    kinds = [kind for _, kind in family(errors.FairleadError, 0)]
    problems = [(status_of(kind), kind.code, errors.default_message(kind)) for kind in kinds]
    problems += [(status, code, title) for code, (status, title) in _OWN_PROBLEMS.items()]
    statuses = [(str(status), f"`{code}`", title) for status, code, title in sorted(problems)]
    text = filled(filled(text, "words", table(words)), "event-words", table(asked))
    return filled(text, "statuses", table([("status", "code", "title"), *statuses]))


def faults() -> str:
    """Fill the table of what can be wrong with a stand-in."""
    said = comments(Faults)
    rows = [
        (f"`{field.name}`", type_text(plain(field.type)), default_text(field), said[field.name])
        for field in msgspec.structs.fields(Faults)
    ]
    text = (REFERENCE / "../how-to/test-your-application.md").read_text(encoding="utf-8")
    return filled(text, "faults", table([("fault", "type", "default", "meaning"), *rows]))


def verification() -> str:
    """Fill the tables of the page on incoming webhooks: why one is refused, and the neutral events."""
    text = (REFERENCE / "../explanation/webhook-verification.md").read_text(encoding="utf-8")
    reasons = [(f"`{each}`", each.meaning) for each in errors.WebhookReason]
    families = [import_module(f"{news.__name__}.{each.name}") for each in iter_modules(news.__path__)]
    events = [(f"`{kind}`", said) for family in families for kind, said in family.TYPES.items()]
    text = filled(text, "reasons", table([("reason", "meaning"), *reasons]))
    return filled(text, "news", table([("event", "meaning"), *events]))


def email() -> str:
    """Fill the table of the page on email: what each vendor lets us know, and what it does not carry."""
    found = {name: load_provider(name) for name in provider_names()}
    rows = [
        (f"[{each.title}](../reference/providers.md#{name})", *_email_cells(each))
        for name, each in found.items()
        if "email" in each.capabilities
    ]
    heading = (
        "vendor", "one key is one message", "asked after a lost answer", "not found is not sent",
        "webhooks verified by", "most bytes", "most recipients", "does not carry",
    )  # fmt: skip
    text = (REFERENCE / "../explanation/email.md").read_text(encoding="utf-8")
    return filled(text, "vendors", table([heading, *rows]))


def _email_cells(provider: Provider) -> Iterator[str]:
    sends = provider.capabilities["email"]("any")
    settles = sends.SETTLE.get("send")
    can_look = isinstance(settles, Settlement)
    yield f"for {provider.idempotency_window_s / 3600:g} h" if provider.idempotency_header else "no"
    yield "yes" if can_look else "no"
    yield f"after {settles.visible_after_s / 60:g} min" if can_look else ""
    yield scheme_text(provider.webhooks.scheme) if provider.webhooks else "none"
    yield f"{sends.MAX_BYTES:,}"
    yield f"{sends.MAX_RECIPIENTS:,}"
    yield ", ".join(sorted(set(Feature) - sends.FEATURES))


def filled(text: str, mark: str, content: str) -> str:
    """Put the content between two marks."""
    before, begin, rest = text.partition(f"<!-- {mark} -->\n")
    _, end, after = rest.partition(f"<!-- /{mark} -->")
    if not (begin and end):
        raise ValueError(f"The page has lost its mark {mark!r}.")
    return f"{before}{begin}{content}\n{end}{after}"


def comments(kind: type[Any]) -> dict[str, str]:
    """Return what the `#:` comments above the fields of a class say."""
    found = re.findall(r"((?: +#: .*\n)+) +(\w+):", inspect.getsource(kind))
    return {name: " ".join(line.strip()[3:] for line in lines.splitlines()) for lines, name in found}


def is_group(hint: Any) -> bool:
    """Whether a setting is a table of settings."""
    return isinstance(hint, type) and issubclass(hint, Group)


def plain(hint: Any) -> Any:
    """Return X for `X | None`."""
    parts = [part for part in get_args(hint) if part is not NoneType]
    return parts[0] if get_origin(hint) in (Union, UnionType) and len(parts) == 1 else hint


def python_text(hint: Any) -> str:
    """Write a type as code does, without the modules."""
    return f"`{re.sub(r'[a-z_]+[.]', '', str(hint) if get_origin(hint) or get_args(hint) else hint.__name__)}`"


def table(rows: Iterable[Row]) -> str:
    """Write a table; the first row is its heading."""
    heading, *others = rows
    lines = [heading, ["---"] * len(heading), *others]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def page(parts: Sequence[str]) -> str:
    """Put a page together."""
    return "\n\n".join(parts) + "\n"


PAGES = {
    "settings.md": settings,
    "errors.md": error_tree,
    "events.md": events,
    "cli.md": commands,
    "gateway.md": gateway,
    "providers.md": providers,
    "../how-to/test-your-application.md": faults,
    "../explanation/webhook-verification.md": verification,
    "../explanation/email.md": email,
}

if __name__ == "__main__":
    for name, render in PAGES.items():
        (REFERENCE / name).write_text(render(), encoding="utf-8")
    for script in ("docs.outcomes_table", "docs.strategy_tables"):
        subprocess.run([sys.executable, "-m", script, "--write"], check=True, cwd=Path(__file__).parents[1])  # noqa: S603
