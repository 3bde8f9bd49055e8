"""`ANY /proxy/{connection}/{path}`: a vendor's own API through the engine; any SDK works by changing its base URL.

The request passes as it is, but for the caller's key, whose place the vendor's credentials take, and for what is only
between two neighbours (RFC 9110 §7.6.1). The vendor's answers pass as they are, errors too. What Fairlead itself has to
say is a problem document with a `fairlead-error` header.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from starlette.responses import Response as Rendered
from starlette.types import Receive, Scope, Send

from fairlead.errors import FairleadError, InvalidArgumentError
from fairlead.gateway.answers import error_headers, render_error, render_problem, report_headers
from fairlead.gateway.body import ClientGone, PassedOn, decode_fields, take_body
from fairlead.gateway.server import BREAK_OFF, HEAD_FIELDS
from fairlead.gateway.slots import PAYLOAD_HASH, Incoming, is_hash, is_known, verify_signature, without_keys
from fairlead.gateway.veil import Veil
from fairlead.gateway.wishes import read_wishes
from fairlead.model.headers import Pairs
from fairlead.model.message import METHODS, Request, Response, is_path
from fairlead.model.outcome import Effect
from fairlead.model.secret import Secret
from fairlead.runtime.connection import Connection
from fairlead.runtime.fairlead import Fairlead
from fairlead.spec.provider import Place, SigV4

PREFIX = "/proxy/"
# RFC 9110 §7.6.1, and what the next connection says itself.
_BETWEEN_NEIGHBOURS = frozenset(
    {
        "connection", "content-length", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
# The deadline of a request whose body is passed on as it comes, in seconds.
_STREAM_S = 3600.0
# An answer of at most so many bytes is on its way before its caller could leave.
_SHORT = 64 * 1024
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What a vendor says about its own host, and would be taken for ours; and what is ours to say.
_OF_THE_HOST = ("alt-svc", "clear-site-data", "strict-transport-security")
_OURS = "fairlead-"
# What may not stand after a body (RFC 9110 §6.5.1): it frames, routes or vouches for what has been read by then.
_NEVER_LAST = frozenset(
    {
        "authorization", "cache-control", "content-encoding", "content-range", "content-type", "cookie", "expect",
        "set-cookie", "trailer", "www-authenticate",
    }
)  # fmt: skip


class Proxy:
    """The ASGI application. Without `keys` it is open to everybody: for demonstrations on loopback."""

    def __init__(self, fl: Fairlead, *, keys: Sequence[Secret] | None) -> None:
        self._fl = fl
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body: bytes | PassedOn = b""
        connection = self._fl.connections.get(_place(scope)[0])  # this one to the end, also when it is replaced
        try:
            answer, body = await self._ask(scope, receive, connection)
            reported = report_headers(answer.call) if isinstance(answer, Response) and answer.call else {}
        except ClientGone:
            return
        except FairleadError as error:
            is_final = error.response is not None and error.response.status >= 200  # no 101 that nobody asked for
            answer = error.response if error.response is not None and is_final else render_error(error)
            reported = error_headers(error)
        if isinstance(answer, Rendered):
            await answer(scope, receive, send)
            return
        assert connection is not None  # noqa: S101  # a vendor has answered
        if answer.stream is None:
            await self._send_whole(answer, reported, connection, send, is_head=scope["method"] == "HEAD")
        else:
            # While the request's own body is on its way, that is how a caller who leaves is noticed.
            await self._pass_on(answer, reported, connection, scope, _leaving(receive, body), send)

    async def _ask(
        self, scope: Scope, receive: Receive, connection: Connection | None
    ) -> tuple[Response | Rendered, bytes | PassedOn]:
        """Return the vendor's answer, or our own refusal; raise `FairleadError` and `ClientGone`."""
        name, path = _place(scope)
        headers = decode_fields(scope["headers"][: scope["extensions"][HEAD_FIELDS]])
        incoming = Incoming(path=path, query=scope["query_string"].decode("latin-1"), headers=headers)
        auth, also = (connection.provider.auth, connection.provider.key_slots) if connection else ((), ())
        is_shown = self._keys is None or is_known(incoming, auth, self._keys, also)
        if not is_shown and not isinstance(auth, SigV4):
            return _missing_key(), b""
        fields = dict(headers)
        has_hash = PAYLOAD_HASH in fields
        if not is_shown and has_hash:  # before a body is asked for
            self._verify(incoming, scope, None)
        connection = connection or self._fl.connection(name)  # only who has a key learns which there are
        if scope["method"] not in METHODS:
            return render_problem(405, "unknown_method", "The proxy passes no such method on."), b""
        if not is_path(incoming.path):
            raise InvalidArgumentError(
                "The path cannot be passed on.", hint="Leave out '.' and '..', and begin with one slash."
            )
        options = read_wishes(fields, has_key=self._keys is not None)
        if _wants_another_protocol(headers):
            return render_problem(501, "unsupported_upgrade", "The proxy speaks no protocol but HTTP."), b""
        if fields.get("transfer-encoding", "chunked").strip().lower() != "chunked":  # RFC 9112 §6.1
            return render_problem(501, "unsupported_coding", "The proxy knows no transfer coding but chunked."), b""
        body = await take_body(receive, scope, fields, self._fl.settings.gateway.replay_bytes)
        if not is_shown and (isinstance(body, bytes) or not has_hash):
            self._verify(incoming, scope, body if isinstance(body, bytes) else None)
        if not is_shown and isinstance(body, PassedOn) and is_hash(fields.get(PAYLOAD_HASH, "")):
            body.signed_hash = fields[PAYLOAD_HASH]
        incoming = without_keys(incoming, auth, self._keys or (), also)
        request = self._request(scope["method"], incoming, fields, body, connection)
        if isinstance(body, PassedOn):
            body.keep = self._may_trail(connection)
            options.setdefault("deadline_s", _STREAM_S)
        return await self._fl.http(connection).send(request, **options), body

    def _verify(self, incoming: Incoming, scope: Scope, body: bytes | None) -> None:
        verify_signature(incoming, scope, body, self._keys or (), now=self._fl.ports.clock.wall())

    def _may_trail(self, connection: Connection) -> Callable[[Pairs], Pairs]:
        """Return what leaves of the fields after a request's body those that may pass."""

        def keep(fields: Pairs) -> Pairs:
            after = Incoming(path="/", query="", headers=fields)
            kept = without_keys(after, connection.provider.auth, self._keys or ()).headers
            return tuple(pair for pair in kept if pair[0] not in _BETWEEN_NEIGHBOURS | _NEVER_LAST)

        return keep

    def _request(
        self, method: str, incoming: Incoming, fields: Mapping[str, str], body: bytes | PassedOn, connection: Connection
    ) -> Request:
        gone = _BETWEEN_NEIGHBOURS | _named(incoming.headers)
        if isinstance(body, bytes):
            gone |= {"expect", "trailer"}
        if not connection.made_of.settings.cookies:
            gone |= {"cookie"}
        if _is_telling(connection):  # its answers are looked through, for which they must not be packed
            gone |= {"accept-encoding"}
        headers = tuple(pair for pair in incoming.headers if pair[0] not in gone)
        key = (connection.provider.idempotency_header or "").lower()
        effect = Effect.READ if method in _READS else Effect.IDEMPOTENT if key and key in fields else Effect.ONCE
        return Request(
            method=method,
            path=incoming.path,
            raw_query=incoming.query,
            headers=headers,
            effect=effect,
            body=body if isinstance(body, bytes) else b"",
            content=None if isinstance(body, bytes) else body,
            is_streamed=True,
            is_raw=True,
        )

    async def _send_whole(
        self, answer: Response, reported: Mapping[str, str], connection: Connection, send: Send, *, is_head: bool
    ) -> None:
        """Send what the vendor says went wrong."""
        veil = Veil(connection.credentials.values())  # many repeat the key that they refuse
        headers = self._headers(answer, reported, connection, veil, is_head=is_head)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": veil.whole(answer.body)})

    async def _pass_on(
        self,
        answer: Response,
        reported: Mapping[str, str],
        connection: Connection,
        scope: Scope,
        leaving: Coroutine[Any, Any, None],
        send: Send,
    ) -> None:
        """Send the vendor's answer to the caller, as fast as the caller takes it."""
        veil = _veil(connection)
        stream: Any = answer.stream
        has_trailers = "trailer" in answer.headers
        headers = self._headers(answer, reported, connection, veil)
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": answer.status,
                    "headers": headers,
                    "trailers": has_trailers,
                }
            )
            is_whole = await _while_awaited(_pump(stream, veil, send), leaving, answer)
            if has_trailers and is_whole:
                after = [(key.lower(), value) for key, value in stream.trailers()]
                fields = _written([pair for pair in after if pair[0] not in _BETWEEN_NEIGHBOURS | _NEVER_LAST], veil)
                await send({"type": "http.response.trailers", "headers": fields})
        except FairleadError:  # it broke off: so shall ours
            await scope["extensions"][BREAK_OFF]()
        finally:
            leaving.close()
            await stream.aclose()

    def _headers(
        self,
        answer: Response,
        reported: Mapping[str, str],
        connection: Connection,
        veil: Veil,
        *,
        is_head: bool = False,
    ) -> list[tuple[bytes, bytes]]:
        passed = [(key.lower(), value) for key, value in answer.headers.pairs]
        is_told_here = answer.stream is None and answer.status not in {204, 304} and not is_head
        gone = (_BETWEEN_NEIGHBOURS | _named(passed)).union(_OF_THE_HOST) - {"content-length"}
        if answer.status in {204, 304} or is_told_here:
            gone |= {"content-length"}
        if not connection.made_of.settings.cookies:
            gone |= {"set-cookie"}
        kept = [
            (key, _local(value, connection) if key == "location" else value)
            for key, value in passed
            if key not in gone and not key.startswith(_OURS)
        ]
        if is_told_here:
            kept.append(("content-length", str(len(answer.body))))
        ours = [(key, value) for key, value in reported.items() if key != "age"]
        return _written((*kept, *ours), veil)


