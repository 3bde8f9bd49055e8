"""`fairlead demo`."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from importlib import resources
from math import floor
from random import Random
from typing import NamedTuple

import click
import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from fairlead.cli.console import err, new_table, out, print_json
from fairlead.cli.demo_crash import Survival, survive
from fairlead.cli.demo_email import Delivery, deliver
from fairlead.cli.options import with_json
from fairlead.cli.serve import listen
from fairlead.config.read import parse_settings
from fairlead.config.settings import Settings
from fairlead.errors import InvalidSettingError
from fairlead.gateway.app import build_app
from fairlead.gateway.server import build_server
from fairlead.model.message import Request, Response
from fairlead.observe.events import EventStream
from fairlead.observe.metrics import Metrics
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.ports import Ports
from fairlead.testing import catalogue
from fairlead.testing.fakes import edamam, spoonacular
from fairlead.testing.faults import Faults
from fairlead.testing.server import FakeServer
from fairlead.testing.story import Ask, Figures, Outcome, Phase, Seen, play
from fairlead.transport.http import HttpOptions, HttpTransport

HOST = "127.0.0.1"
PORT = 8080
CALLS_PER_PHASE = 100
AT_ONCE = 5
PROMISE = 0.999
SOURCE = "demo.toml"
KEYS = {
    "SPOONACULAR_API_KEY": spoonacular.API_KEY,
    "EDAMAM_APP_ID": edamam.APP_ID,
    "EDAMAM_APP_KEY": edamam.APP_KEY,
}

WELL = Faults(latency_s=0.02, latency_p99_s=0.06)
SLOW = Faults(latency_s=2.0, latency_p99_s=4.0)
FLAKY = Faults(latency_s=0.02, latency_p99_s=0.06, error_share=0.06, reset_share=0.02, malformed_share=0.02)


class Vendors(NamedTuple):
    """The two stand-ins: the one that is asked first, and the one behind it."""

    first: FakeServer
    second: FakeServer


@click.command("demo")
@click.option("--port", type=click.IntRange(0, 65535), help="Of the gateway; 8080, or a free one where that is taken.")
@click.option("--seed", type=int, default=1, show_default=True, help="For the vendors' faults.")
@with_json
def command(port: int | None, seed: int, *, as_json: bool) -> None:
    """Play an outage from start to recovery, with no account.

    Starts stand-ins for two recipe vendors and the gateway, and asks the gateway for recipes while the vendors are
    slow, out of quota, and dead. Then email is sent while its service keeps timing out, and a gateway is killed while
    webhooks come in, and started again. On a terminal everything keeps running until Ctrl-C, to be tried by hand.
    """
    stays = sys.stdout.isatty() and not as_json
    outcome, email, crash = asyncio.run(demonstrate(port if stays else 0, seed, as_json=as_json, stays=stays))
    sys.exit(0 if outcome.app_success_rate >= PROMISE and email.is_good and not crash.lost else 1)


async def demonstrate(port: int | None, seed: int, *, as_json: bool, stays: bool) -> tuple[Outcome, Delivery, Survival]:
    """Start everything, play, print, and stay if wished."""
    async with AsyncExitStack() as stack:
        vendors = Vendors(
            await stack.enter_async_context(spoonacular.SpoonacularFake(random=Random(seed))),  # noqa: S311
            await stack.enter_async_context(edamam.EdamamFake(random=Random(seed + 1))),  # noqa: S311
        )
        metrics = Metrics()
        fl = Fairlead(
            settings_for(vendors),
            source=SOURCE,
            environment=KEYS,
            ports=Ports(events=EventStream((metrics,))),
        )
        listener = listen_somewhere() if port is None else listen(HOST, port)
        server = build_server(build_app(fl, metrics, keys=None), handles_signals=False)
        serving = asyncio.create_task(server.serve([listener]))
        gateway = f"http://{HOST}:{listener.getsockname()[1]}"
        try:
            outcome = await play_story(vendors, gateway, seed, quiet=as_json)
            if not as_json:
                print_outcome(outcome)
            email = await deliver(seed)
            if not as_json:
                print_delivery(email)
            crash = await survive(seed)
            if as_json:
                print_json(msgspec.to_builtins(outcome) | {"email": email, "crash": crash})
            else:
                print_survival(crash)
            if stays:
                print_invitation(gateway, vendors)
                await stay(serving)
        finally:
            server.should_exit = True
            await serving
    return outcome, email, crash


def listen_somewhere() -> socket.socket:
    """Listen on the usual port, or where that is taken, on a free one: a newcomer's first command just works."""
    try:
        return listen(HOST, PORT)
    except InvalidSettingError:
        return listen(HOST, 0)


