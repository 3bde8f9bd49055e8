"""Where a caller's key may stand in a proxied request: `fairlead-key`, or wherever the vendor's own key would.

So code that was written for the vendor works unchanged: its base URL is the proxy, and its key one of the gateway's.
What stood there is taken out; the vendor's own credentials take its place when the request is signed.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode
from collections.abc import Iterator
from urllib.parse import unquote, unquote_plus

import msgspec

from fairlead.auth.sigv4 import RENEWED, verify_v4
from fairlead.gateway.exchange import Exchange
from fairlead.gateway.keyring import Keyring
from fairlead.model.headers import Pairs
from fairlead.spec.provider import ApiKey, Auth, Hmac, Place, SigV4

# The parameters of a presigned URL.
_PRESIGNED = "X-Amz-"
#: Where AWS clients say what they signed of the body.
PAYLOAD_HASH = "x-amz-content-sha256"
OWN_HEADER = "fairlead-key"
# Ours alone.
_OWN = "fairlead-"


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """What of a proxied request may hold a key: the path below the connection, the query as it is, the headers."""

    path: str
    query: str
    headers: Pairs


def verify_signature(exchange: Exchange, query: str, body: bytes | None, keyring: Keyring, *, now: float) -> None:
    """Raise `SignatureError` unless an AWS client signed with one of the gateway's keys as its secret access key.

    Without a `body`, which is still to come, the hash that was signed is believed, and the body to be held to it.
    """
    verify_v4(
        exchange.method, exchange.path, query.encode("latin-1"), exchange.fields,
        secrets=keyring.keys, now=now, body=body,
    )  # fmt: skip


def is_hash(signed: str) -> bool:
    """Whether the body itself was signed, and not a word that says how it was not."""
    return len(signed) == hashlib.sha256().digest_size * 2


class Slots:
    """Where in the requests to one vendor a key may stand; `also` is the provider's `key_slots`."""

    def __init__(self, auth: Auth, also: tuple[ApiKey, ...] = ()) -> None:
        places = (*(auth if isinstance(auth, tuple) else ()), *also)
        names = {key.name.lower() for key in places if key.place is Place.HEADER}
        gone = {"authorization", "proxy-authorization", *names}
        if isinstance(auth, Hmac):
            gone |= {auth.header.lower(), auth.timestamp_header.lower(), (auth.id_header or "").lower()}
            names |= {auth.id_header.lower()} if auth.id_header else set()
        elif isinstance(auth, SigV4):
            gone |= RENEWED
        self.is_signed = isinstance(auth, SigV4)
        self._shown = frozenset({OWN_HEADER, *names})
        self._gone = frozenset(gone)
        self._parameters = frozenset(key.name for key in places if key.place is Place.QUERY)
        self._segments = tuple(key for key in places if key.place is Place.PATH)

    def has_key(self, incoming: Incoming, keyring: Keyring) -> bool:
        """Whether one of the gateway's keys stands in one of the slots. Each is looked at: the time tells nothing."""
        matches = [keyring.knows(shown) for shown in self._values(incoming)]
        return True in matches

    def emptied(self, incoming: Incoming, keyring: Keyring, *, gone: frozenset[str] = frozenset()) -> Incoming:
        """Return the request with every slot empty, and in the path the placeholder that signing fills.

        `gone` are other headers to be left out. Who sends a key elsewhere as well has not meant it for the vendor.
        """
        gone |= self._gone
        headers = [pair for pair in incoming.headers if pair[0] not in gone and not pair[0].startswith(_OWN)]
        if keyring.is_in("\n".join([value for _, value in headers])):
            headers = [pair for pair in headers if not keyring.is_in(pair[1])]
        path, query = incoming.path, incoming.query
        if query:
            query = "&".join([part for part in query.split("&") if self._may_pass(part, keyring)])
        for key in self._segments:
            path = "/".join([f"{{{key.name}}}" if keyring.knows(unquote(each)) else each for each in path.split("/")])
        return Incoming(path=path, query=query, headers=tuple(headers))

    def _may_pass(self, part: str, keyring: Keyring) -> bool:
        """Whether a part of the query is neither a key nor of another signature."""
        name = unquote_plus(part.partition("=")[0])
        if name in self._parameters or (self.is_signed and name.startswith(_PRESIGNED)):
            return False
        return not (keyring.is_in(part) or keyring.is_in(unquote_plus(part)))

    def _values(self, incoming: Incoming) -> Iterator[str]:
        """Yield whatever stands where a key may."""
        for name, value in incoming.headers:
            if name in self._shown:
                yield value
            elif name == "authorization":
                scheme, _, rest = value.partition(" ")
                yield from _basic(rest) if scheme.lower() == "basic" else (rest or value,)
        for part in incoming.query.split("&") if self._parameters else ():
            name, _, value = part.partition("=")
            if unquote_plus(name) in self._parameters:
                yield unquote_plus(value)
        if self._segments:
            yield from map(unquote, incoming.path.split("/"))


def _basic(text: str) -> Iterator[str]:
    """Yield user and password (RFC 7617): vendors take their key as either."""
    try:
        user, _, password = b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return
    yield user
    yield password
