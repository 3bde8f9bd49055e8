"""The vendor of the measurements: answers every request at once, from a process of its own."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection

import uvloop

SMALL = b'{"ok":true}'
ZEROS = bytes(256 * 1024)


class Server(asyncio.Protocol):
    """Answers GET with `{"ok":true}`, or with what `pages` or `bytes` in the path ask for, and PUT when it has come."""

    def __init__(self) -> None:
        self._head = b""
        self._to_come = 0
        self._to_send = 0
        self._is_held = False
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # `connection_made` comes first

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = transport  # type: ignore[assignment]  # TCP has no other

    def data_received(self, data: bytes) -> None:
        """Answer each request whose end has come."""
        while data:
            if self._to_come:
                taken = min(self._to_come, len(data))
                self._to_come -= taken
                data = data[taken:]
                if not self._to_come:
                    self._answer(SMALL)
                continue
            head, end, data = (self._head + data).partition(b"\r\n\r\n")
            if not end:
                self._head = head
                return
            self._head = b""
            self._begin(head.lower())

    def _begin(self, head: bytes) -> None:
        """Answer a request, or wait for its body; in the path stands what is wanted."""
        path, _, query = head.split(b" ", 2)[1].partition(b"?")
        kind, _, number = path[1:].partition(b"/")
        if b"\r\ncontent-length: " in head:
            self._to_come = int(head.partition(b"\r\ncontent-length: ")[2].split(b"\r\n", 1)[0])
        if self._to_come:
            return
        if kind == b"bytes":
            self._to_send = int(number)
            self._transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n"
                b'etag: "zeros"\r\ncontent-length: %d\r\n\r\n' % self._to_send
            )
            self._pour()
        elif kind == b"pages":
            page = int(query.rpartition(b"page=")[2] or 1)
            things = b",".join(b'{"id":%d,"name":"thing"}' % (page * 20 + at) for at in range(20))
            self._answer(b'{"pages":%s,"items":[%s]}' % (number, things))
        else:
            self._answer(SMALL)

    def _answer(self, body: bytes) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        )

    def _pour(self) -> None:
        """Send zeros, as fast as they are taken."""
        while self._to_send and not self._is_held:
            piece = ZEROS[: self._to_send]
            self._to_send -= len(piece)
            self._transport.write(piece)

    def pause_writing(self) -> None:
        """Hold back."""
        self._is_held = True

    def resume_writing(self) -> None:
        """Go on."""
        self._is_held = False
        self._pour()


def serve(port: Connection) -> None:
    """Serve until the parent ends, telling it the port."""

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())
