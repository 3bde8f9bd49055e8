"""An HTTP/2 server on loopback that does what its script says, frame by frame: `raw_server` with streams.

The protocol is the `h2` library's own server side, so that what a client gets is a real conversation; what no server
would do (a reset in the middle, a GOAWAY too early) is the script's to say.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterable

import h2.config
import h2.connection
import h2.events
import h2.settings
from hyperframe.frame import GoAwayFrame

from raw_server import Peer, Script

Fields = Iterable[tuple[str, str]]


class Stream:
    """One request, as far as it has come."""

    def __init__(self, number: int, fields: dict[str, str]) -> None:
        self.number = number
        self.fields = fields
        self.body = b""
        self.is_complete = False


class H2Peer:
    """The server's end of one connection."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self._coming: dict[int, Stream] = {}
        self._complete: list[Stream] = []
        #: The streams that the client has reset.
        self.resets: list[int] = []

    async def greet(self, settings: dict[h2.settings.SettingCodes, int]) -> None:
        if settings:
            self.state.local_settings = h2.settings.Settings(client=False, initial_values=settings)
        self.state.initiate_connection()
        await self.flush()

    async def read(self) -> bool:
        """Take in what has come; return whether the client is still there."""
        data = await self._peer.read()
        if not data:
            return False
        for event in self.state.receive_data(data):
            self._note(event)
        await self.flush()
        return True

    def _note(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                fields = {str(name): str(value) for name, value in event.headers}
                self._coming[event.stream_id] = Stream(event.stream_id, fields)
            case h2.events.DataReceived():
                self._coming[event.stream_id].body += event.data
                self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                stream = self._coming[event.stream_id]
                stream.is_complete = True
                self._complete.append(stream)
            case h2.events.StreamReset():
                self.resets.append(event.stream_id)

    async def read_request(self) -> Stream:
        """Read until a request is complete, and count it."""
        while not self._complete:
            if not await self.read():
                raise ConnectionResetError
        stream = self._complete.pop(0)
        self._peer.count(repr((stream.fields, stream.body)).encode())
        return stream

    async def read_head(self) -> Stream:
        """Read until a request has begun, and count it."""
        while not self._coming:
            if not await self.read():
                raise ConnectionResetError
        stream = next(iter(self._coming.values()))
        self._peer.count(repr((stream.fields, stream.body)).encode())
        return stream

    async def send_head(self, stream: Stream, status: int, fields: Fields = (), *, is_all: bool = False) -> None:
        self.state.send_headers(stream.number, [(":status", str(status)), *fields], end_stream=is_all)
        await self.flush()

    async def send_body(self, stream: Stream, body: bytes, *, is_all: bool = True) -> None:
        """Send it in as many frames as the client lets through, until it has reset the stream."""
        while body:
            if stream.number in self.resets:
                return
            room = min(self.state.local_flow_control_window(stream.number), self.state.max_outbound_frame_size)
            if room <= 0:
                if not await self.read():
                    raise ConnectionResetError
                continue
            self.state.send_data(stream.number, body[:room])
            body = body[room:]
            await self.flush()
        if is_all:
            self.state.end_stream(stream.number)
            await self.flush()

    async def refuse(self, stream: Stream, code: int) -> None:
        """Reset a stream."""
        self.state.reset_stream(stream.number, code)
        await self.flush()

    async def go_away(self, last: int, code: int = 0) -> None:
        """Say that no request after `last` is or will be looked at."""
        self.state.close_connection(code, last_stream_id=last)
        await self.flush()

    async def announce_end(self, last: int) -> None:
        """Say the same, and go on with what began before, which the library would not."""
        await self.send_raw(GoAwayFrame(0, last_stream_id=last).serialize())

    async def flush(self) -> None:
        await self._peer.send(self.state.data_to_send())

    async def send_raw(self, data: bytes) -> None:
        await self._peer.send(data)

    async def stay_deaf(self) -> None:
        await self._peer.stay_deaf()

    async def wait_for_end(self) -> None:
        while await self.read():
            pass

    def close(self) -> None:
        self._peer.close()

    def reset(self) -> None:
        self._peer.reset()


H2Script = Callable[[H2Peer], Awaitable[None]]


def speak(script: H2Script, **settings: int) -> Script:
    """Play an HTTP/2 script where a raw one is asked for."""

    async def run(peer: Peer) -> None:
        talker = H2Peer(peer)
        await talker.greet({h2.settings.SettingCodes[name.upper()]: value for name, value in settings.items()})
        await script(talker)

    return run


def with_h2(tls: ssl.SSLContext) -> ssl.SSLContext:
    """Offer HTTP/2 alone."""
    tls.set_alpn_protocols(["h2"])
    return tls
