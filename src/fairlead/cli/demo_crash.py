"""The part of the demonstration in which the gateway is killed, and nothing that it had accepted is lost.

A vendor sends signed events to a gateway, which hands them on to an application. In the middle of it the gateway is
killed, as by a power cut, and started again over the same file.
"""

from __future__ import annotations

import asyncio
import hmac
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import msgspec

from fairlead.model.message import Response, build_request
from fairlead.runtime.ports import SystemClock
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.server import FakeServer
from fairlead.transport.http import HttpOptions, HttpTransport

KILLS = 3
_SENDERS = 8
_SECRET = "whsec_for_the_demonstration"  # noqa: S105  # made up
# How many events the gateway acknowledges before it is killed.
_LIVES = (40, 160)
_PATIENCE_S = 20.0
_CONFIG = """
[gateway]
api_keys = ["env:KEY"]

[connections.shop]
provider = "stripe"
credentials = {{ webhook_secret = "env:SECRET" }}

[connections.app]
base_url = "{url}"
allow_private = true
rate = {{ requests = 100000 }}

[[webhooks.forwards]]
events = ["shop:*"]
connection = "app"

[webhooks]
lease_s = 1
waits_s = [0.1, 0.2, 0.5, 1, 2, 5]
"""


class Survival(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the events that were acknowledged. `repeated` came again, and were told by their id."""

    kills: int
    acknowledged: int
    handled: int
    lost: int
    repeated: int


class Application(FakeServer):
    """An application that takes events, and tells by their id which it has had."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def operation(self, request: FakeRequest) -> str:  # noqa: ARG002  # it has one
        """Return the name of the one thing that it does."""
        return "event"

    def answer(self, request: FakeRequest) -> FakeReply:
        """Take an event."""
        self.seen[request.headers["webhook-id"].partition(":")[2]] += 1
        return FakeReply.json(200, {})

    def error(self, status: int) -> FakeReply:
        """Return an error."""
        return FakeReply.json(status, {})


class Vendor:
    """Sends events, and remembers which were acknowledged; others are sent again, as vendors do."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._unsure: list[str] = []
        self.acknowledged: set[str] = set()

    async def send(self, gateway: str, clock: SystemClock) -> None:
        """Send until nobody answers."""
        transport = HttpTransport(HttpOptions(base_url=gateway, allow_private=True))
        try:
            await asyncio.gather(*(self._send_some(transport, clock) for _ in range(_SENDERS)))
        finally:
            await transport.close()

    async def _send_some(self, transport: HttpTransport, clock: SystemClock) -> None:
        while True:
            key = self._unsure.pop() if self._unsure else f"evt_{next(self._numbers)}"
            at = int(clock.wall())
            body = msgspec.json.encode({"id": key, "type": "invoice.paid", "created": at, "data": {"object": {}}})
            signature = hmac.digest(_SECRET.encode(), f"{at}.".encode() + body, "sha256").hex()
            headers = {"content-type": "application/json", "stripe-signature": f"t={at},v1={signature}"}
            request = build_request("POST", "/webhooks/shop", body=body, headers=headers)
            answer = await transport.exchange(request, timeout_s=5.0)
            if not isinstance(answer, Response) or answer.status != 200:
                self._unsure.append(key)
                return
            self.acknowledged.add(key)


async def survive(seed: int, *, kills: int = KILLS) -> Survival:
    """Kill the gateway that often while events come, start it again, and count what the application got."""
    random, vendor, clock = Random(seed), Vendor(), SystemClock()  # noqa: S311  # repeatable
    with TemporaryDirectory() as place:
        async with Application() as application:
            config = Path(place) / "fairlead.toml"
            config.write_text(_CONFIG.format(url=application.url), encoding="utf-8")
            for _ in range(kills):
                async with gateway(config) as (process, url):
                    sending = asyncio.create_task(vendor.send(url, clock))
                    enough = len(vendor.acknowledged) + random.randint(*_LIVES)
                    await until(clock, lambda enough=enough: len(vendor.acknowledged) >= enough)  # type: ignore[misc]
                    process.kill()
                    await asyncio.gather(sending, process.wait())
            async with gateway(config):
                await until(clock, lambda: vendor.acknowledged <= application.seen.keys())
    return Survival(
        kills=kills,
        acknowledged=len(vendor.acknowledged),
        handled=len(vendor.acknowledged & application.seen.keys()),
        lost=len(vendor.acknowledged - application.seen.keys()),
        repeated=sum(times > 1 for times in application.seen.values()),
    )


async def until(clock: SystemClock, is_so: Callable[[], bool]) -> None:
    """Wait until something is so, or for as long as patience lasts."""
    last = clock.monotonic() + _PATIENCE_S
    while not is_so() and clock.monotonic() < last:
        await clock.sleep(0.01)


@asynccontextmanager
async def gateway(config: Path) -> AsyncIterator[tuple[Process, str]]:
    """Run a gateway as a process of its own; it is killed at the end, if it was not before."""
    command = (sys.executable, "-m", "fairlead", "serve", "--port", "0", "--json")
    variables = {"KEY": "only the vendor calls", "SECRET": _SECRET}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=config.parent, env=variables, stdout=PIPE, stderr=DEVNULL
    )
    assert process.stdout is not None  # noqa: S101  # it was asked for
    try:
        yield process, msgspec.json.decode(await process.stdout.readline())["url"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
