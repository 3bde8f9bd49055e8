"""The drivers on Redis or Valkey for what processes share: leases, breakers, quotas, and who they are.

Every key begins with the prefix, then `{...}` around the name, so that a cluster keeps what belongs together together.
`now`, for tests alone, gives the time in place of the server's own clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from fairlead.storage import scripts
from fairlead.storage.breakers import OnPublished, Proposal, Shared
from fairlead.storage.leases import Ask, Grant, Span
from fairlead.storage.redis import Redis
from fairlead.storage.spent import OnSpent, Spent

Now = Callable[[], float]
# A process that has been silent for so long is not counted any more.
SILENT_S = 15.0


def time_of(now: Now | None) -> str:
    """Return the time as scripts take it: nothing, unless a test gives it."""
    return "" if now is None else f"{now():.9f}"


class RedisLeases:
    """Leases of limits (see `storage/leases.py`)."""

    def __init__(self, redis: Redis, prefix: str, *, now: Now | None = None) -> None:
        self._redis = redis
        self._prefix = prefix
        self._now = now

    async def lease(self, key: str, spans: Sequence[Span], ask: Ask) -> Grant:
        """Settle and lease."""
        args: list[str | float] = [time_of(self._now), ask.process, ask.least, ask.waiting, ask.ahead, ask.patience_s]
        args += [ask.least_s, ask.epoch, len(spans)]
        for span in spans:
            args += [span.amount, span.per_s]
        for report in ask.reports:
            args += [report.number, report.spent, report.age_s, int(report.is_over)]
        answer = await self._redis.run(scripts.LEASE, [f"{self._prefix}:rate:{{{key}}}"], *args)
        epoch, number, points, starts, lasts = answer
        return Grant(
            epoch=int(epoch),
            number=int(number),
            points=float(points),
            starts_in_s=float(starts),
            lasts_s=float(lasts),
        )


class RedisBreakers:
    """States of breakers (see `storage/breakers.py`)."""

    def __init__(self, redis: Redis, prefix: str, *, now: Now | None = None) -> None:
        self._redis = redis
        self._prefix = prefix
        self._now = now
        self._channel = f"{prefix}:breakers"
        self._handlers: list[OnPublished] = []
        redis.listen(self._channel, self._hear)

    async def propose(self, key: str, proposal: Proposal) -> Shared:
        """Change and publish."""
        answer = await self._redis.run(
            scripts.PROPOSE,
            [self._key(key)],
            time_of(self._now),
            key,
            proposal.state,
            proposal.generation,
            proposal.open_for_s,
            proposal.cause or "",
            proposal.probe,
            int(proposal.by_hand),
            self._channel,
        )
        return msgspec.json.decode(answer, type=Shared)

    async def learn(self, key: str) -> Shared:
        """Look it up."""
        answer = await self._redis.run(scripts.LEARN, [self._key(key)], time_of(self._now), key)
        return msgspec.json.decode(answer, type=Shared)

    async def lease_probe(self, key: str, generation: int, process: str, lease_s: float) -> int:
        """Lease it, if it is free."""
        keys = [self._key(key), f"{self._prefix}:probe:{{{key}}}"]
        return int(await self._redis.run(scripts.PROBE, keys, time_of(self._now), generation, process, lease_s))

    def listen(self, handler: OnPublished) -> None:
        """Add a handler."""
        self._handlers.append(handler)

    def _hear(self, payload: bytes) -> None:
        with suppress(msgspec.DecodeError):  # whoever else publishes there says nothing to us
            told = msgspec.json.decode(payload, type=Shared)
            for handler in self._handlers:
                handler(told)

    def _key(self, key: str) -> str:
        return f"{self._prefix}:breaker:{{{key}}}"


class RedisSpent:
    """What is used up of limits (see `storage/spent.py`)."""

    def __init__(self, redis: Redis, prefix: str, *, now: Now | None = None) -> None:
        self._redis = redis
        self._prefix = prefix
        self._now = now
        self._channel = f"{prefix}:spent"
        self._handlers: list[OnSpent] = []
        redis.listen(self._channel, self._hear)

    async def tell(self, spent: Spent) -> None:
        """Remember and publish."""
        text = msgspec.json.encode(spent)
        args = (time_of(self._now), spent.name, f"{spent.left_s:.6f}", text, self._channel)
        await self._redis.run(scripts.SPENT_TELL, [self._key(spent.key)], *args)

    async def learn(self, key: str) -> Sequence[Spent]:
        """Look it up."""
        told = await self._redis.run(scripts.SPENT_LEARN, [self._key(key)], time_of(self._now))
        pairs = zip(told[::2], told[1::2], strict=True)
        return [
            msgspec.structs.replace(msgspec.json.decode(text, type=Spent), left_s=float(left)) for left, text in pairs
        ]

    def listen(self, handler: OnSpent) -> None:
        """Add a handler."""
        self._handlers.append(handler)

    def _hear(self, payload: bytes) -> None:
        with suppress(msgspec.DecodeError):  # whoever else publishes there says nothing to us
            told = msgspec.json.decode(payload, type=Spent)
            for handler in self._handlers:
                handler(told)

    def _key(self, key: str) -> str:
        return f"{self._prefix}:spent:{{{key}}}"


class RedisQuotas:
    """What was used of quotas (see `storage/quotas.py`)."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    async def add(self, key: str, points: float, *, slot: int, slots: int, most: float) -> bool:
        """Count points, if they fit."""
        return bool(await self._redis.run(scripts.QUOTA_ADD, self._keys(key), slot, slots, points, most))

    async def correct(self, key: str, points: float, *, slot: int, slots: int) -> None:
        """Change a slot, if it is still there."""
        await self._redis.run(scripts.QUOTA_CORRECT, self._keys(key), slot, slots, points)

    async def raise_to(self, key: str, points: float, *, slot: int, slots: int) -> None:
        """Count what is missing."""
        await self._redis.run(scripts.QUOTA_RAISE, self._keys(key), slot, slots, points)

    async def used(self, key: str, *, slot: int, slots: int) -> float:
        """Return the sum."""
        return float(await self._redis.run(scripts.QUOTA_USED, self._keys(key), slot, slots, 0))

    def _keys(self, key: str) -> list[str]:
        return [f"{self._prefix}:quota:{{{key}}}"]


class RedisProcesses:
    """Which processes share."""

    def __init__(self, redis: Redis, prefix: str, *, now: Now | None = None) -> None:
        self._redis = redis
        self._key = f"{prefix}:processes"
        self._now = now

    async def beat(self, process: str) -> int:
        """Say that this one is there; return how many are."""
        return int(await self._redis.run(scripts.BEAT, [self._key], time_of(self._now), process, SILENT_S))

    async def leave(self, process: str) -> None:
        """Say that this one goes."""
        await self._redis.call("ZREM", self._key, process)
