from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from fairlead.resilience.cache import Cache
from fairlead.storage.memory import MemoryStore

keys = st.sampled_from("abc")
seconds = st.integers(min_value=0, max_value=10)


def filled(*, fresh_s: float, stale_s: float, now: float = 0) -> Cache:
    cache = Cache(MemoryStore(10))
    cache.keep("key", "value", now=now, fresh_s=fresh_s, stale_s=stale_s)
    return cache


def value(entry: object) -> object:
    return getattr(entry, "value", None)


def test_fresh_then_stale_then_gone() -> None:
    cache = filled(fresh_s=10, stale_s=100)
    assert [value(cache.fresh("key", now)) for now in (0, 9.9, 10)] == ["value", "value", None]
    assert [value(cache.stale("key", now)) for now in (0, 10, 99.9, 100)] == ["value", "value", "value", None]
    assert cache.stale("key", 0) is None  # forgotten


def test_it_knows_its_age() -> None:
    entry = filled(fresh_s=10, stale_s=0, now=7).fresh("key", 9)
    assert entry is not None
    assert entry.stored_at == 7


def test_what_is_fresh_can_always_be_served() -> None:
    assert value(filled(fresh_s=10, stale_s=0).stale("key", 9)) == "value"
    assert value(filled(fresh_s=10, stale_s=0).stale("key", 10)) is None


def test_stale_only() -> None:
    cache = filled(fresh_s=0, stale_s=10)
    assert cache.fresh("key", 0) is None
    assert value(cache.stale("key", 0)) == "value"


def test_what_may_not_be_kept_is_not() -> None:
    store: MemoryStore[object] = MemoryStore(10)
    Cache(store).keep("key", "value", now=0, fresh_s=0, stale_s=0)  # type: ignore[arg-type]  # it takes none
    assert len(store) == 0


def test_false_is_an_answer_too() -> None:
    cache = Cache(MemoryStore(10))
    for empty in (None, 0, "", ()):
        cache.keep("key", empty, now=0, fresh_s=1, stale_s=1)
        entry = cache.fresh("key", 0)
        assert entry is not None
        assert entry.value == empty


class AgainstAModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache(MemoryStore(10))
        self.kept: dict[str, tuple[int, float, float]] = {}
        self.now = 0.0

    @rule(seconds=seconds)
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(key=keys, value=st.integers(), fresh_s=seconds, stale_s=seconds)
    def keep(self, key: str, value: int, fresh_s: int, stale_s: int) -> None:
        self.cache.keep(key, value, now=self.now, fresh_s=fresh_s, stale_s=stale_s)
        if fresh_s or stale_s:
            self.kept[key] = (value, self.now + fresh_s, self.now + max(fresh_s, stale_s))

    @rule(key=keys)
    def ask(self, key: str) -> None:
        kept, fresh_until, stale_until = self.kept.get(key, (None, 0.0, 0.0))
        assert value(self.cache.fresh(key, self.now)) == (kept if self.now < fresh_until else None)
        assert value(self.cache.stale(key, self.now)) == (kept if self.now < stale_until else None)


TestAgainstAModel = AgainstAModel.TestCase
