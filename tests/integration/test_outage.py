"""An outage from beginning to end: the library and the stand-ins of two vendors, over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any, NamedTuple

import pytest

from fairlead import errors
from fairlead.capabilities.recipes import Recipe
from fairlead.config.read import parse_settings
from fairlead.model.page import Page
from fairlead.observe.events import AttemptFinished, BreakerChanged, CallFinished, ConnectionPaused, Event, EventStream
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.ports import Ports
from fairlead.testing.catalogue import queries
from fairlead.testing.fakes.edamam import APP_ID, APP_KEY, EdamamFake
from fairlead.testing.fakes.spoonacular import API_KEY, SpoonacularFake
from fairlead.testing.faults import Faults

#: What one attempt may take at the first vendor where it is slow, and how slow it is then.
ATTEMPT_S = 0.2
TOO_SLOW_S = 30.0
#: Longer than any breaker stays open here, and than a fresh answer serves.
A_WHILE_S = 100.0
A_DAY_S = 86_400.0
CHANCE = Random(1)  # noqa: S311  # for faults and jitter
AT_ONCE = 50
#: Longer than fifty answers at once take a busy machine.
UNHURRIED_S = 10.0
#: Questions that are asked by name; all others are asked once.
KNOWN, OTHERS = queries()[:2], queries()[2:]

COMMON = """
allow_private = true
cache_permitted = true
rate = { requests = 100000 }
concurrency = { limit = 50 }
retry = { max_attempts = 2, base_s = 0.01, cap_s = 0.02 }
breaker = { window = 10, min_attempts = 4, open_s = 5.0 }
health = { rise = 1, ramp_s = 0 }
"""


class SkippingClock:
    """The machine's clock, with a lever for the hours in which nothing happens."""

    def __init__(self) -> None:
        self._skipped_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._skipped_s

    def wall(self) -> float:
        return 1_767_268_800.0 + self.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def skip(self, seconds: float) -> None:
        self._skipped_s += seconds


