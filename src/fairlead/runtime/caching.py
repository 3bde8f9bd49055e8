"""The way of a read through the cache: what is kept, who asks the same, the vendors, and what is kept in need.

How answers are kept differs: those of a capability as the route says (`runtime/keeping.py`), those to plain requests as
HTTP says (`runtime/http_caching.py`). This is what both have in common, and everything that runs in the background.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from typing import Any, NamedTuple, Protocol

from fairlead.errors import DeadlineExceededError, FairleadError, NotFoundError, UnavailableError
from fairlead.model.answer import Answer
from fairlead.model.call import CacheUse, Call
from fairlead.model.deadline import Deadline
from fairlead.model.lives import Lives, Standing
from fairlead.model.outcome import Outcome
from fairlead.model.ports import Clock
from fairlead.resilience.cache import Asked, Cache, Entry, Found
from fairlead.resilience.coalesce import Coalescing
from fairlead.runtime.connection import Connection
from fairlead.runtime.pipeline import Begin

# After a refresh that failed nobody tries again for so long, in seconds, or as long as the error says, within reason.
_REST_S = 1.0
_LONGEST_REST_S = 60.0
# So many rests are remembered; the oldest are over first.
_MOST_RESTS = 1_000

#: Asks the vendors, by the way of the call or another, and where nobody waits in line unless it says so.
Ask = Callable[[Begin | None, bool], Awaitable[tuple[Any, Connection]]]


class Fetched(NamedTuple):
    """What a vendor answered.

    `is_confirmed`: it is the kept answer, which still holds. `is_common`: others who ask the same may have it too.
    """

    answer: Answer
    served_by: str
    is_confirmed: bool = False
    is_common: bool = True


class Reply(NamedTuple):
    """How a call is answered: with an answer, or with the error that was kept."""

    answer: Answer | None
    served_by: str | None
    use: CacheUse = CacheUse.OFF
    age_s: float = 0.0
    error: FairleadError | None = None


class Keeping(Protocol):
    """How the answers to one question are kept."""

    @property
    def cache(self) -> Cache:
        """Where they are kept."""
        ...

    @property
    def is_offline(self) -> bool:
        """Whether the caller wants what is kept or nothing (RFC 9111 §5.2.1.7)."""
        ...

    def question(self, call: Call) -> str:
        """Return the name by which those who ask the same are known."""
        ...

    async def find(self, call: Call) -> Found | None:
        """Return what is kept."""
        ...

    def lives(self, entry: Entry) -> Lives:
        """Return how long this caller takes an entry."""
        ...

    def restore(self, found: Found) -> Answer | FairleadError:
        """Make the answer, or the error, of what is kept."""
        ...

    def begin(self, found: Found | None) -> Begin | None:
        """Return how the vendor is asked, given what is kept; None for the call's own way."""
        ...

    async def keep(self, call: Call, value: Any, connection: Connection, *, asked: Asked, seconds: float) -> Fetched:
        """Keep what a vendor answered within so many seconds, as far as that is allowed."""
        ...

    async def keep_absence(self, call: Call, error: NotFoundError, *, asked: Asked) -> None:
        """Keep that the vendor has not got it, as far as that is allowed; forget what it had."""
        ...


