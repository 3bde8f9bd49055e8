"""The drivers of leases decide alike: the same asks have the same answers, to a microsecond."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec
import pytest

from fairlead.storage.leases import Ask, Report, Span
from fairlead.storage.redis_state import RedisLeases
from fairlead.testing.clock import FakeClock
from memory_leases import MemoryLeases
from redis_server import PROGRAMS, RedisServer
from shared_stores import client_of


@pytest.mark.parametrize("kind", PROGRAMS)
async def test_two_drivers_answer_alike(kind: str, servers: Callable[[str], RedisServer]) -> None:
    chance = Random(1)  # noqa: S311  # which asks are made
    clock = FakeClock()
    redis = RedisLeases(client_of(servers(kind)), "t", now=clock.wall)
    memory = MemoryLeases(clock.wall)
    for limit in range(20):
        amount = chance.choice([1, 7, 50, 2000])
        spans = (Span(amount, 1.0), Span(amount * 4, 9.5))
        granted: list[tuple[str, int, float]] = []
        for _ in range(60):
            clock.advance(chance.choice([0.0, 0.003, 0.2, 1.1]))
            process = chance.choice("abc")
            reports = tuple(
                Report(number, chance.random() * points, chance.random() / 10, is_over=chance.random() < 0.5)
                for whose, number, points in granted[-4:]
                if whose == process
            )
            least = float(chance.choice([0, 1, 1, 2]))
            ask = Ask(
                process=process,
                reports=reports,
                least=least,
                waiting=least * chance.choice([1, 5, 100]),
                ahead=float(chance.choice([0, 0, 3, 40])),
                patience_s=chance.choice([0.0, 0.5, 60.0]),
                least_s=0.002,
            )
            expected = await memory.lease(f"k{limit}", spans, ask)
            found = await redis.lease(f"k{limit}", spans, ask)
            assert msgspec.structs.astuple(found) == pytest.approx(msgspec.structs.astuple(expected), abs=1e-6)
            if found.points:
                granted.append((process, found.number, found.points))
