"""An API that is declared by settings alone, over real sockets."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import pytest

from fairlead import Fairlead, errors
from fairlead.config.read import parse_settings
from fairlead.model.message import Request
from raw_server import Peer, RawServer, serve
from stages import CANARY, http

MANY_PAGES = 10_000
Answer = Callable[[str, dict[str, str], RawServer], bytes]


def vendor(answer: Answer) -> Callable[[Peer], Any]:
    """Answer each request by its path and query; the server forgets what it was asked."""

    async def script(peer: Peer) -> None:
        while True:
            head = (await peer.read_request()).split(b" ", 2)[1].decode()
            path, _, query = head.partition("?")
            await peer.send(answer(path, dict(parse_qsl(query)), peer._server))

    return script


@asynccontextmanager
async def shop(answer: Answer, settings: str) -> AsyncIterator[tuple[Fairlead, RawServer]]:
    async with serve(vendor(answer)) as server:
        text = f"""
[connections.shop]
base_url = "{server.url()}/v1"
allow_private = true
auth = {{ scheme = "key", query = "key" }}
credentials = {{ key = "env:KEY" }}
{settings}
"""
        async with Fairlead(parse_settings(text), environment={"KEY": CANARY}) as fl:
            yield fl, server


def body(content: Any, *fields: str) -> bytes:
    return http(200, json.dumps(content).encode(), *fields)


def link(_path: str, query: dict[str, str], server: RawServer) -> bytes:
    """Page by the Link header, with the caller's key in it, as some do."""
    at = int(query.get("from", "0"))
    following = f'Link: <{server.url()}/v1/things?key={CANARY}&from={at + 1}>; rel="next"'
    return body([at * 2, at * 2 + 1], *([following] if at < 4 else []))


async def test_a_list_is_read_and_gone_on_with_later() -> None:
    async with shop(link, 'pagination = { style = "link" }') as (fl, server):
        found: list[int] = []
        position = None
        async for page in fl.http("shop").paginate("/things"):
            found += page.items
            position = json.loads(json.dumps(page.position))
            if len(found) == 6:
                break
        assert CANARY not in json.dumps(position)
        assert len(server.requests) == 3
        found += [each async for page in fl.http("shop").paginate("/things", position=position) for each in page]
        assert found == list(range(10))
        assert [request.count(CANARY.encode()) for request in server.requests] == [1] * 5


@pytest.mark.parametrize(
    ("settings", "answer", "kind", "asked"),
    [
        (
            'style = "next_url"\nitems_at = "items"',
            lambda _path, _query, server: body({"items": [1], "next": f"{server.url()}/v1/things?turn=1"}),
            errors.UnexpectedAnswerError,
            2,
        ),
        (
            'style = "cursor"\nitems_at = "items"\ncursor_at = "next"\nmax_pages = 7',
            lambda _path, query, _server: body({"items": [1], "next": int(query.get("cursor", "0")) + 1}),
            errors.UnexpectedAnswerError,
            7,
        ),
        (
            'style = "link"',
            lambda *_: body([1], f"Link: <https://else.test/?key={CANARY}>; rel=next"),
            errors.HostBlockedError,
            1,
        ),
        (
            'style = "link"',
            lambda _path, _query, server: body([1], f"Link: <https://127.0.0.1:{server.port}/v1/x>; rel=next"),
            errors.HostBlockedError,
            1,
        ),
        ('style = "page"', lambda *_: body([1, 2]), errors.UnexpectedAnswerError, 2),
        ('style = "page"', lambda *_: body({"code": 17, "message": "no"}), errors.ProviderError, 1),
    ],
    ids=["a circle", "no end", "another host", "another scheme", "the same page", "an error with status 200"],
)
async def test_a_list_that_goes_wrong_is_ended(
    settings: str, answer: Answer, kind: type[errors.FairleadError], asked: int
) -> None:
    async with shop(answer, f'error_code_at = "code"\n[connections.shop.pagination]\n{settings}') as (fl, server):
        with pytest.raises(kind) as caught:
            async for _ in fl.http("shop").paginate("/things"):
                pass
        assert (type(caught.value), caught.value.connection) == (kind, "shop")
        assert CANARY not in f"{caught.value!r} {caught.value}"
        assert len(server.requests) == asked


async def test_memory_stays_the_same_over_ten_thousand_pages() -> None:
    filler = "x" * 500

    def answer(_path: str, query: dict[str, str], server: RawServer) -> bytes:
        server.requests.clear()
        at = int(query.get("cursor", "c0")[1:]) + 1
        return body({"items": [{"id": at, "text": filler}] * 3, "next": f"c{at}" if at < MANY_PAGES else None})

    settings = 'pagination = { style = "cursor", items_at = "items", cursor_at = "next" }'
    async with shop(answer, settings) as (fl, _):
        pages = last = before = 0
        async for page in fl.http("shop").paginate("/things"):
            pages, last = pages + 1, page.items[0]["id"]
            if pages == MANY_PAGES - 2_000:  # the first are not traced, for tracing is slow
                gc.collect()
                tracemalloc.start()
            elif pages == MANY_PAGES - 1_500:
                gc.collect()
                before, _ = tracemalloc.get_traced_memory()
                tracemalloc.reset_peak()
        _, peak = tracemalloc.get_traced_memory()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert (pages, last) == (MANY_PAGES, MANY_PAGES)
    assert after - before < 50_000  # some 30 bytes a page
    assert peak - before < 2_000_000


async def test_many_requests_over_a_few_sockets() -> None:
    def answer(path: str, _query: dict[str, str], _server: RawServer) -> bytes:
        number = int(path.rpartition("/")[2])
        return body({"number": number}) if number % 50 else http(404, b'{"message": "no"}')

    async with shop(answer, "") as (fl, server):
        requests = (Request.get(f"/things/{at}") for at in range(500))
        found = {each.index: each async for each in fl.http("shop").bulk(requests, at_once=8)}
        assert len(found) == 500
        assert [at for at, each in sorted(found.items()) if not each.is_good] == list(range(0, 500, 50))
        assert all(each.response.json() == {"number": at} for at, each in found.items() if each.response)
        assert server.connections <= 8
