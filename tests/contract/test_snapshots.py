"""What things were like when they were last looked at: the newest look wins on every driver."""

from __future__ import annotations

import asyncio
from typing import Any

from fairlead.storage.snapshots import Snapshot, Sought
from fairlead.testing.clock import NOON, FakeClock
from job_stores import Opened


def snapshot(key: str = "s1", position: float = 1.0, **more: Any) -> Snapshot:
    return Snapshot(**{"kind": "thing", "source": "acme", "key": key, "position": position, "body": b"b", **more})


async def test_the_newest_look_wins_whichever_is_written_first(opened: Opened) -> None:
    async with opened() as store:
        assert await store.put_snapshots([snapshot(position=2.0, body=b"new")]) == [True]
        assert await store.put_snapshots([snapshot(position=1.0, body=b"old")]) == [False]
        found = await store.find_snapshot("thing", "acme", "s1")
        assert found is not None
        assert (found.body, found.position, found.changed_at) == (b"new", 2.0, NOON)
        assert await store.put_snapshots([snapshot(position=2.0, body=b"same")]) == [True]
        assert await store.find_snapshot("thing", "acme", "s2") is None
        assert await store.find_snapshot("thing", "other", "s1") is None


async def test_one_lot_may_name_a_thing_twice(opened: Opened) -> None:
    async with opened() as store:
        await store.put_snapshots([snapshot(position=1.0), snapshot(position=3.0, body=b"3"), snapshot(position=2.0)])
        found = await store.find_snapshot("thing", "acme", "s1")
        assert found is not None
        assert (found.position, found.body) == (3.0, b"3")


async def test_they_are_found_by_whose_they_are_when_they_are_due_and_since_when_they_are(
    opened: Opened, clock: FakeClock
) -> None:
    async with opened() as store:
        await store.put_snapshots(
            [snapshot("a", subject="ada", due_at=NOON + 5), snapshot("b", subject="bob", due_at=NOON + 9)]
        )
        clock.advance(10)
        await store.put_snapshots([snapshot("c", subject="ada"), snapshot("d", kind="other", subject="ada")])

        async def keys(**sought: Any) -> list[str]:
            return [each.key for each in await store.seek_snapshots(Sought(kind="thing", **sought))]

        assert await keys(subject="ada") == ["a", "c"]
        assert await keys(due_by=NOON + 5) == ["a"]
        assert await keys(due_by=NOON + 100) == ["a", "b"]
        assert await keys(due_by=NOON + 100, limit=1) == ["a"]
        assert await keys(changed_since=NOON + 10) == ["c"]
        assert await keys(changed_since=0.0) == ["a", "b", "c"]


async def test_many_write_at_once(opened: Opened) -> None:
    async with opened() as store:
        await asyncio.gather(
            *(store.put_snapshots([snapshot(position=float(at), body=b"%d" % at)]) for at in range(50))
        )
        found = await store.find_snapshot("thing", "acme", "s1")
        assert found is not None
        assert found.body == b"49"