def _written(fields: Iterable[tuple[str, str]], veil: Veil) -> list[tuple[bytes, bytes]]:
    """Return fields as bytes that begin no other line; HTTP/2 knows names that HTTP/1.1 does not."""
    return [
        (key.encode("latin-1"), veil.whole(_CONTROL.sub(" ", value).encode("latin-1", "replace")))
        for key, value in fields
        if _NAME.fullmatch(key)
    ]


def _named(fields: Iterable[tuple[str, str]]) -> set[str]:
    """Return the fields that are for the next neighbour alone, as it was told (RFC 9110 §7.6.1)."""
    said = [value for name, value in fields if name == "connection"]
    return {token.strip().lower() for value in said for token in value.split(",")}


def _wants_another_protocol(headers: Pairs) -> bool:
    """Whether this opens a WebSocket (RFC 6455 §4.1); what may as well stay HTTP does (RFC 9110 §7.8)."""
    upgrades = [value.strip().lower() for name, value in headers if name == "upgrade"]
    return "websocket" in upgrades and "upgrade" in _named(headers)


async def _pump(stream: Any, veil: Veil, send: Send) -> None:
    async for piece in stream:
        await send({"type": "http.response.body", "body": veil.cover(piece), "more_body": True})
    await send({"type": "http.response.body", "body": veil.rest()})


