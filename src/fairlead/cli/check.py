"""`fairlead check`."""

from __future__ import annotations

import asyncio
import sys

import click
import msgspec

from fairlead.cli.console import new_table, out, plain, print_json
from fairlead.cli.options import with_config, with_json
from fairlead.config.read import read_settings
from fairlead.config.sources import ProcessSources
from fairlead.runtime.check import Finding, check
from fairlead.runtime.ports import Ports
from fairlead.transport.connect import connect


@click.command("check")
@with_config
@with_json
def command(config: str, *, as_json: bool) -> None:
    """Try the configuration and say what is wrong with it.

    Reads the file, resolves every secret, and makes the cheapest call of each connection that proves its credentials.
    """
    settings = read_settings(config)
    findings = asyncio.run(check(settings, source=config, sources=ProcessSources(), ports=Ports(), connect=connect))
    is_good = not any(finding.problem for finding in findings)
    if as_json:
        print_json({"config": config, "ok": is_good, "findings": msgspec.to_builtins(findings)})
    else:
        print_findings(config, findings)
    sys.exit(0 if is_good else 1)


def print_findings(config: str, findings: list[Finding]) -> None:
    """Print a line for each finding, and what to do about each problem."""
    table = new_table("", "", "", "")
    table.show_header = False
    for finding in findings:
        mark = "[red]✗[/]" if finding.problem else "[green]✓[/]"
        took = f" [dim]{finding.seconds * 1000:.0f} ms[/]" if finding.seconds is not None else ""
        told = plain(finding.problem or finding.note) + took
        table.add_row(mark, f"[dim]{finding.kind}[/]", plain(finding.name), told)
        if finding.problem and finding.hint:
            table.add_row("", "", "", f"[yellow]{plain(finding.hint)}[/]")
    if findings:
        out.print(table)
    else:
        out.print(f"{plain(config)} is good, and empty: add a connection.")
    problems = sum(1 for finding in findings if finding.problem)
    if problems:
        out.print(f"\n[red]{problems} problem{'s' * (problems > 1)}[/] in {plain(config)}.")
