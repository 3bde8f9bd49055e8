"""AWS Signature Version 4: sign a request, and tell whether one was signed with a secret of ours.

Both build the canonical request as AWS describes it: 'Create a signed AWS API request' (IAM User Guide) and
'Authenticating requests' (Amazon S3 API reference). S3 departs from the other services in two things: its path is
encoded once and taken as it is, and `x-amz-content-sha256` says what was signed of the body.

Everything is bytes, as it is on the wire: the signature is over bytes, and decoding would be a guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

import msgspec

from fairlead.errors import InvalidArgumentError, SignatureError
from fairlead.model.headers import Headers, Pairs
from fairlead.model.message import Request, query_of
from fairlead.model.secret import Secret
from fairlead.spec.provider import SigV4

_ALGORITHM = "AWS4-HMAC-SHA256"
#: What a request is signed with; what it has of these is of an earlier signature.
RENEWED = frozenset({"authorization", "x-amz-date", "x-amz-security-token"})

_STAMP = "%Y%m%dT%H%M%SZ"
_TIME = re.compile("[0-9]{8}T[0-9]{6}Z")
_HASH = "x-amz-content-sha256"
_PORTS = {"http": 80, "https": 443}
#: The services with S3's rules.
_LIKE_S3 = frozenset({"s3", "s3-object-lambda", "s3-outposts", "s3express"})
#: In place of the body's hash: nothing of the body is signed.
_UNSIGNED = frozenset({"UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})
#: In place of the body's hash: each chunk of the body has a signature of its own, which depends on this one.
_SIGNED_CHUNKS = "STREAMING-AWS4-"
#: What a hop on the way may add, change or take away, and what the transport sees to.
_OF_HOPS = re.compile(
    "accept-encoding|authorization|connection|content-length|expect|forwarded|keep-alive|max-forwards|proxy-.*|te"
    "|traceparent|tracestate|trailer|transfer-encoding|upgrade|user-agent|via|x-amzn-trace-id|x-forwarded-.*"
)
#: How far the clocks of caller and server may be apart, and how long a presigned URL may hold: what AWS allows.
_WINDOW_S = 15 * 60
_LONGEST_S = 7 * 24 * 60 * 60

_Fields = Mapping[str, Sequence[bytes]]


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a signature says that holds.

    `payload_hash` is the SHA-256 of the body in hex, or a word for a body that is not signed. Whoever has not given
    the body to `verify_v4` must compare.
    """

    secret: Secret
    access_key_id: str
    region: str
    service: str
    payload_hash: str


class _Claim(NamedTuple):
    """Who signs, or says to have signed, for what and when."""

    access_key_id: str
    date: str
    region: str
    service: str
    stamp: str
    signed: tuple[str, ...]
    signature: str = ""
    #: For a presigned URL: how many seconds it holds.
    expires_s: int | None = None


# --- Signing ------------------------------------------------------------------------------------------------------


