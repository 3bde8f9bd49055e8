"""Who may use the gateway: callers with one of its keys."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from fairlead.gateway.answers import render_problem
from fairlead.gateway.keyring import Keyring
from fairlead.model.secret import Secret

#: Probes of an orchestrator carry no key, and learn nothing but whether to send traffic.
OPEN_PATHS = frozenset({"/healthz", "/readyz"})


class Access:
    """Lets a request pass that has a key in `fairlead-key`, or as a bearer token."""

    def __init__(self, app: ASGIApp, keys: Sequence[Secret]) -> None:
        self._app = app
        self._keyring = Keyring(keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._has_key(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        answer = render_problem(
            401,
            "missing_key",
            "The gateway needs one of its keys.",
            "Send it in the header fairlead-key, or as a bearer token.",
            headers={"www-authenticate": "Bearer"},
        )
        await answer(scope, receive, send)

    def _has_key(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        shown = headers.get("fairlead-key") or (token if scheme.lower() == "bearer" else "")
        return self._keyring.knows(shown)