def settings_for(vendors: Vendors) -> Settings:
    """Return the demonstration's settings, with the base URLs of the stand-ins."""
    settings = parse_settings(resources.files("fairlead.cli").joinpath(SOURCE).read_text(), source=SOURCE)
    connections = {
        name: msgspec.structs.replace(connection, base_url=fake.url, allow_private=True)
        for (name, connection), fake in zip(settings.connections.items(), vendors, strict=True)
    }
    return msgspec.structs.replace(settings, connections=connections)


async def play_story(vendors: Vendors, gateway: str, seed: int, *, quiet: bool) -> Outcome:
    """Play all phases, with progress unless it is to be quiet."""
    queries = list(catalogue.queries())
    Random(seed).shuffle(queries)  # noqa: S311  # for variety
    async with AsyncExitStack() as stack:

        def ask_at(url: str, build: Callable[[str], Request], patience_s: float) -> Ask:
            transport = HttpTransport(HttpOptions(base_url=url, allow_private=True))
            stack.push_async_callback(transport.close)
            return asker(transport, build, patience_s)

        application = ask_at(gateway, lambda query: Request.get("/v1/recipes/search", query={"q": query}), 10.0)
        direct = {
            "spoonacular": ask_at(vendors.first.url, ask_spoonacular, 0.4),
            "edamam": ask_at(vendors.second.url, ask_edamam, 0.4),
        }
        phases = tell(vendors, queries)
        with progress(phases, quiet=quiet) as on_progress:
            return await play(phases, application, direct, at_once=AT_ONCE, on_progress=on_progress)


def tell(vendors: Vendors, queries: list[str]) -> list[Phase]:
    """Write the story: each phase asks what was never asked before, but for the one where everything is dead."""
    first, second = vendors
    fresh = [queries[at * CALLS_PER_PHASE : (at + 1) * CALLS_PER_PHASE] for at in range(5)]

    def state(first_faults: Faults | None, second_faults: Faults | None) -> Callable[[], asyncio.Future[None]]:
        async def set_all() -> None:
            for fake, faults in ((first, first_faults), (second, second_faults)):
                if faults is None:
                    await fake.go_down()
                else:
                    fake.faults = faults
                    await fake.come_up()

        return lambda: asyncio.ensure_future(set_all())

    exhausted = msgspec.structs.replace(WELL, is_quota_exhausted=True)
    return [
        Phase(name="healthy", title="both well", prepare=state(WELL, WELL), queries=fresh[0]),
        Phase(name="slow", title="Spoonacular slow", prepare=state(SLOW, WELL), queries=fresh[1]),
        Phase(name="quota", title="Spoonacular out of quota", prepare=state(exhausted, WELL), queries=fresh[2]),
        Phase(name="dead", title="one dead, one flaky", prepare=state(None, FLAKY), queries=fresh[3]),
        Phase(name="all_dead", title="both dead", prepare=state(None, None), queries=fresh[0]),
        Phase(name="recovered", title="both back", prepare=state(WELL, WELL), queries=fresh[4]),
    ]


def ask_spoonacular(query: str) -> Request:
    """Build the search that an application without Fairlead would send."""
    return Request.get("/recipes/complexSearch", query={"query": query}, headers={"x-api-key": spoonacular.API_KEY})


def ask_edamam(query: str) -> Request:
    """Build the search that an application without Fairlead would send."""
    keys = {"app_id": edamam.APP_ID, "app_key": edamam.APP_KEY}
    return Request.get("/api/recipes/v2", query={"type": "public", "q": query, **keys})


def asker(transport: HttpTransport, build: Callable[[str], Request], patience_s: float) -> Ask:
    """Return a client that asks once and waits for so long."""

    async def ask(query: str) -> Seen:
        loop = asyncio.get_running_loop()
        started = loop.time()
        answer = await transport.exchange(build(query), timeout_s=patience_s)
        seconds = loop.time() - started
        if not isinstance(answer, Response) or answer.status != 200 or not is_json(answer):
            return Seen(is_ok=False, seconds=seconds)
        return Seen(
            is_ok=True,
            seconds=seconds,
            served_by=answer.headers.get("fairlead-served-by"),
            is_stale=answer.headers.get("fairlead-cache") == "stale",
        )

    return ask


def is_json(answer: Response) -> bool:
    """Whether an application could read the answer."""
    try:
        answer.json()
    except ValueError:
        return False
    return True


