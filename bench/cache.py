"""Measure what a hit costs: a page of recipes by its capability, and a plain GET, through the whole of a call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from fairlead import Fairlead
from fairlead.config.read import parse_settings
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.fakes.spoonacular import API_KEY, SpoonacularFake
from harness import Sheet

ROUNDS = 9
CALLS = 1000

CONFIG = """
[connections.kitchen]
provider = "spoonacular"
base_url = "{url}"
allow_private = true
credentials = {{ api_key = "env:KEY" }}
cache_permitted = true
cache = {{ }}
"""


class Kitchen(SpoonacularFake):
    """Says for how long its answers are fresh."""

    def answer(self, request: FakeRequest) -> FakeReply:
        """Answer as ever."""
        said = super().answer(request)
        return FakeReply(status=said.status, body=said.body, headers=(("cache-control", "max-age=3600"),))


async def _hits(call: Callable[[], Awaitable[object]], rounds: int, calls: int) -> list[float]:
    """Return the microseconds of processor time of a hit, round by round."""
    await call()
    found = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(calls):
            await call()
        found.append((time.process_time() - began) / calls * 1e6)
    return found


async def _measure(sheet: Sheet) -> None:
    rounds, calls = sheet.pick(ROUNDS, quick=1), sheet.pick(CALLS, quick=10)
    async with Kitchen() as vendor:
        settings = parse_settings(CONFIG.format(url=vendor.url))
        async with Fairlead(settings, environment={"KEY": API_KEY}) as fl:
            http, query = fl.http("kitchen"), {"query": "pasta"}
            sheet.row("a page of recipes", await _hits(lambda: fl.recipes.search("pasta"), rounds, calls), "us")
            plain = await _hits(lambda: http.get("/recipes/complexSearch", query=query), rounds, calls)
            sheet.row("a plain GET", plain, "us")


def measure(sheet: Sheet) -> None:
    """Measure both."""
    sheet.begin("The cache: what a hit costs")
    asyncio.run(_measure(sheet))
