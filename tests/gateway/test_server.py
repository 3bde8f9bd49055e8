"""The server under the gateway: the event loop that it runs in, and how it writes."""

import asyncio
import socket
from typing import Any, cast

import pytest
import uvloop
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from fairlead.config.gateway import Gateway
from fairlead.gateway.caller import CallerLine
from fairlead.gateway.exchange import Exchange
from fairlead.gateway.server import build_server


class Noted:
    """A transport that notes what is done with it."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def writelines(self, pieces: list[bytes]) -> None:
        self.done.append(pieces)

    def close(self) -> None:
        self.done.append("closed")

    def abort(self) -> None:
        self.done.append("aborted")

    def is_closing(self) -> bool:
        return "closed" in self.done


async def nobody(_: Exchange) -> None:
    """Answer nothing: nothing is asked."""


def line(noted: Noted) -> CallerLine:
    made = CallerLine(nobody, Gateway(), ServerState())
    made.connection_made(cast("asyncio.Transport", noted))
    return made


def test_it_runs_in_uvloop() -> None:
    loops: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loops.append(asyncio.get_running_loop())
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "seen enough"})

    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(SystemExit):
        build_server(cast("Any", app)).run([listener])
    assert [type(loop) for loop in loops] == [uvloop.Loop]


async def test_what_is_written_in_one_go_leaves_together() -> None:
    noted = Noted()
    way = line(noted)
    way.write(b"head")
    way.write(b"body")
    assert noted.done == []
    await asyncio.sleep(0)
    way.write(b"more")
    await asyncio.sleep(0)
    assert noted.done == [[b"head", b"body"], [b"more"]]


async def test_much_does_not_wait() -> None:
    noted = Noted()
    way = line(noted)
    way.write(b"head")
    way.write(bytes(100_000))
    assert noted.done == [[b"head", bytes(100_000)]]


async def test_what_was_written_is_sent_before_the_end() -> None:
    noted = Noted()
    way = line(noted)
    way.write(b"answer")
    way.abort()
    await asyncio.sleep(0)
    assert noted.done == [[b"answer"], "aborted"]


async def test_a_caller_who_has_left_is_sent_nothing() -> None:
    noted = Noted()
    way = line(noted)
    way.write(b"answer")
    noted.close()
    await asyncio.sleep(0)
    assert noted.done == ["closed"]
