"""How the answers to plain GETs are kept, where a connection declares it: as HTTP says (RFC 9111).

The rules are in `fairlead.spec.http_cache`; here they meet the store. A request that asks whether a kept answer still
holds is a request like any other: it passes breaker and limits, is retried, and is seen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from fairlead.errors import FairleadError, NotFoundError
from fairlead.model.answer import Answer
from fairlead.model.call import Call, Ref
from fairlead.model.headers import Headers
from fairlead.model.lives import Lives
from fairlead.model.message import Request, Response, query_of
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect, Outcome
from fairlead.resilience.cache import Asked, Cache, Entry, Found
from fairlead.runtime.caching import Caching, Fetched
from fairlead.runtime.connection import Connection
from fairlead.runtime.explain import conceal
from fairlead.runtime.fingerprint import Fingerprints
from fairlead.runtime.keeping import Message, absence, restore_absence, tags_of
from fairlead.runtime.pipeline import Begin
from fairlead.runtime.ports import Ports
from fairlead.spec import http_cache as rules

R = TypeVar("R", bound=Answer)

#: Makes what the caller wants of a response.
Read = Callable[[Response], Answer]

_OPERATION = "http.get"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Requests with these are about a part of a thing, or know of an answer that we do not.
_PASSED_ON = frozenset({"range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"})
# Whose answer it is: never another's, whatever Vary says.
_PERSONAL = frozenset({"authorization", "cookie", "proxy-authorization"})


class HttpCachePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What the vendor's words leave open. Times are in seconds."""

    negative_ttl_s: float
    stale_if_error_s: float
    validate_s: float
    guess_share: float


class _Read(Answer, frozen=True, kw_only=True):
    """A response, what the caller wants of it, and whether it is the kept one, confirmed."""

    response: Response
    answer: Answer
    is_confirmed: bool = False


class HttpCache:
    """What is kept of one connection's answers."""

    def __init__(
        self,
        connection: Connection,
        cache: Cache,
        policy: HttpCachePolicy,
        *,
        fingerprints: Fingerprints,
        caching: Caching,
        ports: Ports,
    ) -> None:
        self.connection = connection
        self.cache = cache
        self.policy = policy
        self.fingerprints = fingerprints
        self.clock = ports.clock
        self._caching = caching

    def keeping(self, request: Request, read: Read) -> HttpKeeping | None:
        """Return how the answers to a request are kept, or None where they are not: but for a GET of the whole."""
        names = {name.lower() for name, _ in request.headers}
        is_whole = request.method == "GET" and not (request.is_streamed or request.is_raw or names & _PASSED_ON)
        is_plain = request.effect is Effect.READ and not request.body and request.content is None
        if not (is_whole and is_plain) or rules.control_of(Headers(request.headers)).no_store:
            return None
        return HttpKeeping(self, request, read)

    async def attend(self, request: Request, sending: Awaitable[R]) -> R:
        """Wait for the answer to a request; if it may have changed something, forget what it was about (§4.4).

        So it does where nobody knows what became of it.
        """
        if request.method in _SAFE or request.effect is Effect.READ:
            return await sending
        answer: R | None = None
        is_done = True
        try:
            answer = await sending
        except FairleadError as error:
            is_done = error.outcome is not Outcome.NOT_DONE
            raise
        else:
            return answer
        finally:
            if is_done:
                await self._forget(request, answer if isinstance(answer, Response) else None)

    async def _forget(self, request: Request, answer: Response | None) -> None:
        """Forget what is kept of a path, with any query, and of those that the answer names."""
        paths = {request.path}
        for field in ("location", "content-location"):
            named = self._path_of(request, answer.headers.get(field, "")) if answer else None
            if named:
                paths.add(named)
        await self._caching.drop((self.cache,), {self.tag(path) for path in paths})

    def _path_of(self, request: Request, address: str) -> str | None:
        """Return the path of an address within the connection's own origin, as requests write it."""
        base = self.connection.provider.base_url.rstrip("/")
        try:
            target, ours = urlsplit(urljoin(base + request.path, address)), urlsplit(base)
        except ValueError:
            return None
        if not address or (target.scheme, target.netloc) != (ours.scheme, ours.netloc):
            return None
        return target.path.removeprefix(ours.path) if target.path.startswith(ours.path) else None

    def tag(self, path: str) -> str:
        """Return the tag of what is kept of a path."""
        return str(Ref(self.connection.name, path))


