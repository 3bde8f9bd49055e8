"""One HTTP/2 connection (RFC 9113): many requests at once, each of which may end without harm to the others.

The protocol is the `h2` library's, the socket is ours. One task reads, for all; nothing that a request does can stop it
halfway, so a cancelled request resets its own stream and no byte meant for another is lost. Nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from h2.errors import ErrorCodes
from h2.settings import SettingCodes, Settings

from fairlead.model.outcome import Failure
from fairlead.transport.failures import BrokenOff

_CHUNK = 64 * 1024
# What may be on its way to us: for one stream, and for all together.
_STREAM_WINDOW = 512 * 1024
# The streams' own windows bound what is kept: a smaller one for all would let a few that are not read hold up the rest.
_WINDOW = 2**31 - 1 - 65_535
# What may wait to be sent before we stop reading: more than all streams put there, so that it is answers to questions.
_LONGEST_QUEUE = 4 * 1024 * 1024
_FRAME_HEAD = 9
_LONGEST_FRAME = 16 * 1024  # RFC 9113 §4.2, unless we allow more
_HEADERS, _GOAWAY, _CONTINUATION = 0x1, 0x7, 0x9
_LONGEST_HEAD = 64 * 1024  # as it comes, packed: before anybody unpacks it
_LAST_STREAM = 2**31 - 3
_TURNS = 5  # of the event loop, from a socket that can be read to the task that has read it

Field = tuple[bytes, bytes]


class Stream:
    """One request and what has come of its answer."""

    __slots__ = (
        "chunks", "failure", "head", "is_complete", "is_fed", "moved_at", "news", "number", "status", "trailers",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        #: Whether there is something to send, where there is more to come; and when something last was.
        self.is_fed = True
        self.moved_at = asyncio.get_running_loop().time()
        self.number = number
        self.status = 0
        self.head: list[Field] | None = None
        self.trailers: list[Field] = []
        self.chunks: deque[tuple[bytes, int]] = deque()
        self.is_complete = False
        self.failure: Failure | None = None
        self.news = asyncio.Event()

    def end(self, failure: Failure) -> None:
        """Break it off; what is already complete stays so."""
        if not self.is_complete and self.failure is None:
            self.failure = Failure.TRUNCATED if failure is Failure.RESET and self.head is not None else failure
        self.news.set()

    async def wait(self) -> None:
        """Wait for the next event; raise `BrokenOff` when there will be none."""
        if self.failure is not None:
            raise BrokenOff(self.failure)
        await self.news.wait()
        self.news.clear()


class Wire:
    """A connection on which HTTP/2 has been agreed. `start` it, and `close` it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: socket.socket | None = None
    ) -> None:
        self._raw = raw
        self._reader = reader
        self._writer = writer
        self._state = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        self._streams: dict[int, Stream] = {}
        self._unread = b""
        self._head_size = 0
        self._greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listening: asyncio.Task[None] | None = None
        self._is_leaving = False
        #: When the last byte came, and when the last request left, by the event loop's clock.
        self.heard_at = self.left_at = asyncio.get_running_loop().time()

    @property
    def is_open(self) -> bool:
        """Whether the socket is up."""
        return self._listening is not None and not self._listening.done()

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return not self._streams

    @property
    def has_room(self) -> bool:
        """Whether another request may begin."""
        return (
            self.is_open
            and not self._is_leaving
            and len(self._streams) < self._state.remote_settings.max_concurrent_streams
            and self._state.highest_outbound_stream_id < _LAST_STREAM
        )

    async def start(self) -> None:
        """Exchange settings; raise `OSError` where the other side does not speak HTTP/2 after all."""
        self._state.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: _STREAM_WINDOW,
                SettingCodes.MAX_CONCURRENT_STREAMS: 100,
                SettingCodes.MAX_HEADER_LIST_SIZE: 64 * 1024,
            },
        )
        self._state.initiate_connection()
        self._state.increment_flow_control_window(_WINDOW)
        self._flush()
        self._listening = asyncio.create_task(self._listen())
        await self._greeted

    def begin(self, head: Iterable[Field], *, is_all: bool) -> Stream:
        """Send the head of a request."""
        number = self._state.get_next_available_stream_id()
        self._state.send_headers(number, head, end_stream=is_all)
        stream = self._streams[number] = Stream(number)
        self._flush()
        return stream

    async def send(self, stream: Stream, body: bytes, *, is_last: bool = True) -> None:
        """Send a body, or a piece of one, as fast as the other side takes it; stop when it has said its last word."""
        rest = memoryview(body)
        while rest and not stream.is_complete and stream.failure is None:
            room = min(self._state.local_flow_control_window(stream.number), self._state.max_outbound_frame_size)
            if room <= 0:
                await stream.wait()
                continue
            stream.moved_at = asyncio.get_running_loop().time()
            self._state.send_data(stream.number, bytes(rest[:room]), end_stream=is_last and room >= len(rest))
            rest = rest[room:]
            self._flush()
            with suppress(OSError):  # the reading task learns of it, and knows what had come before
                await self._writer.drain()

    def end_sending(self, stream: Stream, trailers: Iterable[Field] = ()) -> None:
        """Say that the body was all, with fields after it where there are any (RFC 9113 §8.1)."""
        if stream.is_complete or stream.failure is not None or not self.is_open:
            return
        if trailers:
            self._state.send_headers(stream.number, trailers, end_stream=True)
        else:
            self._state.end_stream(stream.number)
        self._flush()

    async def read_head(self, stream: Stream, read_s: float) -> tuple[int, list[Field]]:
        """Return the status and the fields; raise `BrokenOff`, and `TimeoutError` where nothing moves for `read_s`.

        Nobody is late as long as the request is on its way, or its source slow.
        """
        now = asyncio.get_running_loop().time
        while stream.head is None:
            try:
                async with asyncio.timeout_at(stream.moved_at + read_s):
                    await stream.wait()
            except TimeoutError:
                if not stream.is_fed:
                    stream.moved_at = now()
                elif now() >= stream.moved_at + read_s:
                    raise
        return stream.status, stream.head

    async def read_chunk(self, stream: Stream) -> bytes:
        """Return the next piece of the body, empty at its end; raise `BrokenOff`."""
        while not stream.chunks:
            if stream.is_complete:
                return b""
            await stream.wait()
        chunk, cost = stream.chunks.popleft()
        self._acknowledge(stream, cost)
        return chunk

    def leave(self, stream: Stream) -> None:
        """Forget a stream, and tell the other side where its answer is not wanted any more."""
        self._streams.pop(stream.number, None)
        self.left_at = asyncio.get_running_loop().time()
        if not self.is_open:
            return
        for _, cost in stream.chunks:
            self._acknowledge(stream, cost)
        with suppress(h2.exceptions.ProtocolError):  # it has ended already, from both sides or by a reset
            self._state.reset_stream(stream.number, ErrorCodes.CANCEL)
        self._flush()
        if self._is_leaving and not self._streams:
            self._writer.transport.abort()

    async def catch_up(self) -> None:
        """Let the event loop tell first what came while it had no time: it may be the end."""
        for _ in range(_TURNS):
            try:
                if self._raw is None or not self.is_open or self._raw.recv(1, socket.MSG_PEEK) is None:
                    return
            except OSError:
                return
            await asyncio.sleep(0)

    def abandon(self) -> None:
        """Forget a connection of an event loop that is not there any more; nothing is said over it."""
        if self._raw is not None:
            self._raw.close()

    def retire(self) -> None:
        """Begin nothing more on it, and close it after what is under way."""
        self._is_leaving = True
        if not self._streams:
            self._writer.transport.abort()

    async def close(self) -> None:
        """Close the socket at once, whatever is under way."""
        if self.is_open:
            with suppress(h2.exceptions.ProtocolError):
                self._state.close_connection()
            self._flush()
        self._writer.transport.abort()
        if self._listening is not None:
            await asyncio.gather(self._listening, return_exceptions=True)
        with suppress(OSError):
            await self._writer.wait_closed()

    async def _listen(self) -> None:
        failure = Failure.RESET
        cause: BaseException | None = None
        try:
            while data := await self._reader.read(_CHUNK):
                self.heard_at = asyncio.get_running_loop().time()
                self._take_in(data)
                self._flush()
                # Who asks and asks without reading the answers is not read either; who echoes what we send, is.
                if self._writer.transport.get_write_buffer_size() > _LONGEST_QUEUE:
                    await self._writer.drain()
        except (h2.exceptions.ProtocolError, ValueError) as error:  # the latter for a status that is no number
            failure, cause = Failure.PROTOCOL, error
            self._flush()  # the library has written why
        except OSError as error:
            cause = error
        finally:
            for stream in self._streams.values():
                stream.end(failure)
            if not self._greeted.done():
                self._greeted.set_exception(cause if isinstance(cause, OSError) else ConnectionResetError())
            self._writer.transport.abort()

    def _take_in(self, data: bytes) -> None:
        for frame in self._frames(data):
            if frame[3] == _GOAWAY:
                self._prepare_to_leave(frame)
                continue
            if frame[3] in {_HEADERS, _CONTINUATION}:
                self._head_size = len(frame) + (self._head_size if frame[3] == _CONTINUATION else 0)
                if self._head_size > _LONGEST_HEAD:
                    raise h2.exceptions.DenialOfServiceError
            for event in self._state.receive_data(frame):
                self._note(event)

    def _frames(self, data: bytes) -> Iterator[bytes]:
        """Cut what has come into whole frames (RFC 9113 §4.1).

        The library takes a GOAWAY for the end and chokes on the answers that come after it. So it is not shown those.
        """
        data = self._unread + data
        begin = 0
        while len(data) - begin >= _FRAME_HEAD:
            length = int.from_bytes(data[begin : begin + 3], "big")
            if length > _LONGEST_FRAME:
                raise h2.exceptions.FrameTooLargeError
            end = begin + _FRAME_HEAD + length
            if end > len(data):
                break
            yield data[begin:end]
            begin = end
        self._unread = data[begin:]

    def _prepare_to_leave(self, frame: bytes) -> None:
        """Follow GOAWAY (RFC 9113 §6.8): what began after its last stream was not looked at."""
        if len(frame) < _FRAME_HEAD + 8:
            raise h2.exceptions.FrameDataMissingError
        last = int.from_bytes(frame[_FRAME_HEAD : _FRAME_HEAD + 4], "big") & 0x7FFFFFFF
        self._is_leaving = True
        for stream in self._streams.values():
            if stream.number > last:
                stream.end(Failure.TURNED_AWAY)

    def _note(self, event: h2.events.Event) -> None:
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        match event:
            case h2.events.RemoteSettingsChanged():
                if not self._greeted.done():
                    self._greeted.set_result(None)
                self._tell_all()
            case h2.events.WindowUpdated(stream_id=0):
                self._tell_all()
            case h2.events.DataReceived() if stream is None or not event.data:  # left meanwhile, or mere padding
                self._state.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
            case _ if stream is not None:
                _update(stream, event)
                stream.news.set()

    def _tell_all(self) -> None:
        for stream in self._streams.values():
            stream.news.set()

    def _acknowledge(self, stream: Stream, cost: int) -> None:
        if self.is_open:
            self._state.acknowledge_received_data(cost, stream.number)
            self._flush()

    def _flush(self) -> None:
        if data := self._state.data_to_send():
            self._writer.write(data)


def _update(stream: Stream, event: h2.events.Event) -> None:
    """Take in what came for one stream."""
    match event:
        case h2.events.ResponseReceived():
            fields = [(bytes(name), bytes(value)) for name, value in event.headers or ()]
            stream.status = int(next((value for name, value in fields if name == b":status"), b""))
            stream.head = [field for field in fields if not field[0].startswith(b":")]
        case h2.events.TrailersReceived():
            stream.trailers = [(bytes(name), bytes(value)) for name, value in event.headers or ()]
        case h2.events.DataReceived():
            stream.chunks.append((event.data or b"", event.flow_controlled_length or 0))
        case h2.events.StreamEnded():
            stream.is_complete = True
        case h2.events.StreamReset():
            is_unseen = event.error_code == ErrorCodes.REFUSED_STREAM and stream.head is None
            stream.end(Failure.TURNED_AWAY if is_unseen else Failure.RESET)
