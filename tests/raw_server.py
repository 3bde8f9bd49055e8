"""A TCP server on loopback that answers byte for byte, for what no HTTP server would do.

A test writes a script: what to do with each connection, in the test's own event loop.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

#: An answer without a body that leaves the connection open.
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: RawServer) -> None:
        self._reader = reader
        self._writer = writer
        self._server = server

    async def read(self) -> bytes:
        """Read whatever has come."""
        return await self._reader.read(65536)

    async def read_some(self) -> bytes:
        """Read what has come next; it must be something."""
        data = await self.read()
        if not data:
            raise ConnectionResetError
        return data

    async def read_request(self) -> bytes:
        """Read one request, head and body, and count it."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        request = head + await self._reader.readexactly(int(fields.get(b"content-length", b"0")))
        self.count(request)
        return request

    def count(self, request: bytes) -> None:
        """Note that a request has come."""
        self._server.requests.append(request)

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def stay_deaf(self) -> None:
        """Read nothing any more, so that the client's bytes pile up; ends with the server."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._writer.transport.abort()

    async def wait_for_end(self) -> None:
        """Wait until the client closes."""
        while await self.read():
            pass

    def close(self) -> None:
        """End the connection in order, with FIN."""
        self._writer.close()

    def reset(self) -> None:
        """End the connection with RST."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class RawServer:
    """What has come in."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.connections = 0
        self.requests: list[bytes] = []
        #: Set when a connection has begun, and when one has ended, from either side.
        self.has_begun = asyncio.Event()
        self.has_ended = asyncio.Event()

    def url(self, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many have begun, and not ended."""
        return len(self._tasks)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.has_begun.set()
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._script(Peer(reader, writer, self))
        finally:
            self._tasks.discard(task)
            self.has_ended.set()
            writer.close()
            with suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()


@asynccontextmanager
async def serve(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """Listen on a free port of 127.0.0.1, and play the script with every connection."""
    raw = RawServer(script)
    listener = await asyncio.start_server(raw, "127.0.0.1", 0, ssl=tls)
    raw.port = listener.sockets[0].getsockname()[1]
    try:
        yield raw
    finally:
        listener.close()
        await raw.stop()
        await listener.wait_closed()


async def let_the_client_read() -> None:
    """Give the client, which shares the event loop, the turns it needs to take in what was sent."""
    for _ in range(50):
        await asyncio.sleep(0)


def reply(answer: bytes) -> Script:
    """Answer every request with the same bytes, until the client closes."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.send(answer)

    return script


def reply_once(answer: bytes) -> Script:
    """Answer one request, and close."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(answer)

    return script


async def ignore(peer: Peer) -> None:
    """Take everything in, and say nothing."""
    await peer.wait_for_end()
