"""Streams hold a place at their connection until they are over, however that comes about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fairlead.config.read import parse_settings
from fairlead.errors import FairleadError, TransportError
from fairlead.model.message import Request
from fairlead.model.outcome import Effect
from fairlead.runtime.fairlead import Fairlead
from raw_server import let_the_client_read, reply, reply_once, serve
from talks import CHUNKED

ASKED = Request(method="GET", path="/things", effect=Effect.READ, is_streamed=True)
HALF = CHUNKED + b"3\r\none\r\n"


@asynccontextmanager
async def shop(said: bytes, *, is_kept: bool = True) -> AsyncIterator[Fairlead]:
    """Open a connection with one place, and see at the end that it is free."""
    async with serve(reply(said) if is_kept else reply_once(said)) as server:
        text = f"""
[connections.shop]
base_url = "{server.url()}"
allow_private = true
concurrency = {{ limit = 1 }}
retry = {{ max_attempts = 1 }}
"""
        fl = Fairlead(parse_settings(text), environment={})
        yield fl
        await let_the_client_read()
        assert fl.connections["shop"].concurrency.free == 1
        await fl.close()


async def test_one_that_nobody_has_any_more_gives_it_back_and_is_complained_of() -> None:
    async with shop(HALF) as fl:
        answer = await fl.http("shop").send(ASKED)
        assert fl.connections["shop"].concurrency.free == 0
        with pytest.warns(ResourceWarning, match="neither read nor closed"):
            del answer


async def test_so_does_one_whose_reader_stops() -> None:
    async with shop(HALF) as fl, fl.http("shop").stream("GET", "/things") as answer:
        async for piece in answer.stream:
            assert piece == b"one"
            break


async def test_one_that_breaks_off_raises_the_error_that_fits() -> None:
    async with shop(HALF, is_kept=False) as fl:
        answer = await fl.http("shop").send(ASKED)
        with pytest.raises(TransportError) as caught:
            async for _ in answer.stream:
                pass
    assert caught.value.connection == "shop"


async def test_an_answer_that_is_an_error_after_all_holds_none() -> None:
    async with shop(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: odd\r\n\r\n", is_kept=False) as fl:
        with pytest.raises(FairleadError):
            await fl.http("shop").send(ASKED)
