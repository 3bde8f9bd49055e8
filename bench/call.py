"""Measure what a call costs in CPU: through the whole pipeline, beside the bare HTTP client, against one local server.

The server runs in a process of its own, so that only the client is counted. Rounds alternate, and the ratio is taken
round by round, so that a busy machine slows both.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from multiprocessing.connection import Connection

import aiohttp  # noqa: TID251  # the yardstick

from fairlead import Fairlead
from fairlead.config.read import parse_settings
from fairlead.observe.events import EventStream
from fairlead.runtime.ports import Ports

ROUNDS = 9
CALLS = 1000
AT_ONCE = 16
ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"ok":true}'

CONFIG = """
[connections.local]
base_url = "{url}"
allow_private = true
auth = {{ scheme = "bearer" }}
credentials = {{ token = "env:TOKEN" }}
rate = {{ requests = 1000000, per_s = 1 }}
"""


class Server(asyncio.Protocol):
    """Answers every request at once; a request is what ends in an empty line."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer."""
        assert isinstance(self._transport, asyncio.Transport)  # noqa: S101  # TCP has no other
        self._transport.write(ANSWER * data.count(b"\r\n\r\n"))


def serve(port: Connection) -> None:
    """Serve until the parent ends, telling it the port."""

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


async def cpu_us(call: Callable[[], Awaitable[object]]) -> float:
    """Return the CPU time of one call in microseconds, over a round of them."""

    async def work() -> None:
        for _ in range(CALLS // AT_ONCE):
            await call()

    started = time.process_time()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return (time.process_time() - started) / (CALLS // AT_ONCE * AT_ONCE) * 1e6


async def compare(url: str) -> None:
    """Print both, and their ratio."""
    events: list[object] = []
    ports = Ports(events=EventStream((events.append,)))
    settings = parse_settings(CONFIG.format(url=url))
    async with (
        aiohttp.ClientSession(headers={"authorization": "Bearer x"}) as session,
        Fairlead(settings, environment={"TOKEN": "x"}, ports=ports) as fl,
    ):
        http = fl.http("local")

        async def bare() -> object:
            async with session.get(f"{url}/things") as answer:
                return await answer.read()

        async def whole() -> object:
            return await http.get("/things")

        await cpu_us(bare)
        await cpu_us(whole)
        rounds = [(await cpu_us(bare), await cpu_us(whole)) for _ in range(ROUNDS)]
    print(f"{'bare aiohttp':32} {statistics.median(bare for bare, _ in rounds):7.0f} us CPU a call")
    print(f"{'fairlead, everything on':32} {statistics.median(whole for _, whole in rounds):7.0f} us CPU a call")
    ratios = sorted(whole / bare for bare, whole in rounds)
    print(f"{'ratio':32} {statistics.median(ratios):7.2f}   ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def main() -> None:
    """Measure."""
    print(f"Python {platform.python_version()}, aiohttp {version('aiohttp')}, {AT_ONCE} calls at once")
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    asyncio.run(compare(f"http://127.0.0.1:{ours.recv()}"))
    server.terminate()


if __name__ == "__main__":
    main()
