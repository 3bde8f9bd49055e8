"""Put credentials where the provider's scheme wants them.

Keys go as they are; the schemes are Basic (RFC 7617), Bearer (RFC 6750), HMAC (RFC 2104) and AWS Signature Version 4.
A path that a credential has become part of is not shown any more: see `Request.shown_path`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import msgspec

from fairlead.auth.sigv4 import RENEWED, authority_of, sign_v4
from fairlead.errors import InvalidArgumentError
from fairlead.model.headers import checked_headers
from fairlead.model.message import Request, is_path, query_of
from fairlead.model.secret import Secret
from fairlead.spec.provider import ApiKey, Auth, Basic, Bearer, Hmac, Place, SigV4

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")


def sign(
    request: Request, auth: Auth, credentials: Mapping[str, Secret], *, base_url: str = "", now: float = 0.0
) -> Request:
    """Return the request with the credentials in it. Of several keys, one that is not there is left out.

    `base_url` is for signatures that are for one host; `now`, in seconds since 1970, for those that carry a time.
    """
    if auth == ():
        return request
    if isinstance(auth, SigV4):
        return _sign_v4(request, auth, credentials, base_url, now)
    path = request.path
    query: list[tuple[str, str]] = []
    headers: list[tuple[str, str]] = []
    if isinstance(auth, Bearer):
        headers.append(("authorization", f"Bearer {credentials[auth.field].reveal()}"))
    elif isinstance(auth, Basic):
        user = auth.fixed_user or credentials[auth.user].reveal()
        pair = f"{user}:{credentials[auth.password].reveal()}"
        headers.append(("authorization", f"Basic {b64encode(pair.encode()).decode()}"))
        for field in auth.path:
            path = _fill(path, ApiKey(field, Place.PATH, field), credentials[field].reveal())
    elif isinstance(auth, Hmac):
        headers += _signature(request, auth, credentials, str(int(now)))
    else:
        for key in auth:
            if key.field not in credentials:
                continue
            value = credentials[key.field].reveal()
            if key.place is Place.PATH:
                path = _fill(path, key, value)
            else:
                target = query if key.place is Place.QUERY else headers
                target.append((key.name, value))
    return msgspec.structs.replace(
        request,
        path=path,
        shown_path=request.shown_path if path == request.path else request.path,
        query=(*request.query, *query),
        headers=(*request.headers, *checked_headers(headers)),
    )


def _fill(path: str, key: ApiKey, value: str) -> str:
    """Put a credential, percent-encoded, where the path has its placeholder; raise where it would lead elsewhere."""
    filled = path.replace(f"{{{key.name}}}", quote(value, safe=""))
    if not is_path(filled):
        raise InvalidArgumentError(f"The credential {key.field!r} cannot be part of a path.", hint="Look at its value.")
    return filled


def _sign_v4(request: Request, auth: SigV4, credentials: Mapping[str, Secret], base_url: str, now: float) -> Request:
    """Sign in place of an earlier signature. What stands plainly in the path is encoded: AWS signs nothing else."""
    request = msgspec.structs.replace(request, path=quote(request.path, safe="/%"))
    if auth.region_field is not None and auth.region_field in credentials:
        auth = msgspec.structs.replace(auth, region=credentials[auth.region_field].reveal())
    host, base_path = authority_of(base_url), urlsplit(base_url).path.rstrip("/")
    headers = sign_v4(request, auth, credentials, host=host, base_path=base_path, now=now)
    kept = (pair for pair in request.headers if pair[0].lower() not in RENEWED)
    return msgspec.structs.replace(request, headers=(*kept, *checked_headers(headers)))


def _signature(
    request: Request, auth: Hmac, credentials: Mapping[str, Secret], timestamp: str
) -> list[tuple[str, str]]:
    """Sign what `auth.message` makes of the request; a placeholder's value is not searched for others."""
    values = {
        "method": request.method.encode(),
        "path": f"{auth.base_path}{request.path}".encode(),
        "query": query_of(request).encode(),
        "timestamp": timestamp.encode(),
        "body": request.body,
    }
    parts = _PLACEHOLDER.split(auth.message)
    message = b"".join(values[part] if at % 2 else part.encode() for at, part in enumerate(parts))
    digest = hmac.new(credentials[auth.field].reveal().encode(), message, hashlib.sha256).digest()
    headers = [(auth.timestamp_header, timestamp), (auth.header, f"{auth.prefix}{auth.encoding.write(digest)}")]
    if auth.id_header:
        headers.append((auth.id_header, credentials[auth.id_field].reveal()))
    return headers
