"""`fl.http(name)`: a plain call to one connection, through the same pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import msgspec

from fairlead.errors import UnsupportedFeatureError
from fairlead.model.message import Query, Request, Response, build_request
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect
from fairlead.runtime.calls import CallOptions, Calls, Wanted
from fairlead.runtime.connection import Connection


class HttpFacade:
    """Sends requests to one connection and returns good answers; others raise the error that fits.

    Unless `effect` says otherwise, GET, HEAD and OPTIONS are reads and everything else is `once`: it is never
    repeated while its outcome is unknown. With an `idempotency_key` a request is `idempotent`; the vendor must
    honour the header that its provider names (`idempotency-key` where there is no provider).
    """

    def __init__(self, connection: Connection, calls: Calls, *, deadline_s: float) -> None:
        self._connection = connection
        self._calls = calls
        self._deadline_s = deadline_s

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes = b"",
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        effect: Effect | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Response:
        """Send a request. `path` starts with `/` and is relative to the connection's base URL."""
        if idempotency_key:
            if not self._connection.provider.idempotency_header:
                raise UnsupportedFeatureError(f"{self._connection.provider.title} honours no idempotency key.")
            effect = effect or Effect.IDEMPOTENT
        request = build_request(method, path, json=json, body=body, query=query, headers=headers, effect=effect)
        wanted = Wanted(
            operation=f"http.{method.lower()}",
            candidates=(self._connection,),
            begin=lambda _: _single(msgspec.structs.replace(request, idempotency_key=idempotency_key)),
            deadline_s=self._deadline_s,
        )
        response: Response = await self._calls.make(wanted, options)
        return response

    async def get(
        self, path: str, *, query: Query | None = None, headers: Mapping[str, str] | None = None,
        **options: Unpack[CallOptions],
    ) -> Response:  # fmt: skip
        """Send GET."""
        return await self.request("GET", path, query=query, headers=headers, **options)

    async def post(
        self, path: str, *, json: Any = None, body: bytes = b"", headers: Mapping[str, str] | None = None,
        effect: Effect | None = None, idempotency_key: str | None = None, **options: Unpack[CallOptions],
    ) -> Response:  # fmt: skip
        """Send POST; `once` unless `effect` or an idempotency key says otherwise."""
        return await self.request(
            "POST", path, json=json, body=body, headers=headers, effect=effect, idempotency_key=idempotency_key,
            **options,
        )  # fmt: skip


def _single(request: Request) -> Operation[Response]:
    return (yield request)
