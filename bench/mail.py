"""Measure email: messages in the background, through two vendors, and what became of each by the vendors' own books.

The vendors are stand-ins in a process of their own, with real sockets. First nothing is wrong, which gives the rate.
Then answers are lost after the vendor acted, connections reset, requests refused for coming too fast or broken by the
vendor, and in the middle of it our process is killed. What nobody knows is looked for at the vendor, and that nothing
is found counts only after an hour there: so the clocks of both sides are set forward whenever nothing is left to do.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from fairlead.capabilities.email import EmailReceipt
from fairlead.cli.demo_email import LATER_S, go_on, until_over
from fairlead.config.read import parse_settings
from fairlead.errors import FairleadError
from fairlead.observe.events import Event, EventStream, JobEnded
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.later import BackgroundCall
from fairlead.runtime.ports import Ports, SystemClock
from fairlead.testing.clock import ForwardClock
from fairlead.testing.fakes.postmark import PostmarkFake
from fairlead.testing.fakes.sendgrid import SendgridFake
from fairlead.testing.faults import Faults
from harness import Limit, Sheet

SEED = 1
MESSAGES, WAITED_FOR, ROUNDS = 10_000, 2_000, 3
CALLERS = 64
#: A core that does nothing else sends as many as the rate says, where each takes that many microseconds of it.
RATE, CPU, NONE = Limit(at_least=500), Limit(at_most=2_000), Limit(at_most=0)
_PATIENCE_S = 300.0
# How long somebody waits for a message, in seconds, and how often they try.
_DEADLINE_S, _TRIES = 1.0, 20

#: One vendor is asked too much, and the other breaks; both lose answers after they acted.
FAULTS = (
    Faults(latency_s=0.002, latency_p99_s=0.02, lost_share=0.02, reset_share=0.01, error_share=0.02, error_status=429),
    Faults(
        latency_s=0.002,
        latency_p99_s=0.02,
        lost_share=0.02,
        reset_share=0.01,
        error_share=0.02,
        error_status=503,
        malformed_share=0.01,
    ),
)
WELL = (Faults(), Faults())
CONFIG = """
[connections.first]
provider = "sendgrid"
base_url = "{first}"
allow_private = true
credentials = {{ api_key = "env:FIRST" }}

[connections.second]
provider = "postmark"
base_url = "{second}"
allow_private = true
credentials = {{ server_token = "env:SECOND" }}

[routes.email]
connections = ["first", "second"]
strategy = "weight"
weights = {{ first = 1, second = 1 }}

[storage]
url = "{path}"

[webhooks]
at_once = 128
lease_s = 5
"""
KEYS = {"FIRST": SendgridFake.CREDENTIALS["api_key"], "SECOND": PostmarkFake.CREDENTIALS["server_token"]}


# --- The vendors ------------------------------------------------------------------------------------------------------


def serve(line: Connection, seed: int) -> None:
    """Be both vendors, and do what is asked on the line."""
    asyncio.run(_serve(line, seed))


async def _serve(line: Connection, seed: int) -> None:
    clock = ForwardClock()
    async with (
        SendgridFake(random=Random(seed), clock=clock) as first,  # noqa: S311  # repeatable
        PostmarkFake(random=Random(seed + 1), clock=clock) as second,  # noqa: S311  # likewise
    ):

        def do(what: str, *given: Any) -> Any:
            if what == "begin":
                for fake, faults in zip((first, second), given, strict=True):
                    fake.faults = faults
            elif what == "forget":
                first.reset()
                second.reset()
            elif what == "forward":
                clock.set_forward(given[0])
                go_on(first)
            elif what == "count":
                return len(first.sent) + len(second.sent)
            elif what == "got":
                return [who for each in (*first.sent, *second.sent) for who in each.recipients]
            return None

        loop = asyncio.get_running_loop()
        loop.add_reader(line.fileno(), lambda: line.send(do(*line.recv())))
        line.send((first.url, second.url))
        await loop.create_future()


class Vendors(NamedTuple):
    """Both vendors, as seen from here."""

    first: str
    second: str
    line: Connection

    def ask(self, *what: Any) -> Any:
        """Have something done there, and return what is answered."""
        self.line.send(what)
        return self.line.recv()

    def fairlead(
        self, home: Path, events: Callable[[Event], None] | None = None, clock: ForwardClock | None = None
    ) -> Any:
        """Return a Fairlead that sends by them, with its store in a folder."""
        settings = parse_settings(CONFIG.format(first=self.first, second=self.second, path=home / "jobs.db"))
        ports = Ports(events=EventStream((events,) if events else ()), clock=clock or SystemClock())
        return Fairlead(settings, environment=KEYS, ports=ports)


@contextmanager
def vendors(seed: int) -> Iterator[Vendors]:
    """Run both in a process of their own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, seed), daemon=True)
    process.start()
    try:
        first, second = ours.recv()
        yield Vendors(first, second, ours)
    finally:
        process.terminate()
        process.join()


# --- The application --------------------------------------------------------------------------------------------------


async def by_callers(count: int, act: Callable[[int], Awaitable[None]]) -> None:
    """Do something with each number, by so many callers at once."""
    numbers = iter(range(count))

    async def call() -> None:
        for number in numbers:
            await act(number)

    await asyncio.gather(*(call() for _ in range(CALLERS)))


async def keep(fl: Fairlead, count: int) -> list[BackgroundCall[EmailReceipt]]:
    """Have so many messages sent in the background; the same again is the same messages."""
    kept: list[BackgroundCall[EmailReceipt]] = []

    async def send(number: int) -> None:
        to = address(number)
        kept.append(
            await fl.email.send(background=True, idempotency_key=f"welcome {to}", on_unknown="hold", **mail_to(to))
        )

    await by_callers(count, send)
    return kept


