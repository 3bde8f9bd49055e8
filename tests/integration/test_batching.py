"""Joined calls over real sockets: the stand-in of a vendor counts the requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from fairlead import Fairlead, errors
from fairlead.capabilities.recipes import Recipe
from fairlead.config.read import parse_settings
from fairlead.model.call import CacheUse
from fairlead.testing.catalogue import recipes
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.fakes.spoonacular import API_KEY, SpoonacularFake
from fairlead.testing.faults import Faults
from fairlead.testing.server import FakeServer

#: Long enough for a busy machine to make all calls of a test within it.
WINDOW_S = 0.2


class Shop(FakeServer):
    """Ten items, one by one or several at once."""

    def operation(self, request: FakeRequest) -> str:
        return request.path

    def answer(self, request: FakeRequest) -> FakeReply:
        items = {str(each): {"id": each, "price": each / 10} for each in range(10)}
        if request.path == "/items":
            asked = (request.value("ids") or "").split(",")
            return FakeReply.json(200, {"data": [items[each] for each in reversed(asked) if each in items]})
        item = items.get(request.path.rpartition("/")[2])
        return FakeReply.json(200, item) if item else FakeReply.json(404, {"message": "No such item."})


@asynccontextmanager
async def kitchen(settings: str = "", faults: Faults | None = None) -> AsyncIterator[tuple[Fairlead, SpoonacularFake]]:
    async with SpoonacularFake(faults=faults, random=Random(7)) as fake:  # noqa: S311  # chance for faults
        text = f"""
[connections.kitchen]
provider = "spoonacular"
base_url = "{fake.url}"
allow_private = true
credentials = {{ api_key = "env:KEY" }}
rate = {{ requests = 10000 }}
retry = {{ max_attempts = 2, base_s = 0.01, cap_s = 0.02 }}
{settings}
"""
        async with Fairlead(parse_settings(text), environment={"KEY": API_KEY}) as fl:
            yield fl, fake


async def test_thirty_calls_are_one_request_and_cost_half() -> None:
    identifiers = list(recipes())[:30]
    async with kitchen(f"batch = {{ window_s = {WINDOW_S} }}") as (fl, fake):
        found = await asyncio.gather(*(fl.recipes.fetch(f"kitchen:{each}") for each in identifiers))
        assert [each.title for each in found] == [recipes()[each].title for each in identifiers]
        assert fake.books.operations == {"getRecipeInformationBulk": 1}
        assert {each.call.cache for each in found if each.call} == {CacheUse.SHARED}
        assert fake.points_used(API_KEY) == 15.5


async def test_what_is_unknown_wrong_or_cancelled_harms_nobody() -> None:
    known = list(recipes())[:5]
    async with kitchen(f"batch = {{ window_s = {WINDOW_S} }}") as (fl, fake):
        calls = [asyncio.create_task(fl.recipes.fetch(f"kitchen:{each}")) for each in (*known, 1, "soup")]
        await asyncio.sleep(0)
        calls[2].cancel()
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(each) for each in found] == [
            Recipe, Recipe, asyncio.CancelledError, Recipe, Recipe, errors.NotFoundError, errors.InvalidRequestError,
        ]  # fmt: skip
        assert fake.books.requests == 1


async def test_an_ill_vendor_fails_all_and_each_with_an_error_of_its_own() -> None:
    identifiers = list(recipes())[:20]
    async with kitchen(f"batch = {{ window_s = {WINDOW_S} }}", Faults(error_share=1, error_status=500)) as (fl, fake):
        for expected in (errors.UnavailableError, Recipe):
            found = await asyncio.gather(
                *(fl.recipes.fetch(f"kitchen:{each}") for each in identifiers), return_exceptions=True
            )
            assert {type(each) for each in found} == {expected}
            assert len({id(each) for each in found}) == 20
            fake.faults = Faults()
        assert fake.books.operations == {"getRecipeInformationBulk": 3}  # two tries, and one


async def test_several_are_fetched_in_a_few_requests() -> None:
    identifiers = list(recipes())[:120]
    async with kitchen() as (fl, fake):
        found = await fl.recipes.fetch_many([f"kitchen:{each}" for each in identifiers])
        titles = [each.title for each in found.values() if isinstance(each, Recipe)]
        assert titles == [recipes()[each].title for each in identifiers]
        assert fake.books.requests == 3


async def test_plain_reads_are_joined_and_answered_as_each_alone_would_be() -> None:
    async with Shop() as shop:
        text = f"""
[connections.shop]
base_url = "{shop.url}"
allow_private = true
[connections.shop.batch]
window_s = {WINDOW_S}
rules = [{{ path = "/items/{{id}}", many = "/items", items_at = "data" }}]
"""
        async with (
            Fairlead(parse_settings(text)) as fl,
            Fairlead(parse_settings(text.partition("[connections.shop.batch]")[0])) as alone,
        ):
            paths = [f"/items/{each}" for each in (3, 1, 99, 4)]
            joined = await asyncio.gather(*(fl.http("shop").get(each) for each in paths), return_exceptions=True)
            assert shop.books.requests == 1
            single = await asyncio.gather(*(alone.http("shop").get(each) for each in paths), return_exceptions=True)
    for one, other in zip(joined, single, strict=True):
        if isinstance(one, BaseException) or isinstance(other, BaseException):
            assert type(one) is type(other) is errors.NotFoundError
        else:
            assert (one.status, json.loads(one.body)) == (other.status, json.loads(other.body))
