"""Bounded in size and time, and what was not sent is known not to have been."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fairlead.model.exchange import Broken
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect, Failure, Phase
from fairlead.spec.retry_after import parse_retry_after
from raw_server import ignore, let_the_client_read, serve
from stages import LIMIT, PATIENCE_S, SHORT_S, Authority, Client, answer, options, request_for
from talks import BOMB, DEAF, HALF_AND_STALL, ON_AND_ON, QUIET, TWO_GIGABYTES, Talk, bomb, saying


@contextmanager
def at_most(megabytes: float) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < megabytes * 1_000_000


# --- Size ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("talk", [TWO_GIGABYTES, ON_AND_ON, BOMB], ids=["claimed", "streamed", "packed"])
async def test_an_answer_past_the_limit_takes_no_memory(talk: Talk, client: Client, authority: Authority) -> None:
    bomb()  # made before the memory is counted
    async with client.serve(authority, talk) as (_, wanted):
        with at_most(megabytes=6):
            result = await client.exchange(wanted, request_for(Effect.READ))
    assert result == Broken(Failure.TOO_LARGE, Phase.RECEIVING, wanted.base_url)


async def test_an_answer_at_the_limit_is_read(client: Client, authority: Authority) -> None:
    async with client.serve(authority, saying(200, b" " * LIMIT)) as (_, wanted):
        result = await client.exchange(wanted, request_for(Effect.READ))
    assert isinstance(result, Response)
    assert len(result.body) == LIMIT


async def test_the_length_of_a_body_that_does_not_come_means_nothing(client: Client, authority: Authority) -> None:
    head = Request(method="HEAD", path="/things", effect=Effect.READ)
    async with client.serve(authority, TWO_GIGABYTES) as (_, wanted):
        result = await client.exchange(wanted, head)
    assert isinstance(result, Response)
    assert result.headers["content-length"] == "2000000000"


async def test_a_large_answer_comes_whole(client: Client, authority: Authority) -> None:
    content = bytes(range(256)) * 20_000
    async with client.serve(authority, saying(200, content), max_answer_bytes=10_000_000) as (_, wanted):
        result = await client.exchange(wanted, request_for(Effect.READ))
    assert isinstance(result, Response)
    assert result.body == content


async def test_so_does_a_large_request(client: Client, authority: Authority) -> None:
    content = b"a" * 5_000_000
    request = Request(method="POST", path="/things", effect=Effect.ONCE, body=content)
    async with client.serve(authority, saying(200)) as (server, wanted):
        result = await client.exchange(wanted, request)
    assert isinstance(result, Response)
    assert content in server.requests[0]


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(b'{"done": true}')),
        ("gzip", gzip.compress(b'{"done"') + gzip.compress(b": true}")),
        ("deflate", zlib.compress(b'{"done": true}')),
        ("deflate", zlib.compress(b'{"done": true}', wbits=-15)),
        ("identity", b'{"done": true}'),
    ],
    ids=["gzip", "two members", "deflate", "deflate without a frame", "identity"],
)
async def test_a_packed_answer_is_unpacked(coding: str, packed: bytes, client: Client, authority: Authority) -> None:
    async with client.serve(authority, saying(200, packed, f"Content-Encoding: {coding}")) as (server, wanted):
        result = await client.exchange(wanted, request_for(Effect.READ))
    assert isinstance(result, Response)
    assert result.json() == {"done": True}
    assert b"gzip, deflate" in server.requests[0]


# --- Time ---------------------------------------------------------------------------------------------------------


async def test_a_handshake_is_bounded_by_the_attempt(client: Client) -> None:
    async with serve(ignore) as server:
        wanted = options(server.url("https"))
        result = await client.exchange(wanted, request_for(Effect.ONCE), timeout_s=1.0)  # reading certificates counts
    assert result == Broken(Failure.TIMEOUT, Phase.CONNECTING, wanted.base_url)


@pytest.mark.parametrize(("talk", "phase"), [(QUIET, Phase.WAITING), (HALF_AND_STALL, Phase.RECEIVING)])
async def test_so_is_an_answer(talk: Talk, phase: Phase, client: Client, authority: Authority) -> None:
    async with client.serve(authority, talk) as (_, wanted):
        result = await client.exchange(wanted, request_for(Effect.ONCE), timeout_s=1.0)
    assert result == Broken(Failure.TIMEOUT, phase, wanted.base_url)


async def test_a_server_that_never_reads_is_left_at_the_end_of_the_attempt(
    client: Client, authority: Authority
) -> None:
    request = Request(method="POST", path="/things", effect=Effect.ONCE, body=bytes(50_000_000))
    async with asyncio.timeout(PATIENCE_S), client.serve(authority, DEAF) as (_, wanted):
        result = await client.exchange(wanted, request, timeout_s=1.0)  # closes as well: there is no waiting there
    assert isinstance(result, Broken)
    assert result.failure is Failure.TIMEOUT
    assert result.phase.was_sent


async def test_what_waits_for_a_place_was_not_sent(client: Client, authority: Authority) -> None:
    async with client.serve(authority, QUIET, pool=1) as (server, wanted):
        transport = client.make(wanted)
        first = asyncio.create_task(transport.exchange(request_for(Effect.ONCE), timeout_s=PATIENCE_S))
        await let_the_client_read()
        second = await transport.exchange(request_for(Effect.ONCE), timeout_s=SHORT_S)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await transport.close()
    assert second == Broken(Failure.TIMEOUT, Phase.QUEUED, wanted.base_url)
    assert server.connections == 1


# --- Retry-After --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize(
    "fields",
    [
        ("Retry-After: 30",),
        ("Date: Sun, 06 Nov 1994 08:49:07 GMT", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT"),
    ],
    ids=["seconds", "date"],
)
async def test_a_vendor_says_when_to_come_back(
    number: int, fields: tuple[str, ...], client: Client, authority: Authority
) -> None:
    async with answer(number, *fields).open(authority, client) as wanted:
        result = await client.exchange(wanted, request_for(Effect.READ))
    assert isinstance(result, Response)
    assert parse_retry_after(result.headers, now=0.0) == 30.0
