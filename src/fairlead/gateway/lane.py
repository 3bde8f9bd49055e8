"""What the proxy knows of one connection before a request comes: which fields pass, either way, and what is hidden."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from fairlead.gateway.body import PassedOn
from fairlead.gateway.exchange import is_sound
from fairlead.gateway.keyring import Keyring
from fairlead.gateway.slots import Incoming, Slots
from fairlead.gateway.veil import Veil
from fairlead.model.exchange import Body
from fairlead.model.headers import Pairs
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect
from fairlead.runtime.connection import Connection
from fairlead.runtime.fairlead import Fairlead
from fairlead.spec.provider import Place

PREFIX = "/proxy/"
# RFC 9110 §7.6.1, and what the next connection says itself.
_BETWEEN_NEIGHBOURS = frozenset(
    {
        "connection", "content-length", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
# What a field `connection` says mostly, which is about no other field.
_NAMES_NONE = frozenset({"close", "keep-alive"})
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_BODILESS = frozenset({204, 304})
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What a vendor says about its own host, and would be taken for ours; and what is ours to say.
_OF_THE_HOST = frozenset({"alt-svc", "clear-site-data", "strict-transport-security"})
_OURS = "fairlead-"
# What may not stand after a body (RFC 9110 §6.5.1): it frames, routes or vouches for what has been read by then.
_NEVER_LAST = _BETWEEN_NEIGHBOURS | {
    "authorization", "cache-control", "content-encoding", "content-range", "content-type", "cookie", "expect",
    "set-cookie", "trailer", "www-authenticate",
}  # fmt: skip

# It has no state, as it holds nothing back.
_THIN = Veil(())


class Lane:
    """The way through the proxy to one connection: to this very one, also when it has been replaced."""

    def __init__(self, fl: Fairlead, connection: Connection) -> None:
        provider, has_cookies = connection.provider, connection.made_of.settings.cookies
        self.connection = connection
        self.slots = Slots(provider.auth, provider.key_slots)
        self.send = fl.http(connection).send
        self._idempotency_key = (provider.idempotency_header or "").lower()
        # Whether the vendor sees its key in the address, and may well repeat it.
        self._is_telling = isinstance(provider.auth, tuple) and any(
            key.place is not Place.HEADER for key in provider.auth
        )
        # An answer that is looked through must not be packed.
        hidden = (() if has_cookies else ("cookie",)) + (("accept-encoding",) if self._is_telling else ())
        self._unasked = _BETWEEN_NEIGHBOURS.union(hidden)
        self._unasked_whole = self._unasked | {"expect", "trailer"}
        unsaid = _BETWEEN_NEIGHBOURS | _OF_THE_HOST
        self._unsaid_whole = unsaid if has_cookies else unsaid | {"set-cookie"}
        self._unsaid = self._unsaid_whole - {"content-length"}

    # To the vendor.

    def request(
        self, method: str, incoming: Incoming, fields: Mapping[str, str], body: bytes | PassedOn, keyring: Keyring
    ) -> Request:
        """Return what the vendor is asked."""
        is_whole = isinstance(body, bytes)
        gone = self._unasked_whole if is_whole else self._unasked
        if "connection" in fields:
            gone |= named(incoming.headers)
        passed = self.slots.emptied(incoming, keyring, gone=gone)
        has_key = bool(self._idempotency_key) and self._idempotency_key in fields
        return Request(
            method=method,
            path=passed.path,
            raw_query=passed.query,
            headers=passed.headers,
            effect=Effect.READ if method in _READS else Effect.IDEMPOTENT if has_key else Effect.ONCE,
            body=body if isinstance(body, bytes) else b"",
            content=None if isinstance(body, bytes) else body,
            is_streamed=True,
            is_raw=True,
        )

    def may_trail(self, keyring: Keyring, fields: Pairs) -> Pairs:
        """Return those of the fields after a request's body that may pass."""
        return self.slots.emptied(Incoming(path="/", query="", headers=fields), keyring, gone=_NEVER_LAST).headers

    # To the caller.

    def veil(self) -> Veil:
        """Return what covers a good answer: mostly nothing is to be covered."""
        return self.thick_veil() if self._is_telling else _THIN

    def thick_veil(self) -> Veil:
        """Return what covers what went wrong: many repeat the key that they refuse."""
        return Veil(self.connection.credentials.values())

    def fields(self, answer: Response, reported: Mapping[str, str], veil: Veil, *, length: int | None = None) -> bytes:
        """Return the fields of an answer, with our own; a `length` is told in place of the vendor's."""
        gone = self._unsaid if length is None and answer.status not in _BODILESS else self._unsaid_whole
        headers = answer.headers
        if headers.get("connection", "close").lower() not in _NAMES_NONE:
            gone |= named(headers.pairs) - {"content-length"}
        kept = [
            (key, self._local(value) if key == "location" else value)
            for name, value in headers.pairs
            if (key := name.lower()) not in gone and not key.startswith(_OURS)
        ]
        if length is not None:
            kept.append(("content-length", str(length)))
        kept += reported.items()
        return written(kept, veil)

    def trailing(self, stream: Body, answer: Response, veil: Veil) -> bytes:
        """Return those of the fields after an answer's body that may pass, where any were announced."""
        if "trailer" not in answer.headers:
            return b""
        after = [(name.lower(), value) for name, value in stream.trailers()]
        return written([pair for pair in after if pair[0] not in _NEVER_LAST], veil)

    def _local(self, location: str) -> str:
        """Return where a redirect leads: through the proxy, where it stays below the connection's base URL."""
        base = self.connection.provider.base_url.rstrip("/")
        host = base.partition("://")[2].partition("/")[0]
        path = base.partition(host)[2]
        if location.startswith("/") and not location.startswith("//"):
            rest = location.removeprefix(path) if location.startswith(path) else None
        else:
            rest = location.removeprefix(base) if location.startswith(base) else None
        if rest is None or rest[:1] not in {"", "/", "?", "#"}:
            return location
        return f"{PREFIX}{self.connection.name}{rest}"


def written(fields: Iterable[tuple[str, str]], veil: Veil) -> bytes:
    """Return fields as lines that begin no other; HTTP/2 knows names that HTTP/1.1 does not."""
    if veil.is_thin:
        lines = "".join([f"{name}: {value}\r\n" for name, value in fields]).encode("latin-1", "replace")
        if is_sound(lines):
            return lines
    return b"".join([
        b"%b: %b\r\n" % (name.encode(), veil.whole(_CONTROL.sub(" ", value).encode("latin-1", "replace")))
        for name, value in fields
        if _NAME.fullmatch(name)
    ])  # fmt: skip


def named(fields: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Return the fields that are for the next neighbour alone, as it was told (RFC 9110 §7.6.1)."""
    said = [value for name, value in fields if name.lower() == "connection"]
    return frozenset([token.strip().lower() for value in said for token in value.split(",")])
