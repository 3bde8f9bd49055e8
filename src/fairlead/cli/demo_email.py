"""The part of the demonstration in which the email service keeps timing out, and nobody gets a message twice or not.

Some of its timeouts come before it acted, and some after: from here they look the same. Another service carries what
was certainly not sent; what is not known is held, and looked for where it may be. That nothing is found counts only an
hour later, which is played in a moment: the clocks are set forward.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from fairlead.config.read import parse_settings
from fairlead.model.outcome import Outcome
from fairlead.observe.events import CallFinished, CallSettled, Event, EventStream
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.later import BackgroundCall
from fairlead.runtime.ports import Ports
from fairlead.storage.jobs import JobState
from fairlead.testing.clock import ForwardClock
from fairlead.testing.fakes.postmark import PostmarkFake
from fairlead.testing.fakes.sendgrid import SendgridFake
from fairlead.testing.faults import Faults
from fairlead.testing.mailroom import Letter, MailFake

MESSAGES = 100
#: An hour until an absence counts at both vendors, and a little.
LATER_S = 3700.0
_PATIENCE_S = 20.0
_PAGE = 1000
# Some requests are never looked at, and many are done when nobody waits any more.
_TIMING_OUT = Faults(latency_s=0.2, latency_p99_s=2.0, hang_share=0.35)
_WELL = Faults(latency_s=0.005, latency_p99_s=0.02)
_CONFIG = """
[connections.sendgrid]
provider = "sendgrid"
base_url = "{first}"
allow_private = true
credentials = {{ api_key = "env:FIRST" }}
timeouts = {{ attempt_s = 0.3 }}
breaker = {{ open_s = 0.2, max_open_s = 0.2 }}

[connections.postmark]
provider = "postmark"
base_url = "{second}"
allow_private = true
credentials = {{ server_token = "env:SECOND" }}

[routes.email]
connections = ["sendgrid", "postmark"]

[storage]
url = "{path}"

[webhooks]
at_once = 10
"""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the messages. `sent_twice` and `lost` are counted in the vendors' own books."""

    messages: int
    #: By whom they were sent.
    served_by: dict[str, int]
    #: Of so many nobody knew at first whether they were sent.
    unknown: int
    #: Of so many of these it was found out.
    settled: int
    #: They had been sent; the others among them had not, and were sent then.
    found_sent: int
    sent_twice: int
    lost: int

    @property
    def is_good(self) -> bool:
        """Whether everybody got one message, and all that was unknown was found out."""
        return not self.lost and not self.sent_twice and self.settled == self.unknown


class _Log:
    """What the event stream tells of the messages: whose outcome was unknown, and what was found out."""

    def __init__(self) -> None:
        self.unknown: set[str] = set()
        self.settled: dict[str, Outcome] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, CallFinished) and event.operation == "email.send" and event.error == "outcome_unknown":
            self.unknown.add(event.call_id)
        elif isinstance(event, CallSettled) and event.outcome is not Outcome.UNKNOWN:
            self.settled[event.call_id] = event.outcome


async def deliver(seed: int, *, messages: int = MESSAGES) -> Delivery:
    """Send that many while the first vendor keeps timing out, settle what is unknown, and read the vendors' books."""
    clock, log = ForwardClock(), _Log()
    with TemporaryDirectory() as place:
        async with (
            SendgridFake(random=Random(seed), clock=clock, faults=_TIMING_OUT) as first,  # noqa: S311  # repeatable
            PostmarkFake(random=Random(seed + 1), clock=clock, faults=_WELL) as second,  # noqa: S311  # likewise
        ):
            config = _CONFIG.format(first=first.url, second=second.url, path=Path(place) / "jobs.db")
            keys = {"FIRST": first.CREDENTIALS["api_key"], "SECOND": second.CREDENTIALS["server_token"]}
            ports = Ports(clock=clock, events=EventStream((log,)))
            async with Fairlead(parse_settings(config), environment=keys, ports=ports) as fl:
                kept = [await _send(fl, f"reader-{number}@example.org") for number in range(messages)]
                await _tried(fl)
                first.faults = _WELL

                def forward() -> None:
                    clock.set_forward(LATER_S)
                    go_on(first)

                await until_over(fl, clock, forward)
                receipts = [await fl.calls.wait(each) for each in kept]
    got = Counter(who for each in chain(first.sent, second.sent) for who in each.recipients)
    readers = [f"reader-{number}@example.org" for number in range(messages)]
    return Delivery(
        messages=messages,
        served_by=dict(Counter(receipt.ref.connection for receipt in receipts)),
        unknown=len(log.unknown),
        settled=len(log.unknown & log.settled.keys()),
        found_sent=sum(outcome is Outcome.DONE for outcome in log.settled.values()),
        sent_twice=sum(got[reader] > 1 for reader in readers),
        lost=sum(not got[reader] for reader in readers),
    )


async def _send(fl: Fairlead, to: str) -> BackgroundCall[Any]:
    """Send a message in the background: once, whatever happens."""
    return await fl.email.send(
        sender="Ada <ada@example.com>",
        to=to,
        subject="Welcome",
        text="Good to have you here.",
        background=True,
        idempotency_key=f"welcome {to}",
    )


async def _tried(fl: Fairlead) -> None:
    """Wait until each message was tried, and is sent or in doubt."""
    async with asyncio.timeout(_PATIENCE_S):
        while any(not each.is_in_doubt and not each.failures for each in await _open(fl)):  # noqa: ASYNC110  # the store
            await asyncio.sleep(0.05)


async def until_over(fl: Fairlead, clock: ForwardClock, forward: Callable[[], None], *, patience_s: float = 20) -> None:
    """Wait until no call is open, and set the clocks forward whenever nothing is left to do by now."""
    async with asyncio.timeout(patience_s):
        while open_calls := await _open(fl):
            if all(each.state == "waiting" and each.run_at > clock.wall() for each in open_calls):
                forward()
            await asyncio.sleep(0.05)


async def _open(fl: Fairlead) -> list[BackgroundCall[Any]]:
    """Return the calls that are not over."""
    running, waiting = [await fl.calls.list(state=state, limit=_PAGE) for state in (JobState.RUNNING, JobState.WAITING)]
    return [*running, *waiting]


def go_on(vendor: MailFake) -> None:
    """Have the account send something else: only where its feed goes on does an absence from it say something."""
    news = Letter(
        id=vendor.new_id(),
        at=vendor.clock.wall(),
        sender=("", "news@example.com"),
        to=[("", "everybody@example.org")],
    )
    vendor.sent.append(news)
