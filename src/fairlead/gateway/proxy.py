"""`ANY /proxy/{connection}/{path}`: a vendor's own API through the engine; any SDK works by changing its base URL.

The request passes as it is, but for the caller's key, whose place the vendor's credentials take, and for what is only
between two neighbours (RFC 9110 §7.6.1). The vendor's answers pass as they are, errors too. What Fairlead itself has to
say is a problem document with a `fairlead-error` header.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from starlette.responses import Response as Rendered

from fairlead.errors import FairleadError, InvalidArgumentError
from fairlead.gateway.answers import error_headers, render_error, render_problem, report_headers, send_rendered
from fairlead.gateway.body import PassedOn, decode_fields, take_body
from fairlead.gateway.calls import for_later, render_accepted, wants_background
from fairlead.gateway.exchange import Exchange
from fairlead.gateway.keyring import Keyring
from fairlead.gateway.lane import PREFIX, Lane, named
from fairlead.gateway.slots import PAYLOAD_HASH, Incoming, Slots, is_hash, verify_signature
from fairlead.gateway.veil import Veil
from fairlead.gateway.wishes import read_wishes
from fairlead.model.headers import Pairs
from fairlead.model.message import METHODS, Response, is_path
from fairlead.model.secret import Secret
from fairlead.runtime.connection import Connection
from fairlead.runtime.fairlead import Fairlead

# The deadline of a request whose body is passed on as it comes, in seconds.
_STREAM_S = 3600.0
# An answer of at most so many bytes is on its way before its caller could leave.
_SHORT = 64 * 1024
# Of a connection that does not exist.
_NO_SLOTS = Slots(())


class Proxy:
    """A handler. Without `keys` it is open to everybody: for demonstrations on loopback."""

    def __init__(self, fl: Fairlead, *, keys: Sequence[Secret] | None) -> None:
        self._fl = fl
        self._is_open = keys is None
        self._keyring = Keyring(keys or ())
        self._lanes: dict[str, Lane] = {}
        self._known: Mapping[str, Connection] = {}

    async def __call__(self, exchange: Exchange) -> None:
        """Answer one request."""
        raw = exchange.path[len(PREFIX) :].decode("latin-1")
        name, slash, path = raw.partition("/")
        lane = self._lane(name)
        try:
            answer, body = await self._ask(exchange, name, f"{slash or '/'}{path}", lane)
            reported = report_headers(answer.call) if isinstance(answer, Response) and answer.call else {}
        except FairleadError as error:
            is_final = error.response is not None and error.response.status >= 200  # no 101 that nobody asked for
            answer, body = error.response if error.response is not None and is_final else render_error(error), b""
            reported = error_headers(error)
        if isinstance(answer, Rendered):
            send_rendered(exchange, answer)
            return
        assert lane is not None  # noqa: S101  # a vendor has answered
        if answer.stream is None:
            self._send_whole(answer, reported, lane, exchange)
        else:
            await self._pass_on(answer, reported, lane, exchange, body)

    def _lane(self, name: str) -> Lane | None:
        """Return the lane to a connection: to this one to the end, also when it is replaced meanwhile."""
        if self._known is not self._fl.connections:  # as they are after a reload
            self._known = self._fl.connections
            self._lanes.clear()
        lane = self._lanes.get(name)
        if lane is None and (connection := self._known.get(name)) is not None:
            lane = self._lanes[name] = Lane(self._fl, connection)
        return lane

    async def _ask(
        self, exchange: Exchange, name: str, path: str, lane: Lane | None
    ) -> tuple[Response | Rendered, bytes | PassedOn]:
        """Return the vendor's answer, or our own refusal; raise `FairleadError` and `CallerGone`."""
        headers = decode_fields(exchange.fields)
        incoming = Incoming(path=path, query=exchange.query.decode("latin-1"), headers=headers)
        slots = lane.slots if lane else _NO_SLOTS
        is_shown = self._is_open or slots.has_key(incoming, self._keyring)
        if not is_shown and not slots.is_signed:
            return _missing_key(), b""
        fields = dict(headers)
        has_hash = PAYLOAD_HASH in fields
        if not is_shown and has_hash:  # before a body is asked for
            self._verify(exchange, incoming.query, None)
        if lane is None:
            self._fl.connection(name)  # only who has a key learns which there are
            raise AssertionError  # there is none of that name
        refusal = _refusal(exchange.method, path, headers, fields)
        if refusal is not None:
            return refusal, b""
        options = read_wishes(fields, has_key=not self._is_open)
        body: bytes | PassedOn = b""
        if "content-length" in fields or "transfer-encoding" in fields:
            body = await take_body(exchange, fields, self._fl.settings.gateway.replay_bytes)
        if not is_shown and (isinstance(body, bytes) or not has_hash):
            self._verify(exchange, incoming.query, body if isinstance(body, bytes) else None)
        if isinstance(body, PassedOn):
            if not is_shown and is_hash(fields.get(PAYLOAD_HASH, "")):
                body.signed_hash = fields[PAYLOAD_HASH]
            body.keep = partial(lane.may_trail, self._keyring)
            options.setdefault("deadline_s", _STREAM_S)
        request = lane.request(exchange.method, incoming, fields, body, self._keyring)
        if wants_background(fields):
            kept = await self._fl.http(lane.connection).send(
                for_later(request, lane.connection), background=True, **options
            )
            return render_accepted(kept), b""
        return await lane.send(request, **options), body

    def _verify(self, exchange: Exchange, query: str, body: bytes | None) -> None:
        verify_signature(exchange, query, body, self._keyring, now=self._fl.ports.clock.wall())

    def _send_whole(self, answer: Response, reported: Mapping[str, str], lane: Lane, exchange: Exchange) -> None:
        """Send what the vendor says went wrong."""
        veil = lane.thick_veil()
        is_told = exchange.method == "HEAD" or answer.status in {204, 304}
        length = None if is_told else len(answer.body)
        fields = lane.fields(answer, reported, veil, length=length)
        exchange.begin(answer.status, fields, length, is_dated="date" in answer.headers)
        exchange.end(veil.whole(answer.body))

    async def _pass_on(
        self,
        answer: Response,
        reported: Mapping[str, str],
        lane: Lane,
        exchange: Exchange,
        body: bytes | PassedOn,
    ) -> None:
        """Send the vendor's answer to the caller, as fast as the caller takes it."""
        veil, stream, headers = lane.veil(), answer.stream, answer.headers
        told = headers.get("content-length")
        length = int(told) if told is not None and exchange.method != "HEAD" else None
        fields = lane.fields(answer, reported, veil)
        try:
            whole = stream.taken()
            exchange.begin(answer.status, fields, length, is_dated="date" in headers)
            if whole is not None:
                exchange.end(veil.whole(whole), lane.trailing(stream, answer, veil))
                return
            exchange.flush()
            if length is not None and length <= _SHORT:
                await _pump(stream, veil, exchange)
            elif not await _while_awaited(_pump(stream, veil, exchange), _leaving(exchange, body)):
                return
            exchange.end(veil.rest(), lane.trailing(stream, answer, veil))
        except FairleadError:  # it broke off: so shall ours
            exchange.break_off()
        finally:
            await stream.aclose()