async def _while_awaited(pump: Coroutine[Any, Any, None], leaving: Coroutine[Any, Any, None], answer: Response) -> bool:
    """Pass an answer on until it is over, or its caller has left; return whether it is over."""
    length = answer.headers.get("content-length", "")
    if length.isdigit() and int(length) <= _SHORT:
        await pump
        return True
    passing, watching = asyncio.ensure_future(pump), asyncio.ensure_future(leaving)
    try:
        await asyncio.wait({passing, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not passing.done():
            return False
        passing.result()
        return True
    finally:
        for task in (passing, watching):
            task.cancel()
        await asyncio.gather(passing, watching, return_exceptions=True)


async def _leaving(receive: Receive, body: bytes | PassedOn) -> None:
    """Wait until the caller leaves; while its body is on its way, whoever sends that notices."""
    if isinstance(body, PassedOn):
        await body.over.wait()
    while (await receive())["type"] != "http.disconnect":
        pass


def _place(scope: Scope) -> tuple[str, str]:
    """Return the connection that the path names, and the vendor's own path, as it was written."""
    raw = scope["raw_path"].decode("latin-1").removeprefix(PREFIX)
    name, slash, path = raw.partition("/")
    return name, f"{slash or '/'}{path}"


def _local(location: str, connection: Connection) -> str:
    """Return where a redirect leads: through the proxy, where it stays below the connection's base URL."""
    base = connection.provider.base_url.rstrip("/")
    host = base.partition("://")[2].partition("/")[0]
    path = base.partition(host)[2]
    if location.startswith("/") and not location.startswith("//"):
        rest = location.removeprefix(path) if location.startswith(path) else None
    else:
        rest = location.removeprefix(base) if location.startswith(base) else None
    if rest is None or rest[:1] not in {"", "/", "?", "#"}:
        return location
    return f"{PREFIX}{connection.name}{rest}"


def _veil(connection: Connection) -> Veil:
    return Veil(connection.credentials.values() if _is_telling(connection) else ())


def _is_telling(connection: Connection) -> bool:
    """Whether the vendor sees its key in the address, and may well repeat it."""
    auth = connection.provider.auth
    return isinstance(auth, tuple) and any(key.place is not Place.HEADER for key in auth)


def _missing_key() -> Rendered:
    return render_problem(
        401,
        "missing_key",
        "The gateway needs one of its keys.",
        "Send it in the header fairlead-key, or where the vendor's own key would be.",
        headers={"www-authenticate": "Bearer"},
    )
