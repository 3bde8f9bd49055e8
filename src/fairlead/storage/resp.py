"""One connection that speaks RESP 3, Redis's and Valkey's protocol, and pipelines by itself.

Commands that are given in one turn of the event loop leave in one write, and their answers, which come in the order
of the commands, are read together: a command then costs a client a few microseconds. Messages of channels come on
the same connection, as pushes. https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from importlib import import_module
from typing import Any

from fairlead.errors import InvalidSettingError, StorageError

OnPush = Callable[[str, bytes], None]


class RefusedError(Exception):
    """The store refused a command, in its own words. It does not leave this room: they may repeat what was sent."""


def load_parser() -> Any:
    """Return the module that reads and writes RESP; raise `InvalidSettingError` where it is missing."""
    try:
        return import_module("hiredis")
    except ModuleNotFoundError:
        raise InvalidSettingError(
            "state.url: the package hiredis is missing.", hint="Run: pip install fairlead[redis]"
        ) from None


class Wire(asyncio.Protocol):
    """The connection. An answer that takes longer than `answer_s` ends it, for those behind it can only be later.

    `on_push(channel, payload)` is given what comes on a channel. `ended` is set when nothing more will come.
    """

    def __init__(self, *, answer_s: float, on_push: OnPush) -> None:
        self._hiredis = load_parser()
        self._loop = asyncio.get_running_loop()
        self._reader = self._hiredis.Reader(notEnoughData=self)
        self._answer_s = answer_s
        self._on_push = on_push
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        #: What waits for its answer, and until when.
        self._asked: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self.ended = asyncio.Event()
        self.reason = ""

    def ask(self, *parts: str | bytes | float) -> asyncio.Future[Any]:
        """Send a command; return its answer to come. It raises `StorageError` or `RefusedError`."""
        answer = self._loop.create_future()
        if self.ended.is_set():
            answer.set_exception(StorageError(f"The store is out of reach: {self.reason}."))
            return answer
        self._asked.append((answer, self._loop.time() + self._answer_s))
        self.tell(*parts)
        if self._alarm is None:
            self._alarm = self._loop.call_later(self._answer_s, self._look)
        return answer

    def tell(self, *parts: str | bytes | float) -> None:
        """Send a command that has no answer but pushes, such as SUBSCRIBE."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(self._hiredis.pack_command(parts))

    def end(self, reason: str) -> None:
        """Close; whatever waits for an answer is told that none comes."""
        if self.ended.is_set():
            return
        self.reason = reason
        self.ended.set()
        if self._alarm:
            self._alarm.cancel()
        if self._transport:
            self._transport.abort()
        while self._asked:
            answer, _ = self._asked.popleft()
            if not answer.done():
                answer.set_exception(StorageError(f"The store did not answer: {reason}."))

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # tells the checker which one it is
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand out answers and pushes."""
        reader = self._reader
        try:
            reader.feed(data)
            while (answer := reader.gets()) is not self:
                if isinstance(answer, self._hiredis.PushNotification):
                    self._push(answer)
                else:
                    self._hand_over(answer)
        except self._hiredis.ProtocolError:
            self.end("what it says is not RESP")

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        self.end("the connection broke" if error else "it closed the connection")

    # Inside.

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport and not self.ended.is_set():
            self._transport.write(b"".join(out))

    def _push(self, push: list[Any]) -> None:
        if len(push) == 3 and push[0] == b"message":
            self._on_push(push[1].decode(), push[2])

    def _hand_over(self, answer: Any) -> None:
        if not self._asked:
            self.end("it answers what was not asked")
            return
        waiting, _ = self._asked.popleft()
        if waiting.done():  # whoever asked has gone
            return
        if isinstance(answer, self._hiredis.ReplyError):
            waiting.set_exception(RefusedError(str(answer)))
        else:
            waiting.set_result(answer)

    def _look(self) -> None:
        """See whether the oldest command is late; one timer serves them all."""
        self._alarm = None
        if not self._asked:
            return
        left_s = self._asked[0][1] - self._loop.time()
        if left_s <= 0:
            self.end(f"no answer within {self._answer_s:g} s")
        else:
            self._alarm = self._loop.call_later(left_s, self._look)
