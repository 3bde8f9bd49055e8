"""Put credentials where the provider's scheme wants them: key, Basic (RFC 7617) or Bearer (RFC 6750)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

import msgspec

from fairlead.model.headers import checked_headers
from fairlead.model.message import Request
from fairlead.model.secret import Secret
from fairlead.spec.provider import Auth, Basic, Bearer, Place


def sign(request: Request, auth: Auth, credentials: Mapping[str, Secret]) -> Request:
    """Return the request with the credentials in it. Of several keys, one that is not there is left out."""
    query: list[tuple[str, str]] = []
    headers: list[tuple[str, str]] = []
    if isinstance(auth, Bearer):
        headers.append(("authorization", f"Bearer {credentials[auth.field].reveal()}"))
    elif isinstance(auth, Basic):
        pair = f"{credentials[auth.user].reveal()}:{credentials[auth.password].reveal()}"
        headers.append(("authorization", f"Basic {b64encode(pair.encode()).decode()}"))
    else:
        for key in auth:
            if key.field in credentials:
                target = query if key.place is Place.QUERY else headers
                target.append((key.name, credentials[key.field].reveal()))
    return msgspec.structs.replace(
        request, query=(*request.query, *query), headers=(*request.headers, *checked_headers(headers))
    )
