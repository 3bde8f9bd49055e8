"""Verify a delivery in a test, with a vendor that answers look-ups from a table."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.model.fetch import Fetch
from fairlead.model.headers import Headers
from fairlead.model.incoming import Incoming
from fairlead.model.message import Response
from fairlead.model.secret import Secret
from fairlead.spec.webhook import Scheme
from fairlead.webhooks.verify import Verdict, verify

URL = "https://app.example/hooks/acme"


def incoming(
    body: bytes | str = b"", headers: Mapping[str, str] | None = None, *, method: str = "POST", url: str = URL
) -> Incoming:
    """Return a delivery."""
    raw = body.encode() if isinstance(body, str) else body
    return Incoming(method, url, Headers((headers or {}).items()), raw)


def try_on(
    scheme: Scheme,
    delivery: Incoming,
    secrets: Mapping[str, str | tuple[str, ...]],
    *,
    now: float = 0.0,
    pages: Mapping[str, bytes] | None = None,
) -> tuple[Verdict, list[Fetch]]:
    """Return the verdict, and what was looked up for it; a page that is not in the table answers 404."""
    values = {name: (each,) if isinstance(each, str) else each for name, each in secrets.items()}
    known = {name: [Secret(text) for text in each] for name, each in values.items()}
    running = verify(scheme, delivery, known, now=now)
    fetched: list[Fetch] = []
    try:
        asked = next(running)
        while True:
            fetched.append(asked)
            body = (pages or {}).get(asked.url)
            found = Response(status=404 if body is None else 200, headers=Headers(), body=body or b"")
            asked = running.send(found)
    except StopIteration as over:
        verdict: Verdict = over.value
        return verdict, fetched