async def stay(serving: asyncio.Task[None]) -> None:
    """Serve until Ctrl-C."""
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        err.print("\n[dim]stopped[/]")


@contextmanager
def progress(phases: list[Phase], *, quiet: bool) -> Iterator[Callable[[Phase, int], None]]:
    """Show a bar for each phase while it is played; the table takes their place."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as bars:
        tasks = {phase.name: bars.add_task(phase.title, total=len(phase.queries)) for phase in phases}
        yield lambda phase, done: bars.update(tasks[phase.name], completed=done)


def print_outcome(outcome: Outcome) -> None:
    """Print what the vendors did, asked directly, beside what the application saw."""
    numbers = ("Spoonacular", "Edamam", "Fairlead", "p50 ms", "p99 ms")
    table = new_table(
        "", "Spoonacular", "Edamam", "Fairlead", "who answered Fairlead", "p50 ms", "p99 ms", numbers=numbers
    )
    for phase in outcome.phases:
        rates = (f"{percent(vendor.success_rate)} %" for vendor in phase.vendors.values())
        saw = f"[bold green]{percent(phase.app_success_rate)} %[/]"
        table.add_row(phase.title, *rates, saw, who(phase), f"{phase.p50_ms:.0f}", f"{phase.p99_ms:.0f}")
    out.print(f"Good answers to {outcome.calls} calls in {outcome.seconds:.0f} s\n", style="dim")
    out.print(table)
    out.print(
        f"\nAsked directly, the vendors answered {percent(outcome.vendor_success_rate)} %. Through Fairlead, "
        f"the application had answers to [bold green]{percent(outcome.app_success_rate)} %[/]:\n"
        f"{percent(outcome.app_success_rate_fresh)} % fresh, the rest the last good answer to the same question."
    )


def print_delivery(email: Delivery) -> None:
    """Print what became of the messages that were sent while the first vendor kept timing out."""
    served = f"{email.served_by.get('sendgrid', 0)} by SendGrid, {email.served_by.get('postmark', 0)} by Postmark"
    lost = "none was lost" if not email.lost else f"[bold red]{email.lost} were lost[/]"
    twice = "none sent twice" if not email.sent_twice else f"[bold red]{email.sent_twice} sent twice[/]"
    out.print(
        f"\nSendGrid kept timing out, and [bold green]{email.messages - email.lost}[/] of {email.messages} messages "
        f"were sent: {served}.\nOf {email.unknown} nobody knew at first; {email.settled} were settled by looking, "
        f"{email.found_sent} of them sent already: {lost}, {twice}."
    )


def print_survival(crash: Survival) -> None:
    """Print what became of the webhooks that were accepted before the gateway was killed."""
    what = "nothing was lost" if not crash.lost else f"[bold red]{crash.lost} were lost[/]"
    out.print(
        f"\nKilled {crash.kills} times while webhooks came in, the gateway had acknowledged {crash.acknowledged} of "
        f"them, and\nhanded [bold green]{crash.handled}[/] to the application: {what}."
    )


def who(phase: Figures) -> str:
    """Say where the application's answers came from."""
    if phase.stale == phase.calls:
        return "the last good answers"
    served = [f"{name} {count}" for name, count in sorted(phase.served_by.items(), key=lambda each: -each[1])]
    return ", ".join([*served, f"of them stale {phase.stale}"] if phase.stale else served)


def percent(share: float) -> str:
    """Write a share for people; never more than it is."""
    return f"{floor(share * 1000) / 10:g}"


def print_invitation(gateway: str, vendors: Vendors) -> None:
    """Say what can be tried by hand now."""
    faults = f"{vendors.first.url}/_fake/faults"
    out.print(f"\nEverything still runs; the gateway is on [bold]{gateway}[/]. In another terminal:\n", soft_wrap=True)
    for what, line in (
        ("Ask for recipes; the headers say who served", f"curl -i '{gateway}/v1/recipes/search?q=tomato+pasta'"),
        ("Break Spoonacular, and ask for something else", f"curl -X PUT {faults} -d '{{\"error_share\": 1}}'"),
        ("Mend it", f"curl -X PUT {faults} -d '{{}}'"),
        ("See how the vendors are", f"curl {gateway}/readyz"),
        ("See it as Prometheus does", f"curl {gateway}/metrics"),
    ):
        out.print(f"  # {what}", style="dim")
        out.print(f"  {line}", markup=False, soft_wrap=True)
    out.print("\n[dim]Ctrl-C ends it.[/]")