class Caching:
    """Answers reads, from what is kept or by asking. One for all calls of a client."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.disown()

    def disown(self) -> None:
        """Join nothing that is under way: after a fork, it is the parent's. What is kept stays."""
        self._coalescing = Coalescing()
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        self._rests: dict[str, float] = {}
        self._is_closed = False

    async def close(self) -> None:
        """Refresh nothing any more, and wait until what was under way has ended."""
        self._is_closed = True
        tasks = tuple(self._refreshing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._coalescing.come_to_rest()

    async def drop(self, caches: Iterable[Cache], tags: Collection[str]) -> int:
        """Forget what has any of the tags; an answer that is just being asked for is neither kept nor joined."""
        self._coalescing.part()
        return sum([await cache.drop_tags(tags) for cache in caches])

    async def find(
        self, keeping: Keeping, call: Call, ask: Ask, refresh: Callable[[], Coroutine[Any, Any, None]]
    ) -> Reply:
        """Look in the cache, join whoever asks the same, ask the vendors, or fall back on the last good answer.

        `refresh` makes the call that asks in the background.
        """
        found = await keeping.find(call)
        standing = _standing(keeping, found)
        if found and standing is Standing.FRESH:
            return _kept(keeping, found, CacheUse.HIT)
        question = keeping.question(call)
        if found and standing is Standing.REFRESH:
            self._refresh(question, refresh)
            return _kept(keeping, found, CacheUse.REFRESHING)
        if keeping.is_offline:
            raise UnavailableError("Nothing that is kept answers this.", outcome=Outcome.NOT_DONE)
        try:
            return await self._fetch(keeping, call, ask, question, found)
        except FairleadError as error:
            found = None if error.is_request_fault else await keeping.find(call)
            if found is None or _standing(keeping, found) is Standing.INVALID:
                raise
            return _kept(keeping, found, CacheUse.STALE)

    async def renew(self, keeping: Keeping, call: Call, ask: Ask) -> Reply:
        """Ask in the background, unless somebody asks already; a failure gives the vendor a rest."""
        question = keeping.question(call)
        found = await keeping.find(call)
        try:
            return (await self._fetch(keeping, call, ask, question, found))._replace(use=CacheUse.BACKGROUND)
        except FairleadError as error:
            rest_s = min(_LONGEST_REST_S, max(_REST_S, error.retry_after_s or 0.0))
            self._rests[question] = self._clock.monotonic() + rest_s
            while len(self._rests) > _MOST_RESTS:
                del self._rests[next(iter(self._rests))]
            return Reply(None, None, CacheUse.BACKGROUND, error=error)

    def _refresh(self, question: str, refresh: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin to ask in the background, one at a time for each question."""
        is_resting = self._clock.monotonic() < self._rests.get(question, 0.0)
        is_under_way = question in self._refreshing or self._coalescing.is_under_way(question)
        if self._is_closed or is_resting or is_under_way:
            return
        self._rests.pop(question, None)
        refreshing = self._refreshing
        refreshing[question] = task = asyncio.create_task(refresh())
        task.add_done_callback(lambda _: refreshing.pop(question))

    async def _fetch(self, keeping: Keeping, call: Call, ask: Ask, question: str, found: Found | None) -> Reply:
        """Ask, or join whoever asks the same, and say how it came about."""

        def start() -> Coroutine[Any, Any, Fetched]:
            return self._ask(keeping, call, ask, found)

        fetched, is_shared = await self._share(call, question, start)
        if is_shared and not fetched.is_common:
            fetched, is_shared = await start(), False
        use = CacheUse.SHARED if is_shared else CacheUse.REVALIDATED if fetched.is_confirmed else CacheUse.MISS
        return Reply(fetched.answer, fetched.served_by, use)

    async def _share(
        self, call: Call, question: str, start: Callable[[], Coroutine[Any, Any, Fetched]]
    ) -> tuple[Fetched, bool]:
        """Ask, or join whoever asks the same; the deadline of another is not ours."""
        while self._coalescing.is_under_way(question):
            theirs: Deadline = self._coalescing.note(question)
            try:
                async with asyncio.timeout(call.deadline.remaining(self._clock.monotonic())):
                    return await self._coalescing.run(question, start)
            except TimeoutError:
                raise DeadlineExceededError(
                    "The deadline passed while another call asked for the same.", outcome=Outcome.NOT_DONE
                ) from None
            except FairleadError as error:
                now, wait_s = self._clock.monotonic(), error.retry_after_s or 0.0
                is_for_want_of_time = not error.is_request_fault and not theirs.allows(wait_s, now)
                if not (is_for_want_of_time and call.deadline.allows(wait_s, now)):
                    raise
        return await self._coalescing.run(question, start, note=call.deadline)

    async def _ask(self, keeping: Keeping, call: Call, ask: Ask, found: Found | None) -> Fetched:
        """Ask the vendors, and keep what they say. Nobody waits in line who has something to fall back on."""
        may_wait = _standing(keeping, found) is Standing.INVALID
        began = self._clock.monotonic()
        with keeping.cache.asking() as asked:
            try:
                value, connection = await ask(keeping.begin(found), may_wait)
            except NotFoundError as error:
                await keeping.keep_absence(call, error, asked=asked)
                raise
            seconds = self._clock.monotonic() - began
            return await keeping.keep(call, value, connection, asked=asked, seconds=seconds)


def _standing(keeping: Keeping, found: Found | None) -> Standing:
    return Standing.INVALID if found is None else keeping.lives(found.entry).standing(found.age_s)


def _kept(keeping: Keeping, found: Found, use: CacheUse) -> Reply:
    restored = keeping.restore(found)
    if isinstance(restored, FairleadError):
        use = CacheUse.NEGATIVE if found.entry.is_negative else use
        return Reply(None, found.entry.served_by, use, found.age_s, restored)
    return Reply(restored, found.entry.served_by, use, found.age_s)
