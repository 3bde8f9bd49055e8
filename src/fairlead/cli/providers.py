"""`fairlead providers`."""

from __future__ import annotations

from collections.abc import Mapping

import click
from rich.table import Table

from fairlead.cli.console import err, new_table, out, plain, print_json
from fairlead.cli.options import completing, provider_named, with_json
from fairlead.errors import InvalidArgumentError
from fairlead.runtime.registry import provider_names
from fairlead.spec.describe import describe, iter_facts, keeping_text, list_operations, plan_text, quota_text
from fairlead.spec.provider import Provider
from fairlead.testing.registry import fake_names

Found = Mapping[str, Provider]


@click.command("providers")
@click.argument("name", required=False, shell_complete=completing(provider_names))
@with_json
def command(name: str | None, *, as_json: bool) -> None:
    """Show what each provider can do, what it needs, and what it allows; with NAME, all of one."""
    if name is not None:
        provider = provider_named(name)
        if as_json:
            print_json(describe(provider))
        else:
            print_provider(name, provider)
        return
    found, broken = load_all()
    if as_json:
        print_json({"providers": [describe(each) for each in found.values()], "problems": broken})
        return
    for table in (features(found), limits(found), documentation(found)):
        out.print(table)
        out.print()
    out.print("[dim]fairlead providers NAME[/] shows all plans and terms of one.")
    for problem in broken.values():
        err.print(f"[yellow]{plain(problem)}[/]")


def load_all() -> tuple[Found, dict[str, str]]:
    """Return every provider, and for those of other packages that cannot be loaded, why."""
    found: dict[str, Provider] = {}
    broken: dict[str, str] = {}
    for name in provider_names():
        try:
            found[name] = provider_named(name)
        except InvalidArgumentError as error:
            broken[name] = error.message
    return found, broken


def features(found: Found) -> Table:
    """Say which operations each provider has, and which it lacks."""
    table = new_table("provider", "capability", "operations", "not supported")
    for name, provider in found.items():
        for capability in provider.capabilities:
            operations = list_operations(provider, capability)
            has = ", ".join(each.name for each in operations if each.is_supported)
            lacks = ", ".join(each.name for each in operations if not each.is_supported)
            table.add_row(plain(name), capability, has, lacks)
        if provider.webhooks:
            table.add_row(plain(name), "webhooks", "neutral events" if provider.webhooks.normalise else "events", "")
    return table


def limits(found: Found) -> Table:
    """Say what each provider needs, and what it allows."""
    table = new_table("provider", "credentials", "default plan", "quota starts anew", "answers may be kept")
    for name, provider in found.items():
        needed = ", ".join(each.name for each in provider.credentials if each.is_required)
        plan = plan_text(provider.plans[provider.default_plan]) if provider.default_plan else ""
        table.add_row(plain(name), needed, plan, quota_text(provider.quota_reset), keeping_text(provider.terms))
    return table


def documentation(found: Found) -> Table:
    """Say what each provider's own name for its API is, and where that is described."""
    table = new_table("provider", "API", "documentation")
    for name, provider in found.items():
        table.add_row(plain(name), plain(provider.title), plain(provider.docs_url))
    return table


def print_provider(name: str, provider: Provider) -> None:
    """Print all that people want to know of one provider."""
    out.print(f"[bold]{plain(provider.title)}[/]  [dim]{plain(name)}[/]\n{plain(provider.docs_url)}\n")
    table = new_table("", "", "")
    table.show_header = False
    shown = ""
    for topic, what, said in iter_facts(provider):
        table.add_row(f"[dim]{plain(topic) if topic != shown else ''}[/]", plain(what), plain(said))
        shown = topic
    out.print(table)
    out.print(f"\n[dim]Use it:[/] fairlead init --provider {plain(name)}", soft_wrap=True)
    if name in fake_names():
        out.print(f"[dim]Try it without an account:[/] fairlead fake {plain(name)}", soft_wrap=True)
