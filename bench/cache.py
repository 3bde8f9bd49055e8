"""Measure what a hit costs: a page of recipes by its capability, and a plain GET, through the whole of a call."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from fairlead import Fairlead
from fairlead.config.read import parse_settings
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.fakes.spoonacular import API_KEY, SpoonacularFake

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


async def measure(call: Callable[[], Awaitable[object]]) -> float:
    """Return the microseconds of processor time of a hit: the median of the rounds."""
    await call()
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(CALLS):
            await call()
        rounds.append((time.process_time() - began) / CALLS * 1e6)
    return statistics.median(rounds)


async def main() -> None:
    """Measure and print."""
    async with Kitchen() as vendor:
        settings = parse_settings(CONFIG.format(url=vendor.url))
        async with Fairlead(settings, environment={"KEY": API_KEY}) as fl:
            page = await fl.recipes.search("pasta")
            search = await measure(lambda: fl.recipes.search("pasta"))
            plain = await measure(lambda: fl.http("kitchen").get("/recipes/complexSearch", query={"query": "pasta"}))
        print(f"a hit, a page of {len(page)} recipes: {search:.0f} us")
        print(f"a hit, a plain GET: {plain:.0f} us")


if __name__ == "__main__":
    asyncio.run(main())