def sign_v4(
    request: Request, auth: SigV4, credentials: Mapping[str, Secret], *, host: str, base_path: str = "", now: float
) -> Pairs:
    """Return the headers that sign a request; they go in place of what it has in `RENEWED`.

    `host` and `base_path` are the authority as sent and the path that stands before the request's, which is
    percent-encoded. `now` is in seconds since 1970. A request that names a hash in `x-amz-content-sha256` keeps it,
    so that a body may go unsigned; one that names signatures of chunks raises `InvalidArgumentError`.
    """
    stamp = datetime.fromtimestamp(now, UTC).strftime(_STAMP)
    own = Headers(request.headers)
    payload = own.get(_HASH)
    added = [("x-amz-date", stamp)]
    if payload is None:
        if request.content is not None and auth.service not in _LIKE_S3:
            raise InvalidArgumentError("A body that comes in pieces cannot be signed.", hint="Send it whole.")
        payload = hashlib.sha256(request.body).hexdigest() if request.content is None else "UNSIGNED-PAYLOAD"
        if auth.service in _LIKE_S3:
            added.append((_HASH, payload))
    elif payload.startswith(_SIGNED_CHUNKS):
        raise InvalidArgumentError(
            "A body in signed chunks cannot be signed anew.", hint="Send it whole, or with UNSIGNED-PAYLOAD."
        )
    if auth.session_token in credentials:
        added.append(("x-amz-security-token", credentials[auth.session_token].reveal()))
    kept = [pair for pair in request.headers if pair[0].lower() not in {"host", *RENEWED}]
    sent = (("host", own.get("host", host)), *kept, *added)
    fields = _fields((name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in sent)
    claim = _Claim(
        access_key_id=credentials[auth.access_key_id].reveal(),
        date=stamp[:8],
        region=auth.region,
        service=auth.service,
        stamp=stamp,
        signed=tuple(sorted(name for name in fields if not _OF_HOPS.fullmatch(name))),
    )
    path, query = f"{base_path}{request.path}".encode(), query_of(request).encode()
    canonical = _canonical_request(claim, request.method, path, query, fields, payload)
    signature = _signature(credentials[auth.secret_access_key], claim, canonical)
    authorization = (
        f"{_ALGORITHM} Credential={claim.access_key_id}/{_scope(claim)}, "
        f"SignedHeaders={';'.join(claim.signed)}, Signature={signature}"
    )
    return (*added, ("authorization", authorization))


def authority_of(base_url: str) -> str:
    """Return the authority as the transport sends it: without the scheme's own port, and without the root's dot."""
    parts = urlsplit(base_url)
    host = re.sub(r"\.?(:[0-9]*)?$", "", parts.netloc.lower())
    return host if parts.port in {None, _PORTS.get(parts.scheme)} else f"{host}:{parts.port}"


# --- Verifying ----------------------------------------------------------------------------------------------------


def verify_v4(
    method: str,
    raw_path: bytes,
    query: bytes,
    headers: Iterable[tuple[bytes, bytes]],
    *,
    secrets: Sequence[Secret],
    now: float,
    body: bytes | None = None,
) -> Verified:
    """Return with which of the secrets a request was signed, in its header or as a presigned URL.

    Path, query and headers are taken as they came. Without a `body`, which may be still to come, the hash that the
    request names is believed, and the caller must compare. Raises `SignatureError` where the signature is missing,
    broken, too old or too new (15 minutes, as AWS has it), leaves out what must be signed, or fits no secret. The
    time that takes tells nothing of the secrets.
    """
    fields = _fields(headers)
    claim = _claim_of(fields, query)
    _check_time(claim, now)
    _check_signed(claim, fields)
    payload = _payload(claim, fields, body)
    canonical = _canonical_request(claim, method, raw_path, query, fields, payload)
    shown = claim.signature.encode()
    fits = [hmac.compare_digest(_signature(each, claim, canonical).encode(), shown) for each in secrets]
    if True not in fits:
        raise SignatureError(
            "The signature fits no key, or something was changed on the way.",
            hint="Use one of the keys as the secret access key.",
        )
    return Verified(
        secret=secrets[fits.index(True)],
        access_key_id=claim.access_key_id,
        region=claim.region,
        service=claim.service,
        payload_hash=payload,
    )


def _claim_of(fields: _Fields, query: bytes) -> _Claim:
    """Read what the Authorization header claims, or else the query of a presigned URL."""
    scheme, _, rest = _text(fields, "authorization").partition(" ")
    if scheme.startswith("AWS4-"):
        said = {name.strip(): value for name, _, value in (part.partition("=") for part in rest.split(","))}
        if set(said) != {"Credential", "SignedHeaders", "Signature"}:
            raise SignatureError("The Authorization header is not that of Signature Version 4.")
        said |= {"Date": _text(fields, "x-amz-date"), "Algorithm": scheme}
    else:
        pairs = ((_decode(name), _decode(value)) for name, value in _split_query(query))
        said = {name.removeprefix("X-Amz-"): value for name, value in pairs if name.startswith("X-Amz-")}
        if not {"Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"} <= set(said):
            raise SignatureError("The request is not signed.", hint="Sign it by AWS Signature Version 4.")
    if said["Algorithm"] != _ALGORITHM:
        raise SignatureError(f"Only {_ALGORITHM} is verified.", hint="Signature Version 4A is not known here.")
    scope = said["Credential"].rsplit("/", 4)
    if len(scope) != 5 or not all(scope) or scope.pop() != "aws4_request":
        raise SignatureError("The credential's scope is not id/date/region/service/aws4_request.")
    expires = said.get("Expires")
    if expires is not None and not re.fullmatch("[0-9]{1,6}", expires):
        raise SignatureError("X-Amz-Expires is no number of seconds up to seven days.")
    access_key_id, date, region, service = scope
    return _Claim(
        access_key_id=access_key_id,
        date=date,
        region=region,
        service=service,
        stamp=said["Date"],
        signed=tuple(said["SignedHeaders"].split(";")),
        signature=said["Signature"],
        expires_s=None if expires is None else int(expires),
    )


def _check_time(claim: _Claim, now: float) -> None:
    """Raise for a signature that is not of now, give or take what AWS does."""
    try:
        signed_at = datetime.fromisoformat(claim.stamp if _TIME.fullmatch(claim.stamp) else "").timestamp()
    except ValueError:
        raise SignatureError("x-amz-date is missing, or no time as 20250830T123600Z.") from None
    if claim.stamp[:8] != claim.date:
        raise SignatureError("The credential's scope is of another day than x-amz-date.")
    if claim.expires_s is not None and claim.expires_s > _LONGEST_S:
        raise SignatureError("X-Amz-Expires is more than seven days.")
    longest_s = _WINDOW_S if claim.expires_s is None else claim.expires_s
    if not signed_at - _WINDOW_S <= now <= signed_at + longest_s:
        raise SignatureError(
            "The signature is too old, or of a time to come.", hint="Compare the clock; or sign again."
        )


def _check_signed(claim: _Claim, fields: _Fields) -> None:
    """Raise unless everything is signed that must be, and everything there that is."""
    if list(claim.signed) != sorted(set(claim.signed)):
        raise SignatureError("SignedHeaders is not sorted, or names a header twice.")
    missing = [name for name in claim.signed if name not in fields]
    if missing:
        raise SignatureError(f"A signed header is missing: {', '.join(map(ascii, missing))}.")
    # The hash is signed as such. A session token may be added afterwards, and nothing is done by it here.
    must = {name for name in fields if name.startswith("x-amz-")} - {_HASH, "x-amz-security-token"}
    unsigned = sorted({"host", *must} - set(claim.signed))
    if unsigned:
        raise SignatureError(f"A header must be signed that is not: {', '.join(unsigned)}.")


def _payload(claim: _Claim, fields: _Fields, body: bytes | None) -> str:
    """Return the hash of the body that was signed; raise where the body has another."""
    named = _text(fields, _HASH)
    if not named and claim.expires_s is not None and claim.service in _LIKE_S3:
        named = "UNSIGNED-PAYLOAD"
    if named in _UNSIGNED:
        return named
    if named.startswith(_SIGNED_CHUNKS):
        raise SignatureError(
            f"A body with a signature for each chunk ({_SIGNED_CHUNKS}...) cannot be verified.",
            hint="Let the client sign the body whole, or not at all: UNSIGNED-PAYLOAD.",
        )
    if named and not re.fullmatch("[0-9a-f]{64}", named):
        raise SignatureError(f"{_HASH} is no SHA-256 in hex.")
    if body is None:
        if named:
            return named
        raise SignatureError(f"The request names no {_HASH}, and its body is not known.")
    payload = hashlib.sha256(body).hexdigest()
    if named not in {"", payload}:
        raise SignatureError("The body is not the one that was signed.")
    return payload


# --- The canonical request, and its signature ---------------------------------------------------------------------


def _canonical_request(claim: _Claim, method: str, path: bytes, query: bytes, fields: _Fields, payload: str) -> bytes:
    lines = [f"{name}:".encode() + b",".join(fields[name]) for name in claim.signed]
    return b"\n".join(
        (
            method.encode(),
            _canonical_path(path, claim.service).encode(),
            _canonical_query(query).encode(),
            *lines,
            b"",
            ";".join(claim.signed).encode(),
            payload.encode(),
        )
    )


def _fields(headers: Iterable[tuple[bytes, bytes]]) -> _Fields:
    """Return header name in lower case -> its values, without the white space that does not count."""
    fields: dict[str, list[bytes]] = {}
    for name, value in headers:
        fields.setdefault(name.decode("latin-1").lower(), []).append(b" ".join(value.split()))
    return fields


def _canonical_path(path: bytes, service: str) -> str:
    """Encode a path once more, without what leads nowhere; S3's is encoded once, and a key may hold anything."""
    if service in _LIKE_S3:
        return "/".join(quote_from_bytes(unquote_to_bytes(each), safe="") for each in path.split(b"/")) or "/"
    kept: list[bytes] = []
    for each in path.split(b"/"):
        if each == b"..":
            del kept[-1:]
        elif each not in {b"", b"."}:
            kept.append(each)
    end = b"/" if kept and path.endswith(b"/") else b""
    return quote_from_bytes(b"/" + b"/".join(kept) + end)


def _canonical_query(query: bytes) -> str:
    """Sort the query by what its names and values are when strictly encoded; a signature in it signs not itself."""
    pairs = [
        tuple(quote_from_bytes(unquote_to_bytes(part.replace(b"+", b" ")), safe="") for part in pair)
        for pair in _split_query(query)
        if pair[0] != b"X-Amz-Signature"
    ]
    return "&".join(map("=".join, sorted(pairs)))


def _split_query(query: bytes) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, _, value in (part.partition(b"=") for part in query.split(b"&") if part)]


def _signature(secret: Secret, claim: _Claim, canonical: bytes) -> str:
    """Derive the key of the day for region and service, and sign with it."""
    key = f"AWS4{secret.reveal()}".encode()
    for part in (claim.date, claim.region, claim.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    digest = hashlib.sha256(canonical).hexdigest()
    return hmac.new(key, f"{_ALGORITHM}\n{claim.stamp}\n{_scope(claim)}\n{digest}".encode(), "sha256").hexdigest()


def _scope(claim: _Claim) -> str:
    return f"{claim.date}/{claim.region}/{claim.service}/aws4_request"


def _text(fields: _Fields, name: str) -> str:
    """Return a header's value, or nothing; of one that is sent twice no sense is made."""
    return b", ".join(fields.get(name, ())).decode("latin-1")


def _decode(part: bytes) -> str:
    return unquote_to_bytes(part).decode("latin-1")
