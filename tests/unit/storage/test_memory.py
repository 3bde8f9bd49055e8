from __future__ import annotations

from collections import OrderedDict

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fairlead.storage.memory import MemoryStore

SIZE = 3
keys = st.integers(min_value=0, max_value=5)


class Store(RuleBasedStateMachine):
    """The store does what an ordered dictionary does whose oldest entry is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.store: MemoryStore[int] = MemoryStore(SIZE)
        self.model: OrderedDict[int, int] = OrderedDict()

    @rule(key=keys, value=st.integers())
    def put(self, key: int, value: int) -> None:
        self.store.put(key, value)
        self.model.pop(key, None)
        self.model[key] = value
        while len(self.model) > SIZE:
            del self.model[next(iter(self.model))]

    @rule(key=keys)
    def get(self, key: int) -> None:
        assert self.store.get(key) == self.model.get(key)
        if key in self.model:
            self.model.move_to_end(key)

    @rule(key=keys)
    def drop(self, key: int) -> None:
        self.store.drop(key)
        self.model.pop(key, None)

    @invariant()
    def sizes_agree(self) -> None:
        assert len(self.store) == len(self.model) <= SIZE


TestStore = Store.TestCase


def test_the_one_not_used_for_longest_makes_room() -> None:
    store: MemoryStore[str] = MemoryStore(2)
    store.put("a", "1")
    store.put("b", "2")
    store.get("a")
    store.put("c", "3")
    assert [store.get(key) for key in "abc"] == ["1", None, "3"]


def test_a_store_without_room_keeps_nothing() -> None:
    store: MemoryStore[int] = MemoryStore(0)
    store.put("a", 1)
    assert (len(store), store.get("a")) == (0, None)
