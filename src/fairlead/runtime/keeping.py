"""How the answers of a capability's reads are kept: as long as the route says, and the vendor's terms allow."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from fairlead.errors import FairleadError, NotFoundError
from fairlead.model.answer import Answer
from fairlead.model.call import Call, Ref
from fairlead.model.headers import Headers, Pairs
from fairlead.model.lives import Lives
from fairlead.model.message import Response
from fairlead.model.outcome import Outcome
from fairlead.resilience.cache import Asked, Cache, Entry, Found
from fairlead.runtime.caching import Fetched
from fairlead.runtime.connection import Connection
from fairlead.runtime.fingerprint import Fingerprints
from fairlead.runtime.pipeline import Begin
from fairlead.spec.describe import answer_type


class CachePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Up to which age the answers of an operation serve, in seconds."""

    ttl_s: float
    stale_while_revalidate_s: float
    stale_if_error_s: float
    negative_ttl_s: float

    @property
    def lives(self) -> Lives:
        """The ages that bound an answer's use."""
        return Lives(self.ttl_s, self.stale_while_revalidate_s, self.stale_if_error_s)


class RouteCache(msgspec.Struct, frozen=True, kw_only=True):
    """What a route keeps, and how long: each operation as `by_operation` says, or else as `policy` does."""

    cache: Cache
    policy: CachePolicy
    by_operation: Mapping[str, CachePolicy]
    fingerprints: Fingerprints

    def keeping(
        self, capability: str, name: str, key: Hashable, candidates: Sequence[Connection], ref: Ref | None
    ) -> ReadKeeping:
        """Return how the answers to one question are kept. Equal keys are the same question."""
        return ReadKeeping(
            operation=f"{capability}.{name}",
            kind=answer_type(candidates[0].provider, capability, name),
            key=key,
            candidates=candidates,
            ref=ref,
            cache=self.cache,
            policy=self.by_operation.get(name, self.policy),
            fingerprints=self.fingerprints,
        )


class ReadKeeping(msgspec.Struct, frozen=True, kw_only=True):
    """How the answers to one question are kept. Tenants and accounts never share one."""

    operation: str
    kind: Any
    key: Hashable
    candidates: Sequence[Connection]
    ref: Ref | None
    cache: Cache
    policy: CachePolicy
    fingerprints: Fingerprints
    is_offline: bool = False

    def question(self, call: Call) -> str:
        """Name it: the operation, whom it is asked of and for, and its arguments."""
        accounts = [(each.name, self.fingerprints.account(each)) for each in self.candidates]
        return self.fingerprints.name(self.operation, call.tenant, accounts, self.key)

    async def find(self, call: Call) -> Found | None:
        """Return what is kept."""
        return await self.cache.find(self.question(call))

    def lives(self, entry: Entry) -> Lives:
        """Return how long an entry serves: as it was kept."""
        return entry.lives

    def restore(self, found: Found) -> Answer | FairleadError:
        """Make the answer, or the error, of what is kept."""
        if found.entry.is_negative:
            return restore_absence(found.entry)
        answer: Answer = msgspec.msgpack.decode(found.entry.value, type=self.kind)
        return answer

    def begin(self, _found: Found | None) -> Begin | None:
        """Ask in the call's own way: a capability has no validators."""
        return None

    async def keep(self, call: Call, value: Answer, connection: Connection, *, asked: Asked, seconds: float) -> Fetched:
        """Keep an answer as long as the user and the vendor's terms allow."""
        _ = seconds
        lives = self.policy.lives.at_most(connection.policy.cache_max_age_s)
        if lives.longest_s() > 0:
            entry = Entry(value=msgspec.msgpack.encode(value), served_by=connection.name, lives=lives)
            tags = tags_of(self.operation, call, connection.name, (*self._refs(), *refs_in(value)))
            await self.cache.keep(self.question(call), entry, tags=tags, asked=asked)
        return Fetched(value, connection.name)

    async def keep_absence(self, call: Call, error: NotFoundError, *, asked: Asked) -> None:
        """Keep that there is nothing, and forget what there was."""
        served_by = error.connection or ""
        longest_s = min((each.policy.cache_max_age_s for each in self.candidates if each.name == served_by), default=0)
        lives = Lives(self.policy.negative_ttl_s, 0.0, 0.0).at_most(longest_s)
        entry = absence(error, lives)
        tags = tags_of(self.operation, call, served_by, self._refs())
        await self.cache.keep(self.question(call), entry, tags=tags, asked=asked)

    def _refs(self) -> tuple[Ref, ...]:
        return (self.ref,) if self.ref else ()


class Message(msgspec.Struct, frozen=True, array_like=True):
    """A response, as it is kept."""

    status: int
    pairs: Pairs
    body: bytes

    @property
    def response(self) -> Response:
        """The response."""
        return Response(status=self.status, headers=Headers(self.pairs), body=self.body)


class _Absence(msgspec.Struct, frozen=True, array_like=True):
    """A `NotFoundError`, as it is kept."""

    provider: str | None
    connection: str | None
    message: str
    hint: str
    status: int | None
    said: Message | None


def absence(error: NotFoundError, lives: Lives, said: Response | None = None, age_s: float = 0.0) -> Entry:
    """Return the entry of an error that says that there is nothing."""
    message = Message(said.status, said.headers.pairs, said.body) if said else None
    kept = _Absence(error.provider, error.connection, error.message, error.hint, error.status, message)
    return Entry(
        value=msgspec.msgpack.encode(kept), served_by=error.connection or "", lives=lives, age_s=age_s, is_negative=True
    )


def restore_absence(entry: Entry) -> NotFoundError:
    """Make the error of an entry."""
    kept = msgspec.msgpack.decode(entry.value, type=_Absence)
    error = NotFoundError(kept.message, hint=kept.hint, outcome=Outcome.NOT_DONE, status=kept.status)
    error.response = kept.said.response if kept.said else None
    return error.locate(provider=kept.provider, connection=kept.connection)


def tags_of(operation: str, call: Call, connection: str, refs: Iterable[Ref]) -> frozenset[str]:
    """Return the tags by which an answer can be invalidated."""
    tags = {operation, operation.partition(".")[0], connection, *map(str, refs)}
    if call.tenant is not None:
        tags.add(f"tenant:{call.tenant}")
    return frozenset(tags)


def refs_in(answer: Any) -> Iterator[Ref]:
    """Yield the things that an answer is about: its own `ref`, and those of its items."""
    for each in (answer, *getattr(answer, "items", ())):
        ref = getattr(each, "ref", None)
        if isinstance(ref, Ref):
            yield ref
