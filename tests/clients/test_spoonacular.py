"""The published client of Spoonacular, unchanged: pointed at our fake, and at the gateway in front of it.

It brings no errors of its own: a refusal is an answer of the vendor's, and `raise_for_status` the error of `requests`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import requests
from spoonacular import API

from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.fakes.spoonacular import SpoonacularFake
from fairlead.testing.faults import Faults
from gateway.served import KEY, VENDOR_KEYS, served

VENDOR_KEY = VENDOR_KEYS["SPOONACULAR_API_KEY"]


class Recording(SpoonacularFake):
    """Keeps what it was asked."""

    def __init__(self, *, api_keys: list[str]) -> None:
        super().__init__(api_keys=api_keys)
        self.seen: list[FakeRequest] = []

    def answer(self, request: FakeRequest) -> FakeReply:
        self.seen.append(request)
        return super().answer(request)


class Client:
    """Their client, off the event loop on which the servers run, and without its pauses."""

    def __init__(self, url: str, key: str) -> None:
        self._api = API(key)
        self._api.api_root = f"{url}/"
        self._api.sleep_time = 0

    async def ask(self, method: str, *args: Any, **wanted: Any) -> requests.Response:
        answer = await asyncio.to_thread(getattr(self._api, method), *args, **wanted)
        assert isinstance(answer, requests.Response)
        return answer


@asynccontextmanager
async def at_the_fake() -> AsyncIterator[tuple[Client, SpoonacularFake]]:
    async with SpoonacularFake(api_keys=[VENDOR_KEY]) as fake:
        yield Client(fake.url, VENDOR_KEY), fake


@asynccontextmanager
async def at_the_gateway(key: str = KEY) -> AsyncIterator[tuple[Client, SpoonacularFake]]:
    async with served() as all_:
        yield Client(f"{all_.url}/proxy/spoonacular", key), all_.first


PLACES = pytest.mark.parametrize("place", [at_the_fake, at_the_gateway])


@PLACES
async def test_it_searches_and_looks_up(place: Any) -> None:
    async with place() as (client, _):
        found = (await client.ask("search_recipes_complex", "pasta", number=3, addRecipeInformation="true")).json()
        assert [len(found["results"]), found["number"]] == [3, 3]
        first, second, _ = found["results"]
        one = await client.ask("get_recipe_information", first["id"], includeNutrition="true")
        assert (one.status_code, one.json()["title"]) == (200, first["title"])
        assert one.json()["nutrition"]["nutrients"]
        both = await client.ask("get_recipe_information_bulk", f"{first['id']},{second['id']}")
        assert [each["id"] for each in both.json()] == [first["id"], second["id"]]
        assert float(both.headers["X-API-Quota-Used"]) > 0


@PLACES
async def test_its_refusals_are_the_vendors(place: Any) -> None:
    async with place() as (client, fake):
        missing = await client.ask("get_recipe_information", 1)
        with pytest.raises(requests.HTTPError, match="404 Client Error"):
            missing.raise_for_status()
        assert missing.json() == {
            "status": "failure", "code": 404, "message": "A recipe with the id 1 does not exist.",
        }  # fmt: skip
        fake.faults = Faults(is_quota_exhausted=True)
        spent = await client.ask("search_recipes_complex", "pasta")
        with pytest.raises(requests.HTTPError, match="402 Client Error"):
            spent.raise_for_status()
        assert (spent.json()["code"], "points limit" in spent.json()["message"]) == (402, True)
        assert float(spent.headers["X-API-Quota-Left"]) >= 0


async def test_the_vendors_own_key_and_a_wrong_one_open_nothing_at_the_gateway() -> None:
    for key in (VENDOR_KEY, "wrong"):
        async with at_the_gateway(key) as (client, fake):
            refused = await client.ask("search_recipes_complex", "pasta")
            assert (refused.status_code, refused.headers["fairlead-error"]) == (401, "missing_key")
            assert fake.points_used(VENDOR_KEY) == 0


async def test_the_gateways_key_does_not_reach_the_vendor() -> None:
    async with Recording(api_keys=[VENDOR_KEY]) as fake, served(first_url=fake.url) as all_:
        answer = await Client(f"{all_.url}/proxy/spoonacular", KEY).ask("search_recipes_complex", "pasta")
        assert answer.status_code == 200
    (seen,) = fake.seen
    assert seen.headers["x-api-key"] == VENDOR_KEY
    assert seen.query == (("query", "pasta"),)
    assert KEY not in repr(seen)
