from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import FairleadError, NotFoundError, UnavailableError
from fairlead.resilience.batch import Batching
from fairlead.testing.clock import FakeClock


class StandingClock(FakeClock):
    """A clock whose waits end when they are told to, and not before."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[asyncio.Future[None]] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(over)
        await over

    def ring(self) -> None:
        """End every wait."""
        for over in self.waiting:
            if not over.done():
                over.set_result(None)
        self.waiting.clear()


class Vendor:
    """Answers batches when it is told to: `<key>!` for each key, or what `says` has for it."""

    def __init__(self, *, is_quick: bool = True) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.notes: list[list[object]] = []
        self.cancelled = 0
        self.says: dict[str, Any] = {}
        self.breaks: BaseException | None = None
        self.is_open = asyncio.Event()
        if is_quick:
            self.is_open.set()

    async def ask(self, keys: Sequence[str], notes: Sequence[object]) -> Mapping[str, Any]:
        self.asked.append(tuple(keys))
        self.notes.append(list(notes))
        try:
            await self.is_open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.breaks:
            raise self.breaks
        return {key: self.says.get(key, f"{key}!") for key in keys}


class World:
    """Batches, their clock and their vendor."""

    def __init__(self, *, max_size: int = 10, is_quick: bool = True) -> None:
        self.clock = StandingClock()
        self.batching = Batching(self.clock)
        self.vendor = Vendor(is_quick=is_quick)
        self.max_size = max_size

    def call(self, key: str, group: str = "group", note: object = None) -> asyncio.Task[Any]:
        return asyncio.create_task(
            self.batching.ask(group, key, self.vendor.ask, window_s=0.005, max_size=self.max_size, note=note)
        )

    async def calls(self, *keys: str) -> list[asyncio.Task[Any]]:
        made = [self.call(key) for key in keys]
        await turns()
        return made

    async def pass_window(self) -> None:
        self.clock.ring()
        await turns()


async def turns() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def outcomes(calls: Sequence[asyncio.Task[Any]]) -> list[Any]:
    return list(await asyncio.gather(*calls, return_exceptions=True))


async def test_what_is_asked_within_the_window_is_asked_at_once_and_answered_individually() -> None:
    world = World()
    calls = await world.calls("a", "b")
    calls += await world.calls("c")
    assert world.vendor.asked == []
    await world.pass_window()
    assert await outcomes(calls) == ["a!", "b!", "c!"]
    assert world.vendor.asked == [("a", "b", "c")]
    assert world.clock.slept == [0.005]


async def test_what_is_asked_later_is_asked_anew() -> None:
    world = World()
    for _ in range(2):
        calls = await world.calls("a")
        await world.pass_window()
        assert await outcomes(calls) == ["a!"]
    assert world.vendor.asked == [("a",), ("a",)]


async def test_a_full_batch_leaves_at_once_and_the_next_one_waits() -> None:
    world = World(max_size=2)
    calls = await world.calls("a", "b", "c")
    assert world.vendor.asked == [("a", "b")]
    assert await outcomes(calls[:2]) == ["a!", "b!"]
    assert not calls[2].done()
    await world.pass_window()
    assert world.vendor.asked == [("a", "b"), ("c",)]


async def test_a_batch_that_fills_up_while_it_waits_leaves_at_once() -> None:
    world = World(max_size=2)
    calls = await world.calls("a")
    calls += await world.calls("b")
    assert await outcomes(calls) == ["a!", "b!"]
    await turns()
    assert all(over.cancelled() for over in world.clock.waiting)


async def test_the_same_key_is_asked_once() -> None:
    world = World(max_size=2)
    calls = await world.calls("a", "a", "a")
    await world.pass_window()
    assert await outcomes(calls) == ["a!"] * 3
    assert world.vendor.asked == [("a",)]


async def test_groups_do_not_mix() -> None:
    world = World()
    calls = [world.call("a", "one"), world.call("b", "two")]
    await turns()
    await world.pass_window()
    assert await outcomes(calls) == ["a!", "b!"]
    assert world.vendor.asked == [("a",), ("b",)]


async def test_the_notes_of_all_who_wait_reach_the_vendor() -> None:
    world = World()
    calls = [world.call("a", note=1), world.call("b", note=2), world.call("a", note=3)]
    await turns()
    await world.pass_window()
    await outcomes(calls)
    assert world.vendor.notes == [[1, 3, 2]]


async def test_one_key_fails_and_the_others_do_not() -> None:
    world = World()
    world.vendor.says["b"] = NotFoundError("no b")
    calls = await world.calls("a", "b", "b", "c")
    await world.pass_window()
    a, one, other, c = await outcomes(calls)
    assert (a, c) == ("a!", "c!")
    assert isinstance(one, NotFoundError)
    assert isinstance(other, NotFoundError)
    assert one is not other
    assert one.args == other.args == ("no b",)


async def test_the_error_of_the_batch_reaches_everybody_each_with_an_object_of_their_own() -> None:
    world = World()
    world.vendor.breaks = UnavailableError("down")
    calls = await world.calls("a", "b", "c")
    await world.pass_window()
    caught = await outcomes(calls)
    assert {type(each) for each in caught} == {UnavailableError}
    assert len({id(each) for each in caught}) == 3


async def test_who_leaves_before_the_batch_does_is_not_asked_for() -> None:
    world = World()
    calls = await world.calls("a", "b", "b", "c")
    for place in (1, 3):
        calls[place].cancel()
    await turns()
    await world.pass_window()
    assert await outcomes([calls[0], calls[2]]) == ["a!", "b!"]
    assert world.vendor.asked == [("a", "b")]


async def test_who_leaves_under_way_takes_nothing_from_the_others() -> None:
    world = World(is_quick=False)
    calls = await world.calls("a", "b")
    await world.pass_window()
    calls[0].cancel()
    await turns()
    world.vendor.is_open.set()
    assert await calls[1] == "b!"
    assert (world.vendor.asked, world.vendor.cancelled) == ([("a", "b")], 0)


async def test_a_caller_waits_no_longer_than_it_wants_to() -> None:
    world = World(is_quick=False)
    calls = await world.calls("a", "b")
    await world.pass_window()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await world.batching.ask("group", "c", world.vendor.ask, window_s=0.005, max_size=10)
    world.vendor.is_open.set()
    assert await outcomes(calls) == ["a!", "b!"]


async def test_when_the_last_one_leaves_nobody_is_asked_any_more() -> None:
    world = World(is_quick=False)
    calls = await world.calls("a", "b")
    await world.pass_window()
    calls[0].cancel()
    await turns()
    assert world.vendor.cancelled == 0
    calls[1].cancel()
    await turns()
    assert world.vendor.cancelled == 1


async def test_when_all_leave_within_the_window_nothing_is_asked_and_the_next_batch_is_new() -> None:
    world = World()
    calls = await world.calls("a", "b")
    for call in calls:
        call.cancel()
    await turns()
    assert all(over.cancelled() for over in world.clock.waiting)
    later = await world.calls("c")
    await world.pass_window()
    assert await outcomes(later) == ["c!"]
    assert world.vendor.asked == [("c",)]
    assert not world.batching._open


async def test_an_error_that_nobody_waits_for_is_no_noise() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    world = World(is_quick=False)
    world.vendor.breaks = UnavailableError("down")
    calls = await world.calls("a")
    await world.pass_window()
    world.vendor.is_open.set()
    await asyncio.sleep(0)
    calls[0].cancel()
    await outcomes(calls)
    del calls
    await turns()
    assert complaints == []


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from("abcdef")),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("turn"), st.integers(1, 4)),
        st.sampled_from([("window", 0), ("answer", 0)]),
    ),
    max_size=40,
)


class Program:
    """Follows steps, and remembers who asked for what."""

    def __init__(self, *, max_size: int, bad: set[str], breaks: bool) -> None:
        self.world = World(max_size=max_size, is_quick=False)
        self.world.vendor.says = {key: NotFoundError(key) for key in bad}
        self.world.vendor.breaks = UnavailableError("down") if breaks else None
        self.calls: list[tuple[str, asyncio.Task[Any]]] = []
        self.cancelled: set[int] = set()

    async def follow(self, step: str, what: Any) -> None:
        match step:
            case "ask":
                self.calls.append((what, self.world.call(what)))
            case "cancel" if what < len(self.calls) and self.calls[what][1].cancel():
                self.cancelled.add(what)
            case "turn":
                for _ in range(what):
                    await asyncio.sleep(0)
            case "window":
                self.world.clock.ring()
            case "answer":
                self.world.vendor.is_open.set()

    async def end(self) -> list[Any]:
        await turns()
        self.world.vendor.is_open.set()
        await self.world.pass_window()
        return await outcomes([call for _, call in self.calls])

    def expected(self, key: str) -> str:
        """Return how the answer to a key reads."""
        if self.world.vendor.breaks:
            return "UnavailableError('down')"
        return f"NotFoundError('{key}')" if key in self.world.vendor.says else f"'{key}!'"


@given(steps=STEPS, bad=st.sets(st.sampled_from("abcdef")), max_size=st.integers(2, 4), breaks=st.booleans())
def test_every_caller_gets_its_own_answer_whatever_the_interleaving(
    steps: list[tuple[str, Any]], bad: set[str], max_size: int, breaks: bool
) -> None:
    async def play() -> None:
        program = Program(max_size=max_size, bad=bad, breaks=breaks)
        for step, what in steps:
            await program.follow(step, what)
        found = await program.end()
        for place, ((key, call), answer) in enumerate(zip(program.calls, found, strict=True)):
            assert place in program.cancelled if call.cancelled() else repr(answer) == program.expected(key)
        raised = [each for each in found if isinstance(each, FairleadError)]
        assert len({id(each) for each in raised}) == len(raised)
        for asked in program.world.vendor.asked:
            assert len(set(asked)) == len(asked) <= max_size
        assert program.world.batching._open == {}

    asyncio.run(play())