class Stage(NamedTuple):
    """An application with its two vendors, and what it told of itself."""

    fl: Fairlead
    first: SpoonacularFake
    second: EdamamFake
    clock: SkippingClock
    events: list[Event]
    #: Called with every event as it comes.
    watchers: list[Callable[[Event], None]]
    queries: Iterator[str]

    async def ask(self, text: str, **options: Any) -> Page[Recipe]:
        page: Page[Recipe] = await self.fl.recipes.search(text, **options)
        return page

    async def ask_anew(self, **options: Any) -> Page[Recipe]:
        """Ask what was never asked before, so that no cache answers."""
        return await self.ask(next(self.queries), **options)

    async def ask_often(self, number: int = AT_ONCE, **options: Any) -> list[Page[Recipe]]:
        return await asyncio.gather(*(self.ask_anew(**options) for _ in range(number)))

    def told(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def stage(*, only_first: bool = False, first_attempt_s: float = UNHURRIED_S) -> AsyncIterator[Stage]:
    async with SpoonacularFake(random=CHANCE) as first, EdamamFake(random=CHANCE) as second:
        text = f"""
[connections.first]
provider = "spoonacular"
base_url = "{first.url}"
credentials = {{ api_key = "env:FIRST" }}
{COMMON}
timeouts = {{ attempt_s = {first_attempt_s} }}
[connections.second]
provider = "edamam"
base_url = "{second.url}"
credentials = {{ app_id = "{APP_ID}", app_key = "env:SECOND" }}
{COMMON}
timeouts = {{ attempt_s = {UNHURRIED_S} }}
[routes.recipes]
connections = {["first"] if only_first else ["first", "second"]}
deadline_s = 30.0
"""
        events: list[Event] = []
        watchers: list[Callable[[Event], None]] = [events.append]
        clock = SkippingClock()

        def tell(event: Event) -> None:
            for watch in watchers:
                watch(event)

        async with Fairlead(
            parse_settings(text),
            environment={"FIRST": API_KEY, "SECOND": APP_KEY},
            ports=Ports(clock=clock, random=CHANCE.random, events=EventStream((tell,))),
        ) as fl:
            yield Stage(fl, first, second, clock, events, watchers, iter(OTHERS))
            for connection in fl.connections.values():
                assert connection.concurrency.free == connection.concurrency.limit
                assert connection.breaker.probing == 0
                assert not connection.pause.is_probing


def served_by(pages: list[Page[Recipe]]) -> set[str | None]:
    return {page.served_by for page in pages}


async def timed(call: Awaitable[Any]) -> float:
    before = time.monotonic()
    await call
    return time.monotonic() - before


async def test_the_story_of_an_outage():
    async with stage() as play:
        # Both are well: the first serves, the second is not asked.
        page = await play.ask(KNOWN[0])
        assert page.served_by == "first"
        assert page.items[0].ref.connection == "first"
        assert play.second.books.requests == 0

        # Its quota is used up: it is asked once, and then left alone until midnight.
        play.first.faults = Faults(is_quota_exhausted=True)
        asked = play.first.books.requests
        assert served_by([await play.ask_anew() for _ in range(10)]) == {"second"}
        assert play.first.books.requests == asked + 1
        assert play.told(ConnectionPaused)[0].cause == "quota_exhausted"
        play.first.faults = Faults()
        play.clock.skip(A_DAY_S)
        assert (await play.ask(KNOWN[1])).served_by == "first"

        # It is dead: nobody notices.
        await play.first.go_down()
        assert served_by(await play.ask_often(8)) == {"second"}

        # Both are dead: what was known is served, with its age, and what was not is an error that says why.
        await play.second.go_down()
        play.clock.skip(A_WHILE_S)
        page = await play.ask(KNOWN[1])
        assert page.is_stale
        assert page.call is not None
        assert page.call.age_s == pytest.approx(A_WHILE_S, abs=5)
        with pytest.raises(errors.UnavailableError) as caught:
            await play.ask_anew(deadline_s=0.5)
        assert "first: " in str(caught.value)
        assert "second: " in str(caught.value)
        assert caught.value.attempts

        # Both are back.
        await play.first.come_up()
        await play.second.come_up()
        play.clock.skip(A_WHILE_S)
        page = await play.ask(KNOWN[1])
        assert (page.served_by, page.is_stale) == ("first", False)
        assert served_by([await play.ask_anew() for _ in range(4)]) == {"first"}

        # The application saw one error in all of it.
        assert [each.error for each in play.told(CallFinished) if each.error] == ["unavailable"]


async def test_a_slow_vendor_costs_its_patience_and_soon_nothing():
    async with stage(first_attempt_s=ATTEMPT_S) as play:
        play.first.faults = Faults(latency_s=TOO_SLOW_S)
        assert ATTEMPT_S <= await timed(play.ask_anew()) < TOO_SLOW_S
        assert served_by(await play.ask_often(4)) == {"second"}
        page = await play.ask_anew()
        assert page.call is not None
        assert [(each.connection, each.was_tried) for each in page.call.attempts] == [
            ("first", False),
            ("second", True),
        ]
        assert [(each.connection, each.after) for each in play.told(BreakerChanged)] == [("first", "open")]


@pytest.mark.parametrize(
    "faults",
    [
        Faults(flap_up_s=0.02, flap_down_s=0.02),
        Faults(reset_share=0.5),
        Faults(error_share=0.3, malformed_share=0.3, wrong_type_share=0.3),
        Faults(error_share=1.0, error_status=503, retry_after_s=60),
        Faults(is_throttled=True),
        Faults(hang_share=0.3),
    ],
    ids=["flapping", "resets", "garbled", "closed", "throttled", "hanging"],
)
async def test_a_vendor_that_is_unwell_is_not_noticed(faults):
    async with stage(first_attempt_s=ATTEMPT_S) as play:
        play.first.faults = faults
        pages = [page for _ in range(5) for page in await play.ask_often(10)]
        assert len(pages) == 50
        assert served_by(pages) <= {"first", "second"}
        assert not any(page.is_stale for page in pages)


def note_first_answer(play: Stage) -> list[int]:
    """Note how many requests the first vendor had seen when we had its first good answer."""
    before = play.first.books.requests
    seen: list[int] = []

    def watch(event: Event) -> None:
        attempt = event.attempt if isinstance(event, AttemptFinished) else None
        if attempt and attempt.connection == "first" and attempt.error is None and not seen:
            seen.append(play.first.books.requests - before)

    play.watchers.append(watch)
    return seen


async def break_first(play: Stage) -> None:
    await play.first.go_down()
    for _ in range(4):
        await play.ask_anew()
    assert play.fl.connection("first").breaker.state == "open"


async def test_a_vendor_that_comes_back_from_the_dead_is_not_stampeded():
    async with stage() as play:
        await break_first(play)
        await play.first.come_up()
        play.first.faults = Faults(latency_s=0.05)
        play.clock.skip(A_WHILE_S)
        seen = note_first_answer(play)
        pages = await play.ask_often()
        assert seen == [1]
        assert [page.served_by for page in pages].count("first") == 1
        assert served_by(await play.ask_often()) == {"first"}


async def test_a_vendor_whose_quota_is_new_is_not_stampeded():
    async with stage() as play:
        play.first.faults = Faults(is_quota_exhausted=True)
        assert (await play.ask_anew()).served_by == "second"
        play.first.faults = Faults(latency_s=0.05)
        play.clock.skip(A_DAY_S)
        seen = note_first_answer(play)
        pages = await play.ask_often()
        assert seen == [1]
        assert [page.served_by for page in pages].count("first") == 1
        assert served_by(await play.ask_often()) == {"first"}


async def test_a_vendor_whose_quota_is_still_used_up_is_asked_once():
    async with stage() as play:
        play.first.faults = Faults(is_quota_exhausted=True, latency_s=0.05)
        await play.ask_anew()
        play.clock.skip(A_DAY_S)
        asked = play.first.books.requests
        assert served_by(await play.ask_often()) == {"second"}
        assert play.first.books.requests == asked + 1


async def test_when_there_is_no_other_everybody_waits_for_the_probe_and_is_served():
    async with stage(only_first=True) as play:
        play.first.faults = Faults(error_share=1.0)
        await asyncio.gather(*(play.ask_anew(deadline_s=3.0) for _ in range(4)), return_exceptions=True)
        assert play.fl.connection("first").breaker.state == "open"
        play.first.faults = Faults(latency_s=0.05)
        play.clock.skip(A_WHILE_S)
        seen = note_first_answer(play)
        assert served_by(await play.ask_often()) == {"first"}
        assert seen == [1]


async def test_the_same_question_of_many_is_one_request():
    async with stage() as play:
        play.first.faults = Faults(latency_s=0.05)
        pages = await asyncio.gather(*(play.ask(KNOWN[0]) for _ in range(100)))
        assert served_by(list(pages)) == {"first"}
        assert play.first.books.requests == 1


async def test_a_call_that_is_cancelled_at_the_socket_leaves_no_trace():
    async with stage() as play:
        play.first.faults = Faults(hang_share=1.0)
        calls = [asyncio.create_task(play.ask_anew()) for _ in range(20)]
        async with asyncio.timeout(UNHURRIED_S):
            while play.first.books.requests < 20:  # noqa: ASYNC110  # the stand-in has no event for it
                await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        play.first.faults = Faults()
        assert (await play.ask_anew()).served_by == "first"
        assert not play.told(BreakerChanged)


async def test_the_deadline_holds_while_both_hang():
    async with stage() as play:
        play.first.faults = play.second.faults = Faults(hang_share=1.0)

        async def ask() -> None:
            with pytest.raises(errors.FairleadError) as caught:
                await play.ask_anew(deadline_s=0.5)
            assert caught.value.attempts[0].connection == "first"

        assert 0.49 <= await timed(ask()) < UNHURRIED_S
