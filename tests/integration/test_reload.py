"""Settings are replaced over and over while thousands of calls are made: none is dropped, and no socket is left."""

from __future__ import annotations

import asyncio
from itertools import cycle

from fairlead.config.read import parse_settings
from fairlead.observe.events import ConfigReloaded, Event, EventStream
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.ports import Ports
from fairlead.testing.fakes.spoonacular import SpoonacularFake

CALLS = 3000
WORKERS = 20
KEYS = {"OLD": "canary-old-key", "NEW": "canary-new-key"}


def connection(name: str, url: str, settings: str = "", *, key: str = "OLD") -> str:
    return f"""
[connections.{name}]
provider = "spoonacular"
base_url = "{url}"
allow_private = true
credentials = {{ api_key = "env:{key}" }}
rate = {{ requests = 1000000 }}
retry = {{ max_attempts = 1 }}
{settings}
"""


async def until_no_more_than(limit: int, *fakes: SpoonacularFake) -> None:
    async with asyncio.timeout(10):
        while sum(fake.connections for fake in fakes) > limit:  # noqa: ASYNC110  # the event loop must turn
            await asyncio.sleep(0)


async def test_thousands_of_calls_while_the_settings_change() -> None:
    first = SpoonacularFake(api_keys=KEYS.values(), points_per_day=1_000_000)
    second = SpoonacularFake(api_keys=KEYS.values(), points_per_day=1_000_000)
    async with asyncio.timeout(120), first, second:
        no_cache = "[routes.recipes]\nconnections = [{}]\ncache = {{ ttl_s = 0, stale_if_error_s = 0 }}\n"
        one, two = connection("one", first.url), connection("two", second.url)
        generations = [
            one + no_cache.format("'one'"),
            one + two + no_cache.format("'two', 'one'"),  # one is added, and goes first
            two + no_cache.format("'two'"),  # one is removed
            connection("two", second.url, key="NEW") + no_cache.format("'two'"),  # its key is another
            connection("two", first.url) + no_cache.format("'two'"),  # it is somewhere else
            connection("two", first.url, "concurrency = { limit = 5 }") + no_cache.format("'two'"),
            connection("two", first.url, "timeouts = { attempt_s = 9 }") + no_cache.format("'two'"),
        ]
        events: list[Event] = []
        served: list[str | None] = []
        numbers = iter(range(CALLS))
        fl = Fairlead(
            parse_settings(generations[0]), environment=KEYS, ports=Ports(events=EventStream((events.append,)))
        )

        async def work() -> None:
            for number in numbers:
                page = await fl.recipes.search(f"soup {number}")
                served.append(page.served_by)

        async with fl:
            workers = [asyncio.create_task(work()) for _ in range(WORKERS)]
            texts, reloads = cycle(generations), 0
            while not all(task.done() for task in workers):
                await fl.reload(parse_settings(next(texts)))
                reloads += 1
                for _ in range(100):
                    await asyncio.sleep(0)
            await asyncio.gather(*workers)  # raises what any call raised
            assert len(served) == CALLS
            assert set(served) == {"one", "two"}
            assert reloads > 50
            assert len([event for event in events if isinstance(event, ConfigReloaded)]) == reloads
            assert first.books.answered_ok + second.books.answered_ok == CALLS
            await fl.reload(parse_settings(""))
            await until_no_more_than(0, first, second)  # what was replaced is closed, with nobody's help
