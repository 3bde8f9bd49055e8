"""The bounds of the store in memory. What every store does is in `tests/contract/test_answer_store.py`."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from at_once import done
from fairlead.storage.answers import _OVERHEAD_BYTES, MemoryAnswers
from fairlead.testing.clock import FakeClock

MOST = 3
keys = st.sampled_from("abcdef")
colours = st.sets(st.sampled_from(["red", "blue"]))


def build(*, entries: int = 100, values: int = 100) -> MemoryAnswers:
    """Make a store with room for so many empty values."""
    return MemoryAnswers(FakeClock(), max_entries=entries, max_bytes=values * _OVERHEAD_BYTES)


async def kept(answers: MemoryAnswers, names: str) -> str:
    return "".join([name for name in names if await answers.get(name) is not None])


async def test_what_was_not_used_for_longest_makes_room() -> None:
    answers = build(entries=2)
    for name in "ab":
        await answers.put(name, b"", ttl_s=10)
    await answers.get("a")
    await answers.put("c", b"", ttl_s=10)
    assert await kept(answers, "abc") == "ac"


async def test_bytes_are_bounded_as_well() -> None:
    answers = build(values=4)
    for name in "abc":
        await answers.put(name, b"", ttl_s=10)
    await answers.put("d", b"x" * 2 * _OVERHEAD_BYTES, ttl_s=10)  # takes the room of three
    assert await kept(answers, "abcd") == "cd"
    assert answers.used_bytes == 4 * _OVERHEAD_BYTES


async def test_what_alone_is_too_large_is_not_kept_and_drives_nobody_out() -> None:
    answers = build(values=3)
    await answers.put("a", b"", ttl_s=10)
    await answers.put("b", b"", ttl_s=10)
    await answers.put("b", b"x" * 3 * _OVERHEAD_BYTES, ttl_s=10)
    assert await kept(answers, "ab") == "a"


async def test_nothing_is_left_of_what_was_forgotten() -> None:
    answers = build(entries=2)
    for at in range(50):
        await answers.put(str(at), b"value", ttl_s=10, tags=[str(at), "all"])
    await answers.drop_tag("all")
    assert (len(answers), answers.used_bytes, answers._tagged) == (0, 0, {})


class AgainstAModel(RuleBasedStateMachine):
    """It does what an ordered dictionary does whose oldest entry is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.answers = MemoryAnswers(self.clock, max_entries=MOST, max_bytes=1_000_000)
        self.model: OrderedDict[str, tuple[bytes, float, set[str]]] = OrderedDict()

    @rule(key=keys, value=st.binary(max_size=5), ttl_s=st.integers(0, 9), tags=colours)
    def put(self, key: str, value: bytes, ttl_s: int, tags: set[str]) -> None:
        done(self.answers.put(key, value, ttl_s=ttl_s, tags=tags))
        self.model.pop(key, None)
        if ttl_s:
            self.model[key] = (value, self.clock.monotonic() + ttl_s, tags)
        if len(self.model) > MOST:
            self.model.popitem(last=False)

    @rule(key=keys)
    def get(self, key: str) -> None:
        if key in self.model and self.model[key][1] <= self.clock.monotonic():
            del self.model[key]
        found = done(self.answers.get(key))
        assert (found and found.value) == (self.model[key][0] if key in self.model else None)
        if key in self.model:
            self.model.move_to_end(key)

    @rule(tag=st.sampled_from(["red", "blue"]))
    def drop_tag(self, tag: str) -> None:
        doomed = [key for key, (_, _, tags) in self.model.items() if tag in tags]
        assert done(self.answers.drop_tag(tag)) == len(doomed)
        for key in doomed:
            del self.model[key]

    @rule(seconds=st.integers(0, 5))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @invariant()
    def it_counts_right(self) -> None:
        assert list(self.answers._entries) == list(self.model)
        assert self.answers.used_bytes == sum(each.size for each in self.answers._entries.values())


TestAgainstAModel = AgainstAModel.TestCase