def _refusal(method: str, path: str, headers: Pairs, fields: Mapping[str, str]) -> Rendered | None:
    """Return our answer to what cannot be passed on; raise `InvalidArgumentError` for a path that leads elsewhere."""
    if method not in METHODS:
        return render_problem(405, "unknown_method", "The proxy passes no such method on.")
    if not is_path(path):
        raise InvalidArgumentError(
            "The path cannot be passed on.", hint="Leave out '.' and '..', and begin with one slash."
        )
    if "upgrade" in fields and _wants_another_protocol(headers):
        return render_problem(501, "unsupported_upgrade", "The proxy speaks no protocol but HTTP.")
    if fields.get("transfer-encoding", "chunked").strip().lower() != "chunked":  # RFC 9112 §6.1
        return render_problem(501, "unsupported_coding", "The proxy knows no transfer coding but chunked.")
    return None


def _wants_another_protocol(headers: Pairs) -> bool:
    """Whether this opens a WebSocket (RFC 6455 §4.1); what may as well stay HTTP does (RFC 9110 §7.8)."""
    upgrades = [value.strip().lower() for name, value in headers if name == "upgrade"]
    return "websocket" in upgrades and "upgrade" in named(headers)


async def _pump(stream: Any, veil: Veil, exchange: Exchange) -> None:
    async for piece in stream:
        exchange.write(veil.cover(piece))
        await exchange.drain()


async def _while_awaited(pump: Coroutine[Any, Any, None], leaving: Coroutine[Any, Any, None]) -> bool:
    """Pass an answer on until it is over, or its caller has left; return whether it is over."""
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


async def _leaving(exchange: Exchange, body: bytes | PassedOn) -> None:
    """Wait until the caller leaves; while its body is on its way, whoever sends that notices."""
    if isinstance(body, PassedOn):
        await body.over.wait()
    await exchange.wait_until_left()


def _missing_key() -> Rendered:
    return render_problem(
        401,
        "missing_key",
        "The gateway needs one of its keys.",
        "Send it in the header fairlead-key, or where the vendor's own key would be.",
        headers={"www-authenticate": "Bearer"},
    )
