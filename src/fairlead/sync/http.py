"""Plain requests, in synchronous code."""

from __future__ import annotations

from collections.abc import AsyncIterable, Generator, Iterable, Mapping, Sized
from contextlib import AbstractAsyncContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar, Unpack, overload

import msgspec

from fairlead.model.exchange import Content
from fairlead.model.message import Query, Request, Response
from fairlead.model.outcome import Effect
from fairlead.model.page import ListPage
from fairlead.runtime.background import Feed
from fairlead.runtime.bulk import BulkProgress, BulkResult, OnProgress
from fairlead.runtime.http import HttpFacade as AsyncHttpFacade
from fairlead.runtime.later import BackgroundCall
from fairlead.runtime.transfer import OnTransfer, Transfer
from fairlead.runtime.wanted import CallOptions, LaterOptions
from fairlead.spec.mapping import Shape
from fairlead.sync.loop import BACKGROUND

T = TypeVar("T")


class HttpFacade:
    """Sends requests to one connection and returns good answers; others raise the error that fits."""

    def __init__(self, http: AsyncHttpFacade, owner: object) -> None:
        self._http = http
        self._owner = owner  # whose end closes the sockets

    def request(
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
        return BACKGROUND.run(
            lambda: self._http.request(
                method, path, json=json, body=body, query=query, headers=headers, effect=effect,
                idempotency_key=idempotency_key, **options,
            )
        )  # fmt: skip

    def send(self, request: Request, **options: Unpack[CallOptions]) -> Response:
        """Send a request that is already built; one that `is_streamed` goes by `stream`."""
        return BACKGROUND.run(lambda: self._http.send(msgspec.structs.replace(request, is_streamed=False), **options))

    @contextmanager
    def stream(
        self, method: str, path: str, *, content: Content | None = None, query: Query | None = None,
        headers: Mapping[str, str] | None = None, effect: Effect | None = None, idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Generator[Response, None, None]:  # fmt: skip
        """Send a request, and read its answer as it comes: `for piece in response.stream`."""
        manager = self._http.stream(
            method, path, content=content, query=query, headers=headers, effect=effect,
            idempotency_key=idempotency_key, **options,
        )  # fmt: skip
        response = BACKGROUND.run(manager.__aenter__)
        try:
            yield msgspec.structs.replace(response, stream=BACKGROUND.iterate(aiter(response.stream)))
        finally:
            BACKGROUND.run(lambda: _leave(manager))

    def download(
        self, path: str, to: str | Path, *, query: Query | None = None, headers: Mapping[str, str] | None = None,
        sha256: str | None = None, on_progress: OnTransfer | None = None, **options: Unpack[CallOptions],
    ) -> Transfer:  # fmt: skip
        """Read an answer into a file, which is there once it is whole; what breaks off is gone on with."""
        return BACKGROUND.run(
            lambda: self._http.download(
                path, to, query=query, headers=headers, sha256=sha256, on_progress=on_progress, **options
            )
        )

    def upload(
        self, path: str, source: str | Path | bytes | AsyncIterable[bytes], *, method: str = "PUT",
        headers: Mapping[str, str] | None = None, effect: Effect | None = None, idempotency_key: str | None = None,
        on_progress: OnTransfer | None = None, **options: Unpack[CallOptions],
    ) -> Transfer:  # fmt: skip
        """Send a file as the body of a request, with its digest."""
        return BACKGROUND.run(
            lambda: self._http.upload(
                path, source, method=method, headers=headers, effect=effect, idempotency_key=idempotency_key,
                on_progress=on_progress, **options,
            )
        )  # fmt: skip

    @overload
    def get(
        self, path: str, *, query: Query | None = None, headers: Mapping[str, str] | None = None,
        **options: Unpack[CallOptions],
    ) -> Response: ...  # fmt: skip

    @overload
    def get(
        self, path: str, *, model: Shape[T], query: Query | None = None, headers: Mapping[str, str] | None = None,
        **options: Unpack[CallOptions],
    ) -> T: ...  # fmt: skip

    @overload
    def get(
        self, path: str, *, model: str, query: Query | None = None, headers: Mapping[str, str] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any: ...  # fmt: skip

    def get(
        self, path: str, *, model: Any = None, query: Query | None = None, headers: Mapping[str, str] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:  # fmt: skip
        """Send GET; with a `model`, a mapping or the name of a configured one, return what it makes of the answer."""
        return BACKGROUND.run(lambda: self._http.get(path, model=model, query=query, headers=headers, **options))

    @overload
    def post(
        self, path: str, *, json: Any = None, body: bytes = b"", headers: Mapping[str, str] | None = None,
        effect: Effect | None = None, idempotency_key: str | None = None, **options: Unpack[CallOptions],
    ) -> Response: ...  # fmt: skip

    @overload
    def post(
        self, path: str, *, model: Shape[T], json: Any = None, body: bytes = b"",
        headers: Mapping[str, str] | None = None, effect: Effect | None = None, idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> T: ...  # fmt: skip

    @overload
    def post(
        self, path: str, *, model: str, json: Any = None, body: bytes = b"",
        headers: Mapping[str, str] | None = None, effect: Effect | None = None, idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Any: ...  # fmt: skip

    @overload
    def post(
        self, path: str, *, json: Any = None, body: bytes = b"", headers: Mapping[str, str] | None = None,
        effect: Effect | None = None, idempotency_key: str | None = None, **options: Unpack[LaterOptions],
    ) -> BackgroundCall[Response]: ...  # fmt: skip

    def post(
        self, path: str, *, model: Any = None, json: Any = None, body: bytes = b"",
        headers: Mapping[str, str] | None = None, effect: Effect | None = None, idempotency_key: str | None = None,
        **options: Any,
    ) -> Any:  # fmt: skip
        """Send POST; `once` unless `effect` or an idempotency key says otherwise."""
        return BACKGROUND.run(
            lambda: self._http.post(
                path, model=model, json=json, body=body, headers=headers, effect=effect,
                idempotency_key=idempotency_key, **options,
            )
        )  # fmt: skip

    def paginate(
        self, path: str, *, model: Any = Any, query: Query | None = None, headers: Mapping[str, str] | None = None,
        items_at: str | None = None, position: Mapping[str, Any] | None = None, **options: Unpack[CallOptions],
    ) -> Generator[ListPage[Any], None, None]:  # fmt: skip
        """Yield a list's pages, each asked for only when wanted, as the connection's `pagination` says."""
        return BACKGROUND.iterate(
            self._http.paginate(
                path, model=model, query=query, headers=headers, items_at=items_at, position=position, **options
            ),
            keep=self._owner,
        )

    def bulk(
        self,
        requests: Iterable[Request],
        *,
        at_once: int = 10,
        on_progress: OnProgress | None = None,
        **options: Unpack[CallOptions],
    ) -> Generator[BulkResult, None, None]:
        """Send many requests, `at_once` at a time, and yield each result as it comes; `index` is its place.

        `requests` is read, and `on_progress` called, in the caller's thread.
        """
        feed = Feed(requests)
        results = self._http.bulk(feed, at_once=at_once, **options)
        total = len(requests) if isinstance(requests, Sized) else None
        return _counted(BACKGROUND.iterate(results, wait=feed.wait, keep=self._owner), total, on_progress)


def _counted(
    results: Generator[BulkResult, None, None], total: int | None, on_progress: OnProgress | None
) -> Generator[BulkResult, None, None]:
    """Tell how far it has come, with each result."""
    with closing(results):
        failed = 0
        for done, result in enumerate(results, 1):
            failed += not result.is_good
            if on_progress is not None:
                on_progress(BulkProgress(done=done, failed=failed, total=total))
            yield result


async def _leave(manager: AbstractAsyncContextManager[Response]) -> None:
    await manager.__aexit__(None, None, None)
