"""Where a caller's key may stand in a proxied request: `fairlead-key`, or wherever the vendor's own key would.

So code that was written for the vendor works unchanged: its base URL is the proxy, and its key one of the gateway's.
What stood there is taken out; the vendor's own credentials take its place when the request is signed.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode
from collections.abc import Iterator, Sequence
from urllib.parse import unquote, unquote_plus

import msgspec
from starlette.types import Scope

from fairlead.auth.sigv4 import RENEWED, verify_v4
from fairlead.gateway.server import HEAD_FIELDS
from fairlead.model.headers import Pairs
from fairlead.model.secret import Secret
from fairlead.spec.provider import ApiKey, Auth, Hmac, Place, SigV4

# The parameters of a presigned URL.
_PRESIGNED = "X-Amz-"
#: Where AWS clients say what they signed of the body.
PAYLOAD_HASH = "x-amz-content-sha256"
OWN_HEADER = "fairlead-key"
#: The provider's `key_slots`: where else than in `auth` a key may stand.
Slots = tuple[ApiKey, ...]


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """What of a proxied request may hold a key: the path below the connection, the query as it is, the headers."""

    path: str
    query: str
    headers: Pairs


def verify_signature(
    incoming: Incoming, scope: Scope, body: bytes | None, keys: Sequence[Secret], *, now: float
) -> None:
    """Raise `SignatureError` unless an AWS client signed with one of the gateway's keys as its secret access key.

    Without a `body`, which is still to come, the hash that was signed is believed, and the body to be held to it.
    """
    fields = scope["headers"][: scope["extensions"][HEAD_FIELDS]]
    verify_v4(
        scope["method"], scope["raw_path"], incoming.query.encode("latin-1"), fields, secrets=keys, now=now, body=body
    )


def is_hash(signed: str) -> bool:
    """Whether the body itself was signed, and not a word that says how it was not."""
    return len(signed) == hashlib.sha256().digest_size * 2


def is_known(incoming: Incoming, auth: Auth, keys: Sequence[Secret], also: Slots = ()) -> bool:
    """Whether one of the gateway's keys stands in one of the slots. Every key is compared: the time tells nothing."""
    found = [Secret(shown) for shown in _shown(incoming, auth, also) if shown]
    matches = [shown == key for shown in found for key in keys]
    return any(matches)


def without_keys(incoming: Incoming, auth: Auth, keys: Sequence[Secret], also: Slots = ()) -> Incoming:
    """Return the request with every slot empty, and in the path the placeholder that signing fills."""
    places = (*(auth if isinstance(auth, tuple) else ()), *also)
    gone = {"authorization", "proxy-authorization", *(key.name.lower() for key in places if key.place is Place.HEADER)}
    if isinstance(auth, Hmac):
        gone |= {auth.header.lower(), auth.timestamp_header.lower(), (auth.id_header or "").lower()}
    elif isinstance(auth, SigV4):
        gone |= RENEWED
    texts = [key.reveal() for key in keys]  # who sends one elsewhere as well has not meant it for the vendor
    headers = tuple(
        (name, value)
        for name, value in incoming.headers
        if name not in gone and not name.startswith("fairlead-") and not any(text in value for text in texts)
    )
    names = {key.name for key in places if key.place is Place.QUERY}
    query = "&".join(
        part
        for part in incoming.query.split("&")
        if (name := unquote_plus(part.partition("=")[0])) not in names
        and not any(text in part or text in unquote_plus(part) for text in texts)
        and not (isinstance(auth, SigV4) and name.startswith(_PRESIGNED))
    )
    path = incoming.path
    for key in places:
        if key.place is Place.PATH:
            path = "/".join(_placeholder(segment, key, keys) for segment in path.split("/"))
    return Incoming(path=path, query=query, headers=headers)


def _placeholder(segment: str, key: ApiKey, keys: Sequence[Secret]) -> str:
    text = Secret(unquote(segment))
    matches = [text == each for each in keys]
    return f"{{{key.name}}}" if any(matches) else segment


def _shown(incoming: Incoming, auth: Auth, also: Slots) -> Iterator[str]:
    """Yield whatever stands where a key may."""
    places = (*(auth if isinstance(auth, tuple) else ()), *also)
    names = {key.name.lower() for key in places if key.place is Place.HEADER}
    if isinstance(auth, Hmac) and auth.id_header:
        names.add(auth.id_header.lower())
    for name, value in incoming.headers:
        if name == OWN_HEADER or name in names:
            yield value
        elif name == "authorization":
            scheme, _, rest = value.partition(" ")
            yield from _basic(rest) if scheme.lower() == "basic" else (rest or value,)
    parameters = {key.name for key in places if key.place is Place.QUERY}
    for part in incoming.query.split("&") if parameters else ():
        name, _, value = part.partition("=")
        if unquote_plus(name) in parameters:
            yield unquote_plus(value)
    if any(key.place is Place.PATH for key in places):
        yield from map(unquote, incoming.path.split("/"))


def _basic(text: str) -> Iterator[str]:
    """Yield user and password (RFC 7617): vendors take their key as either."""
    try:
        user, _, password = b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return
    yield user
    yield password