class HttpKeeping:
    """How the answers to one GET are kept."""

    def __init__(self, http: HttpCache, request: Request, read: Read) -> None:
        self.cache = http.cache
        self._http = http
        self._request = request
        self._read = read
        self._headers = Headers(request.headers)
        self._asked = rules.control_of(self._headers)
        self.is_offline = self._asked.only_if_cached

    def question(self, call: Call) -> str:
        """Name what is asked to the letter: only such requests are shared."""
        headers = sorted((name.lower(), value) for name, value in self._request.headers)
        return self._name(call, "question", headers)

    async def find(self, call: Call) -> Found | None:
        """Return what is kept for this address, and these fields of the request where the answer depends on some."""
        found = await self.cache.find(self._primary(call))
        if found and found.entry.varies:
            return await self.cache.find(self._variant(call, found.entry.varies))
        return found

    def lives(self, entry: Entry) -> Lives:
        """Return how long this caller takes an entry."""
        said = Headers() if entry.is_negative else _message(entry).response.headers
        return rules.as_asked(entry.lives, self._asked, said)

    def restore(self, found: Found) -> Answer | FairleadError:
        """Make the answer, or the error, of what is kept; it tells its age (§5.1)."""
        if found.entry.is_negative:
            return restore_absence(found.entry)
        kept = _message(found.entry)
        pairs = (*(pair for pair in kept.pairs if pair[0].lower() != "age"), ("age", str(int(found.age_s))))
        connection = self._http.connection
        try:
            return self._read(Response(status=kept.status, headers=Headers(pairs), body=kept.body))
        except FairleadError as error:
            error.outcome = error.outcome or Outcome.NOT_DONE
            return conceal(error, connection).locate(provider=connection.provider.id, connection=connection.name)

    def begin(self, found: Found | None) -> Begin:
        """Ask whether the kept answer still holds, where it has a validator (§4.3), or else for another."""
        kept = None if found is None or found.entry.is_negative else _message(found.entry).response
        return lambda _connection: _fetch(self._request, kept, self._read)

    async def keep(self, call: Call, value: _Read, connection: Connection, *, asked: Asked, seconds: float) -> Fetched:
        """Keep a response as long as it says itself, the user, and the vendor's terms allow."""
        response, headers = value.response, value.response.headers
        policy, now = self._http.policy, self._http.clock.wall()
        longest_s = connection.policy.cache_max_age_s
        lifetime_s = rules.lifetime_s(headers, now=now, guess_share=policy.guess_share)
        lives = rules.lives_of(headers, fresh_s=lifetime_s, stale_if_error_s=policy.stale_if_error_s)
        entry = Entry(
            value=msgspec.msgpack.encode(Message(response.status, headers.pairs, response.body)),
            served_by=connection.name,
            lives=lives.at_most(longest_s),
            age_s=rules.initial_age_s(headers, now=now, delay_s=seconds),
        )
        keep_s = min(policy.validate_s, longest_s) if rules.conditions(headers) else 0.0
        is_kept = await self._store(call, entry, response, asked=asked, keep_s=keep_s)
        return Fetched(value.answer, connection.name, value.is_confirmed, is_common=is_kept)

    async def keep_absence(self, call: Call, error: NotFoundError, *, asked: Asked) -> None:
        """Keep a 404 or 410 as long as it says itself, or else the configuration; forget what there was."""
        said, now = error.response, self._http.clock.wall()
        headers = said.headers if said else Headers()
        lifetime_s = rules.lifetime_s(headers, now=now)
        fresh_s = self._http.policy.negative_ttl_s if lifetime_s is None else lifetime_s
        lives = rules.lives_of(headers, fresh_s=fresh_s, stale_if_error_s=0.0)
        lives = Lives(lives.fresh_s, 0.0, 0.0).at_most(self._http.connection.policy.cache_max_age_s)
        entry = absence(error, lives, said, rules.initial_age_s(headers, now=now, delay_s=0.0))
        await self._store(call, entry, said or Response(status=404, headers=headers), asked=asked, keep_s=0.0)

    async def _store(self, call: Call, entry: Entry, response: Response, *, asked: Asked, keep_s: float) -> bool:
        """Keep an entry under the name that its Vary asks for (§4.1), or forget what stands there."""
        primary, tags = self._primary(call), self._tags(call)
        varies = rules.varies_on(response.headers)
        if varies is None or not rules.may_store(response.status, response.headers):
            await self.cache.drop(primary)
            return False
        if varies:
            sign = Entry(value=b"", served_by="", lives=entry.lives, age_s=entry.age_s, varies=varies)
            await self.cache.keep(primary, sign, tags=tags, asked=asked, keep_s=keep_s)
            primary = self._variant(call, varies)
        return await self.cache.keep(primary, entry, tags=tags, asked=asked, keep_s=keep_s)

    def _tags(self, call: Call) -> frozenset[str]:
        connection = self._http.connection.name
        return tags_of(_OPERATION, call, connection, (Ref(connection, self._request.path),))

    def _primary(self, call: Call) -> str:
        personal = sorted((name.lower(), value) for name, value in self._request.headers if name.lower() in _PERSONAL)
        return self._name(call, "address", personal)

    def _variant(self, call: Call, varies: tuple[str, ...]) -> str:
        return self._name(call, "variant", (self._primary(call), [(n, self._headers.get(n, "")) for n in varies]))

    def _name(self, call: Call, what: str, more: Any) -> str:
        http, request = self._http, self._request
        account = http.fingerprints.account(http.connection)
        return http.fingerprints.name(
            what, http.connection.name, account, call.tenant, request.path, query_of(request), more
        )


def _message(entry: Entry) -> Message:
    return msgspec.msgpack.decode(entry.value, type=Message)


def _fetch(request: Request, kept: Response | None, read: Read) -> Operation[_Read]:
    """Ask for a response; what confirms the kept one stands for it, brought up to date."""
    conditions = rules.conditions(kept.headers) if kept else ()
    if kept and conditions:
        said = yield msgspec.structs.replace(request, headers=(*request.headers, *conditions))
        if said.status != 304:
            return _Read(response=said, answer=read(said))
        if rules.confirms(kept.headers, said.headers):
            still = msgspec.structs.replace(kept, headers=rules.freshened(kept.headers, said.headers))
            return _Read(response=still, answer=read(still), is_confirmed=True)
    response = yield request
    return _Read(response=response, answer=read(response))