def address(number: int) -> str:
    """Return who gets a message: each one alone, so that the vendors' books say which is missing, and which twice."""
    return f"reader-{number}@example.org"


def mail_to(to: str) -> Any:
    """Write the message to somebody."""
    return {"sender": "Ada <ada@example.com>", "to": to, "subject": "Welcome", "text": f"Hello, {to}."}


async def rate(there: Vendors, home: Path, count: int) -> tuple[float, float]:
    """Return how many messages a second are kept and sent, from the first to be kept until the last is done.

    The other figure is our process's CPU time for each, in microseconds.
    """
    left, over = count, asyncio.Event()

    def hear(event: Event) -> None:
        nonlocal left
        if isinstance(event, JobEnded) and event.kind == "call" and event.state == "done":
            left -= 1
            if not left:
                over.set()

    async with there.fairlead(home, hear) as fl:
        started, cpu_s = time.perf_counter(), time.process_time()
        await keep(fl, count)
        async with asyncio.timeout(_PATIENCE_S):
            await over.wait()
        return count / (time.perf_counter() - started), (time.process_time() - cpu_s) / count * 1e6


def die(there: Vendors, home: Path, count: int) -> None:
    """Send until somebody kills this process."""

    async def send() -> None:
        async with there.fairlead(home) as fl:
            await keep(fl, count)
            await asyncio.get_running_loop().create_future()

    asyncio.run(send())


def send_and_be_killed(there: Vendors, home: Path, count: int) -> int:
    """Have another process send, and kill it in the middle; return how many were sent by then."""
    process = multiprocessing.get_context("spawn").Process(target=die, args=(there._replace(line=None), home, count))  # type: ignore[arg-type]
    process.start()
    try:
        last = time.monotonic() + _PATIENCE_S
        while there.ask("count") < count / 2 and time.monotonic() < last:
            process.join(0.01)
    finally:
        process.kill()
        process.join()
    sent: int = there.ask("count")
    return sent


async def finish(there: Vendors, home: Path, count: int) -> int:
    """Have all of it kept, again or for the first time, wait until it is over, and return how many have a receipt."""
    clock = ForwardClock()

    def forward() -> None:
        there.ask("forward", LATER_S)
        clock.set_forward(LATER_S)

    async with there.fairlead(home, clock=clock) as fl:
        kept = await keep(fl, count)
        await until_over(fl, clock, forward, patience_s=_PATIENCE_S)
        receipts = 0
        for call in kept:
            with suppress(FairleadError):
                receipts += bool((await fl.calls.wait(call)).ref.id)
        return receipts


async def resend(there: Vendors, home: Path, count: int) -> int:
    """Send to so many who would rather have it twice than not; return how often somebody had to try again."""
    again = 0

    async def send(number: int) -> None:
        nonlocal again
        for _ in range(_TRIES):
            with suppress(FairleadError):  # it is told, and the caller tries again
                await fl.email.send(on_unknown="resend", deadline_s=_DEADLINE_S, **mail_to(address(number)))
                return
            again += 1

    async with there.fairlead(home) as fl:
        await by_callers(count, send)
    return again


# --- What became of it ------------------------------------------------------------------------------------------------


def measure(sheet: Sheet) -> None:
    """Print the rate, and what was lost, sent twice and settled under faults."""
    sheet.begin("Email in the background, two vendors, SQLite with synchronous=FULL, one process", "pysqlite3")
    sheet.note(f"Seed {SEED}.")
    count, waited_for = sheet.pick(MESSAGES, quick=100), sheet.pick(WAITED_FOR, quick=64)
    rates = []
    with vendors(SEED) as there, TemporaryDirectory() as place:
        for round_ in range(sheet.pick(ROUNDS, quick=1)):
            there.ask("forget")
            rates.append(asyncio.run(rate(there, new_home(place, f"well-{round_}"), count)))
        limits = (None, None) if sheet.is_quick else (RATE, CPU)
        seconds, cpu = zip(*rates, strict=True)
        sheet.row("kept and sent, nothing wrong", seconds, "messages/s", limits[0], digits=0)
        sheet.row("CPU time of each", cpu, "us", limits[1], digits=0)
        there.ask("forget")
        there.ask("begin", *FAULTS)
        home = new_home(place, "hold")
        early = send_and_be_killed(there, home, count)
        there.ask("begin", *reversed(FAULTS))
        receipts = asyncio.run(finish(there, home, count))
        lost, twice = read_books(there, count)
        sheet.note(f"{count:,} messages under faults; our process was killed when {early:,} were sent.")
        sheet.row("hold: sent twice", [twice], "messages", NONE, digits=0)
        sheet.row("hold: lost", [lost], "messages", NONE, digits=0)
        sheet.row("hold: settled, with a receipt", [receipts], "messages", Limit(at_least=count), digits=0)
        there.ask("forget")
        there.ask("begin", *FAULTS)
        again = asyncio.run(resend(there, new_home(place, "resend"), waited_for))
        lost, twice = read_books(there, waited_for)
        sheet.note(f"{waited_for:,} messages that somebody waits for; {again:,} times they were told to try again.")
        sheet.row("resend: lost", [lost], "messages", NONE, digits=0)
        sheet.row("resend: sent twice", [twice], "messages", digits=0)


def new_home(place: str, name: str) -> Path:
    """Make a folder for a store."""
    home = Path(place) / name
    home.mkdir()
    return home


def read_books(there: Vendors, count: int) -> tuple[int, int]:
    """Return how many got nothing, and how many more than one message, by the books of both vendors."""
    got = Counter(there.ask("got"))
    wanted = [address(number) for number in range(count)]
    return sum(not got[each] for each in wanted), sum(got[each] > 1 for each in wanted)
