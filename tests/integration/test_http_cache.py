"""The cache over real sockets: the vendor counts what it is asked, and says what it is asked with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fairlead import Fairlead, errors
from fairlead.config.read import parse_settings
from fairlead.model.call import CacheUse
from fairlead.model.headers import Pairs
from fairlead.model.message import Response
from fairlead.observe.events import EventStream
from fairlead.observe.metrics import Metrics
from fairlead.runtime.ports import Ports
from fairlead.testing.clock import FakeClock
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.faults import Faults
from fairlead.testing.server import FakeServer
from scripted import report


class Shop(FakeServer):
    """One price, with a version as its validator; a POST raises it."""

    price = 1
    control = "max-age=60"

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    def operation(self, request: FakeRequest) -> str:
        if "if-none-match" in request.headers:
            self.asked.set()
        condition = " if-none-match" if "if-none-match" in request.headers else ""
        return f"{request.method} {request.path}{condition}"

    def answer(self, request: FakeRequest) -> FakeReply:
        tag = f'"{self.price}"'
        fields: Pairs = (("etag", tag), ("cache-control", self.control), ("vary", "accept-language"))
        if request.path != "/price":
            return FakeReply.json(404, {"message": "No such thing."}, headers=(("cache-control", "max-age=5"),))
        if request.method == "POST":
            self.price += 1
            return FakeReply.json(200, {})
        if request.headers.get("if-none-match") == tag:
            return FakeReply(status=304, body=b"", headers=fields)
        return FakeReply.json(200, {"price": self.price}, headers=fields)


@asynccontextmanager
async def shop(settings: str = "") -> AsyncIterator[tuple[Fairlead, Shop, FakeClock, Metrics]]:
    clock, metrics = FakeClock(), Metrics()
    async with Shop() as vendor:
        text = f"""
[connections.shop]
base_url = "{vendor.url}"
allow_private = true
retry = {{ max_attempts = 1 }}
cache = {{ {settings} }}
"""
        ports = Ports(clock=clock, events=EventStream((metrics,)))
        async with Fairlead(parse_settings(text), ports=ports) as fl:
            yield fl, vendor, clock, metrics


async def price(fl: Fairlead) -> Response:
    return await fl.http("shop").get("/price")


async def test_an_answer_is_asked_for_once_then_confirmed_then_replaced() -> None:
    async with shop() as (fl, vendor, clock, metrics):
        said = [await price(fl), await price(fl)]
        clock.advance(61)
        said += [await price(fl), await price(fl)]
        vendor.price = 5
        clock.advance(61)
        said += [await price(fl)]
        assert [report(each).cache for each in said] == ["miss", "hit", "revalidated", "hit", "miss"]
        assert [each.json()["price"] for each in said] == [1, 1, 1, 1, 5]
        assert vendor.books.operations == {"GET /price": 1, "GET /price if-none-match": 2}
        assert vendor.books.statuses == {200: 2, 304: 1}
        text = metrics.render().decode()
        assert 'cache="revalidated",error="",operation="http.get",served_by="shop"} 1.0' in text


async def test_a_hundred_at_once_are_one_request() -> None:
    async with shop() as (fl, vendor, _, _):
        said = await asyncio.gather(*(price(fl) for _ in range(100)))
        assert {each.json()["price"] for each in said} == {1}
        assert vendor.books.requests == 1


async def test_a_change_is_seen_at_once_by_who_made_it() -> None:
    async with shop() as (fl, vendor, _, _):
        await price(fl)
        await fl.http("shop").post("/price", json={})
        assert (await price(fl)).json()["price"] == 2
        assert vendor.books.operations == {"GET /price": 2, "POST /price": 1}


async def test_an_outage_is_bridged_as_long_as_it_is_allowed() -> None:
    async with shop("stale_if_error_s = 1000") as (fl, vendor, clock, _):
        await price(fl)
        vendor.faults = Faults(flap_up_s=1e-9, flap_down_s=1e9)
        clock.advance(100)
        assert report(await price(fl)).cache is CacheUse.STALE
        clock.advance(1000)
        with pytest.raises(errors.FairleadError):
            await price(fl)


async def test_a_stale_answer_is_served_at_once_and_refreshed_behind() -> None:
    async with shop() as (fl, vendor, clock, _):
        vendor.control = "max-age=60, stale-while-revalidate=60"
        await price(fl)
        vendor.price = 2
        clock.advance(90)
        said = await asyncio.gather(*(price(fl) for _ in range(50)))
        assert {(each.json()["price"], report(each).cache) for each in said} == {(1, CacheUse.REFRESHING)}
        await asyncio.gather(*fl._calls.caching._refreshing.values())
        again = await price(fl)
        assert (again.json()["price"], report(again).cache) == (2, CacheUse.HIT)
        assert vendor.books.requests == 2


async def test_closing_in_the_middle_of_a_refresh_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    async with shop() as (fl, vendor, clock, _):
        vendor.control = "max-age=60, stale-while-revalidate=60"
        await price(fl)
        vendor.faults = Faults(hang_share=1.0)
        clock.advance(90)
        await price(fl)
        async with asyncio.timeout(10):
            await vendor.asked.wait()
        await fl.close()
        assert not fl._calls.caching._refreshing
    await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before


async def test_what_is_not_there_is_asked_for_once() -> None:
    async with shop() as (fl, vendor, clock, _):
        for _ in range(3):
            with pytest.raises(errors.NotFoundError, match="No such thing"):
                await fl.http("shop").get("/nothing")
        assert vendor.books.requests == 1
        clock.advance(5)
        with pytest.raises(errors.NotFoundError):
            await fl.http("shop").get("/nothing")
        assert vendor.books.requests == 2
