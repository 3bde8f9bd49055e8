"""A gateway in front of a vendor that answers byte for byte, and a caller that sends byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from fairlead.cli.serve import listen
from fairlead.config.read import parse_settings
from fairlead.gateway.app import build_app
from fairlead.gateway.server import build_server
from fairlead.model.secret import Secret
from fairlead.observe.events import Event, EventStream
from fairlead.observe.metrics import Metrics
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.ports import Ports
from raw_server import RawServer, Script, serve

#: The gateway's own key, and the vendor's, which nobody outside may see.
KEY = "canary-gateway-key"
VENDOR_KEY = "canary-vendor+key/1"
BEARER = 'auth = { scheme = "bearer" }\ncredentials = { token = "env:VENDOR" }'
PATIENCE_S = 10.0


class Caller:
    """One connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, line: str, *fields: str, body: bytes = b"") -> Answer:
        """Send one request with the gateway's key, and read its answer."""
        await self.send(request(line, *fields, body=body))
        return await self.read()

    async def read(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")[:-2]
        pairs = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
        headers = dict(pairs)
        status = int(first.split(" ")[1])
        trailers = ""
        if headers.get("transfer-encoding") == "chunked":
            body, trailers = await self._chunks()
        else:
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(status, headers, body, trailers)

    async def _chunks(self) -> tuple[bytes, str]:
        pieces = b""
        while size := int(await self.reader.readline(), 16):
            pieces += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        trailers = ""
        while (line := await self.reader.readline()) != b"\r\n":
            trailers += line.decode()
        return pieces, trailers


class Answer(NamedTuple):
    """What the gateway said."""

    status: int
    headers: dict[str, str]
    body: bytes
    trailers: str = ""


class Proxied(NamedTuple):
    """All that a test may want to touch."""

    caller: Caller
    vendor: RawServer
    events: list[Event]
    port: int
    fl: Fairlead


def request(line: str, *fields: str, body: bytes = b"", key: str = f"fairlead-key: {KEY}") -> bytes:
    length = [f"content-length: {len(body)}"] if body else []
    return "\r\n".join([f"{line} HTTP/1.1", "host: gateway", key, *length, *fields, "", ""]).encode() + body


@asynccontextmanager
async def proxied(
    script: Script, settings: str = BEARER, *, gateway: str = "", path: str = "/v1", read_s: float = 5.0, tries: int = 3
) -> AsyncIterator[Proxied]:
    """Serve, with the vendor as the connection `shop`."""
    events: list[Event] = []
    async with asyncio.timeout(PATIENCE_S * 3), serve(script) as vendor:
        text = f"""
[connections.shop]
base_url = "{vendor.url()}{path}"
allow_private = true
retry = {{ max_attempts = {tries}, base_s = 0.001, cap_s = 0.001 }}
timeouts = {{ read_s = {read_s} }}
{settings}
[gateway]
{gateway}
"""
        fl = Fairlead(
            parse_settings(text), environment={"VENDOR": VENDOR_KEY}, ports=Ports(events=EventStream((events.append,)))
        )
        listener = listen("127.0.0.1", 0)
        port = listener.getsockname()[1]
        server = build_server(build_app(fl, Metrics(), keys=[Secret(KEY)]), handles_signals=False)
        serving = asyncio.create_task(server.serve([listener]))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield Proxied(Caller(reader, writer), vendor, events, port, fl)
        finally:
            writer.close()
            server.should_exit = True
            await serving
