from __future__ import annotations

from typing import Any

import pytest

from fairlead.spec.drift import DriftKind, Finding
from fairlead.spec.mapping import ResponseMapping, mapping_of
from fairlead.spec.watch import Memory, Watch, current_watch, is_due


def finding(path: str, *, is_tolerated: bool = True, kind: DriftKind = DriftKind.ADDED) -> Finding:
    return Finding(kind=kind, path=path, expected="nothing", found="int", is_tolerated=is_tolerated)


def told(watch: Watch) -> list[tuple[str, bool]]:
    return [(each.path, each.is_tolerated) for _, each in watch.take()]


def numbered(number: int) -> ResponseMapping[Any]:
    return ResponseMapping(model=int, version=str(number))


def test_the_answers_looked_at_grow_sparse() -> None:
    memory = Memory()
    due = [number for number in range(1, 1100) if is_due(memory)]
    assert due == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024]


def test_a_finding_is_told_once() -> None:
    watch, mapping = Watch(), mapping_of(int)
    watch.note(mapping, [finding("$.a"), finding("$.b"), finding("$.a")])
    assert told(watch) == [("$.a", True), ("$.b", True)]
    watch.note(mapping, [finding("$.a")])
    assert told(watch) == []
    watch.note(mapping, [finding("$.a", kind=DriftKind.MISSING)])
    watch.note(mapping_of(str), [finding("$.a")])
    assert told(watch) == [("$.a", True), ("$.a", True)]


def test_it_is_told_again_when_it_is_no_longer_tolerated() -> None:
    watch, mapping = Watch(), mapping_of(int)
    for is_tolerated in (True, False, True, False):
        watch.note(mapping, [finding("$.a", is_tolerated=is_tolerated)])
    assert told(watch) == [("$.a", True), ("$.a", False)]


def test_of_one_mapping_a_hundred_findings_are_told() -> None:
    watch, mapping = Watch(), mapping_of(int)
    watch.note(mapping, [finding(f"$.key{number}") for number in range(1000)])
    assert len(told(watch)) == 100
    watch.note(mapping, [finding("$.key0", is_tolerated=False)])
    assert told(watch) == [("$.key0", False)]


def test_the_oldest_mappings_are_forgotten() -> None:
    watch = Watch()
    for number in range(1000):
        watch.note(numbered(number), [finding("$.a")])
    assert len(told(watch)) == 1000
    assert len(watch._memories) == 256
    watch.note(numbered(999), [finding("$.a")])
    assert told(watch) == []


def test_watching_ends_with_its_block_whatever_happens_there() -> None:
    watch = Watch()
    assert current_watch() is None
    with watch:
        assert current_watch() is watch
    with pytest.raises(KeyError), watch:
        raise KeyError
    assert current_watch() is None
