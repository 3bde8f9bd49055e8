from __future__ import annotations

from contextlib import ExitStack

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from at_once import done
from fairlead.model.lives import Lives, Standing
from fairlead.resilience.cache import Asked, Cache, Entry
from fairlead.storage.answers import MemoryAnswers
from fairlead.testing.clock import FakeClock

keys = st.sampled_from("abc")
seconds = st.integers(min_value=0, max_value=10)
tags = st.sets(st.sampled_from(["red", "blue"]))


def entry(value: bytes, *ages: float, age_s: float = 0.0) -> Entry:
    return Entry(value=value, served_by="shop", lives=Lives(*ages), age_s=age_s)


def build() -> tuple[Cache, FakeClock]:
    clock = FakeClock()
    return Cache(MemoryAnswers(clock, max_entries=100, max_bytes=100_000)), clock


def test_fresh_then_served_while_refreshed_then_in_need_then_asked_about() -> None:
    lives = Lives(10, 20, 30)
    standings = [lives.standing(age) for age in (0, 9.9, 10, 19.9, 20, 29.9, 30)]
    fresh, refresh, stale, invalid = Standing
    assert standings == [fresh, fresh, refresh, refresh, stale, stale, invalid]


async def test_the_age_counts_from_before_it_was_stored() -> None:
    cache, clock = build()
    await cache.keep("k", entry(b"v", 10, 0, 0, age_s=4))
    clock.advance(5.9)
    found = await cache.find("k")
    assert found is not None
    assert round(found.age_s, 3) == 9.9
    clock.advance(0.1)
    assert await cache.find("k") is None


async def test_what_is_good_for_nothing_is_kept_only_to_be_asked_about() -> None:
    cache, _ = build()
    assert not await cache.keep("k", entry(b"v", 0, 0, 0))
    assert not await cache.keep("k", entry(b"v", 5, 5, 5, age_s=5))
    assert await cache.find("k") is None
    assert await cache.keep("k", entry(b"v", 0, 0, 0), keep_s=10)
    assert await cache.find("k") is not None


async def test_what_cannot_be_kept_takes_the_old_along() -> None:
    cache, _ = build()
    await cache.keep("k", entry(b"old", 10, 10, 10))
    await cache.keep("k", entry(b"new", 0, 0, 0))
    assert await cache.find("k") is None


async def test_what_another_version_has_kept_is_nothing() -> None:
    cache, _ = build()
    for value in (b"", b"\xc1", b"\x91\x01", b"{}"):
        await cache.store.put("k", value, ttl_s=10)
        assert await cache.find("k") is None


class AgainstAModel(RuleBasedStateMachine):
    """Answers are kept, asked for, dropped by tag, and dropped while they are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.cache, self.clock = build()
        self.kept: dict[str, tuple[bytes, float, set[str]]] = {}
        self.stack = ExitStack()
        self.asked: Asked | None = None
        self.dropped: set[str] = set()

    def teardown(self) -> None:
        self.stack.close()
        assert not self.cache._asking

    @rule(seconds=seconds)
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.asked is None)
    @rule()
    def begin_to_ask(self) -> None:
        self.asked, self.dropped = self.stack.enter_context(self.cache.asking()), set()

    @precondition(lambda self: self.asked is not None)
    @rule(key=keys, value=st.binary(max_size=3), ages=st.tuples(seconds, seconds, seconds), age_s=seconds, tags=tags)
    def the_answer_comes(self, key: str, value: bytes, ages: tuple[int, int, int], age_s: int, tags: set[str]) -> None:
        left_s = max(ages) - age_s
        is_kept = done(self.cache.keep(key, entry(value, *ages, age_s=age_s), tags=tags, asked=self.asked))
        assert is_kept == (left_s > 0 and not tags & self.dropped)
        if not tags & self.dropped:
            self.kept.pop(key, None)
        if is_kept:
            self.kept[key] = (value, self.clock.monotonic() + left_s, tags)
        self.stack.close()
        self.asked = None

    @rule(tags=tags)
    def drop(self, tags: set[str]) -> None:
        done(self.cache.drop_tags(tags))
        self.dropped |= tags
        self.kept = {key: each for key, each in self.kept.items() if not each[2] & tags}

    @rule(key=keys)
    def find(self, key: str) -> None:
        value, until, _ = self.kept.get(key, (None, 0.0, set()))
        found = done(self.cache.find(key))
        assert (found and found.entry.value) == (value if self.clock.monotonic() < until else None)


TestAgainstAModel = AgainstAModel.TestCase
