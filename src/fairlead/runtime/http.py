"""`fl.http(name)`: plain calls to one connection, through the same pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, Unpack, cast, overload

import msgspec

from fairlead.errors import InvalidArgumentError, UnsupportedFeatureError, UsageError
from fairlead.model.answer import Answer
from fairlead.model.exchange import Content
from fairlead.model.message import Query, Request, Response, build_request
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect
from fairlead.model.page import ListPage
from fairlead.runtime.bulk import BulkResult, OnProgress, Requests, run_bulk
from fairlead.runtime.calls import Calls
from fairlead.runtime.connection import Connection
from fairlead.runtime.download import download
from fairlead.runtime.http_caching import HttpCache
from fairlead.runtime.join import join_plain
from fairlead.runtime.later import BackgroundCall
from fairlead.runtime.mappings import shape_named
from fairlead.runtime.packing import unpack_arguments
from fairlead.runtime.pages import iter_pages, open_pager
from fairlead.runtime.plain_record import Decoded, record_plain
from fairlead.runtime.rows import Asked
from fairlead.runtime.screen import screened
from fairlead.runtime.transfer import OnTransfer, Transfer
from fairlead.runtime.upload import upload
from fairlead.runtime.wanted import BackgroundOptions, CallOptions, LaterOptions, LedgerOptions, Wanted
from fairlead.spec.answer import decode
from fairlead.spec.mapping import Shape

T = TypeVar("T")


class HttpFacade:
    """Sends requests to one connection and returns good answers; others raise the error that fits.

    Unless `effect` says otherwise, GET, HEAD and OPTIONS are reads and everything else is `once`: it is never
    repeated while its outcome is unknown. With an `idempotency_key` a request is `idempotent`; the vendor must
    honour the header that its provider names (`idempotency-key` where there is no provider).

    With a `model` the answer is read as that type, and `UnexpectedAnswerError` names the path of what does not fit. It
    may also be a `ResponseMapping`, or the name of one of the connection's `mappings`.
    """

    def __init__(
        self,
        find_connection: Callable[[], Connection],
        calls: Calls,
        *,
        find_deadline_s: Callable[[], float],
        find_cache: Callable[[], HttpCache | None],
    ) -> None:
        self._find_connection = find_connection  # for each call, so that whoever holds on to this sees new settings
        self._find_cache = find_cache
        self._calls = calls
        self._find_deadline_s = find_deadline_s

    @property
    def connection(self) -> Connection:
        """The connection as it is now; raises `UnknownConnectionError` where it has been removed."""
        return self._find_connection()

    @overload
    async def request(
        self, method: str, path: str, *, json: Any = None, body: bytes = b"", query: Query | None = None,
        headers: Mapping[str, str] | None = None, effect: Effect | None = None, idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Response: ...  # fmt: skip

    @overload
    async def request(
        self, method: str, path: str, *, json: Any = None, body: bytes = b"",
        query: Query | None = None, headers: Mapping[str, str] | None = None, effect: Effect | None = None,
        idempotency_key: str | None = None, **options: Unpack[LaterOptions],
    ) -> BackgroundCall[Response]: ...  # fmt: skip

    async def request(
        self, method: str, path: str, *, json: Any = None, body: bytes = b"", query: Query | None = None,
        headers: Mapping[str, str] | None = None, effect: Effect | None = None, idempotency_key: str | None = None,
        **options: Unpack[BackgroundOptions],
    ) -> Any:  # fmt: skip
        """Send a request. `path` starts with `/` and is relative to the connection's base URL."""
        if idempotency_key:
            effect = effect or Effect.IDEMPOTENT
        request = build_request(method, path, json=json, body=body, query=query, headers=headers, effect=effect)
        request = msgspec.structs.replace(request, idempotency_key=idempotency_key)
        return await self._send(request, None, options)

    @overload
    async def send(self, request: Request, **options: Unpack[CallOptions]) -> Response: ...

    @overload
    async def send(self, request: Request, **options: Unpack[LaterOptions]) -> BackgroundCall[Response]: ...

    async def send(self, request: Request, **options: Unpack[BackgroundOptions]) -> Any:
        """Send a request that is already built. Of one that `is_streamed` the answer's stream must be closed."""
        if request.idempotency_key and request.effect is Effect.ONCE:
            request = msgspec.structs.replace(request, effect=Effect.IDEMPOTENT)
        if request.is_streamed and not request.idempotency_key:  # it is neither kept nor joined with others
            return await self._calls.make(self._wanted(request, None, None), options)
        return await self._send(request, None, options)

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, content: Content | None = None, query: Query | None = None,
        headers: Mapping[str, str] | None = None, effect: Effect | None = None, idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncIterator[Response]:  # fmt: skip
        """Send a request, and read its answer as it comes: `async for piece in response.stream`.

        `content` is a body that is sent as it comes. The deadline bounds the call until its answer begins; then each
        piece has `timeouts.read_s` to come, and server-sent events as long as it takes.
        """
        request = build_request(method, path, query=query, headers=headers, effect=effect)
        request = msgspec.structs.replace(request, content=content, is_streamed=True, idempotency_key=idempotency_key)
        response = await self.send(request, **options)
        try:
            yield response
        finally:
            if response.stream is not None:
                await response.stream.aclose()

    async def download(
        self,
        path: str,
        to: str | Path,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        sha256: str | None = None,
        on_progress: OnTransfer | None = None,
        **options: Unpack[CallOptions],
    ) -> Transfer:
        """Read an answer into a file, which is there once it is whole.

        What breaks off is gone on with, in this call or in a later one, where the vendor knows ranges and tells by a
        validator that it is still the same. `sha256` (hexadecimal), and a digest that the vendor sends, are checked:
        `ChecksumError`.
        """
        request = build_request("GET", path, query=query, headers={"accept-encoding": "identity", **(headers or {})})
        return await download(self, request, Path(to), sha256=sha256, on_progress=on_progress, options=options)

    async def upload(
        self,
        path: str,
        source: str | Path | bytes | AsyncIterable[bytes],
        *,
        method: str = "PUT",
        headers: Mapping[str, str] | None = None,
        effect: Effect | None = None,
        idempotency_key: str | None = None,
        on_progress: OnTransfer | None = None,
        **options: Unpack[CallOptions],
    ) -> Transfer:
        """Send a file, or what comes, as the body of a request, with its digest where that is known beforehand.

        It may take an hour unless `deadline_s` says otherwise. A file can be sent again where nothing of it was done.
        """
        request = build_request(method, path, headers=headers, effect=effect)
        request = msgspec.structs.replace(request, idempotency_key=idempotency_key)
        return await upload(self, request, source, on_progress=on_progress, options=options)

    @overload
    async def get(
        self, path: str, *, query: Query | None = None, headers: Mapping[str, str] | None = None,
        **options: Unpack[CallOptions],
    ) -> Response: ...  # fmt: skip

    @overload
    async def get(
        self, path: str, *, model: Shape[T], query: Query | None = None, headers: Mapping[str, str] | None = None,
        **options: Unpack[CallOptions],
    ) -> T: ...  # fmt: skip

    @overload
    async def get(
        self, path: str, *, model: str, query: Query | None = None, headers: Mapping[str, str] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any: ...  # fmt: skip

    @overload
    async def get(
        self, path: str, *, query: Query | None = None,
        headers: Mapping[str, str] | None = None, **options: Unpack[LaterOptions],
    ) -> BackgroundCall[Response]: ...  # fmt: skip

    async def get(
        self, path: str, *, model: Any = None, query: Query | None = None, headers: Mapping[str, str] | None = None,
        **options: Unpack[BackgroundOptions],
    ) -> Any:  # fmt: skip
        """Send GET; with a `model`, a mapping or the name of a configured one, return what it makes of the answer."""
        return await self._send(build_request("GET", path, query=query, headers=headers), model, options)

    @overload
    async def post(
        self, path: str, *, json: Any = None, body: bytes = b"", headers: Mapping[str, str] | None = None,
        effect: Effect | None = None, idempotency_key: str | None = None, **options: Unpack[CallOptions],
    ) -> Response: ...  # fmt: skip

    @overload
    async def post(
        self, path: str, *, model: Shape[T], json: Any = None, body: bytes = b"",
        headers: Mapping[str, str] | None = None, effect: Effect | None = None, idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> T: ...  # fmt: skip

    @overload
    async def post(
        self, path: str, *, model: str, json: Any = None, body: bytes = b"",
        headers: Mapping[str, str] | None = None, effect: Effect | None = None, idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Any: ...  # fmt: skip

    @overload
    async def post(
        self, path: str, *, json: Any = None, body: bytes = b"",
        headers: Mapping[str, str] | None = None, effect: Effect | None = None, idempotency_key: str | None = None,
        **options: Unpack[LaterOptions],
    ) -> BackgroundCall[Response]: ...  # fmt: skip

    async def post(
        self, path: str, *, model: Any = None, json: Any = None, body: bytes = b"",
        headers: Mapping[str, str] | None = None, effect: Effect | None = None, idempotency_key: str | None = None,
        **options: Unpack[BackgroundOptions],
    ) -> Any:  # fmt: skip
        """Send POST; `once` unless `effect` or an idempotency key says otherwise."""
        if idempotency_key:
            effect = effect or Effect.IDEMPOTENT
        request = build_request("POST", path, json=json, body=body, headers=headers, effect=effect)
        return await self._send(msgspec.structs.replace(request, idempotency_key=idempotency_key), model, options)

    @overload
    def paginate(
        self, path: str, *, query: Query | None = None, headers: Mapping[str, str] | None = None,
        items_at: str | None = None, position: Mapping[str, Any] | None = None, **options: Unpack[CallOptions],
    ) -> AsyncIterator[ListPage[Any]]: ...  # fmt: skip

    @overload
    def paginate(
        self, path: str, *, model: str, query: Query | None = None, headers: Mapping[str, str] | None = None,
        items_at: str | None = None, position: Mapping[str, Any] | None = None, **options: Unpack[CallOptions],
    ) -> AsyncIterator[ListPage[Any]]: ...  # fmt: skip

    @overload
    def paginate(
        self, path: str, *, model: Shape[T], query: Query | None = None, headers: Mapping[str, str] | None = None,
        items_at: str | None = None, position: Mapping[str, Any] | None = None, **options: Unpack[CallOptions],
    ) -> AsyncIterator[ListPage[T]]: ...  # fmt: skip

    def paginate(
        self, path: str, *, model: Any = Any, query: Query | None = None, headers: Mapping[str, str] | None = None,
        items_at: str | None = None, position: Mapping[str, Any] | None = None, **options: Unpack[CallOptions],
    ) -> AsyncIterator[ListPage[Any]]:  # fmt: skip
        """Yield a list's pages, each asked for only when wanted, as the connection's `pagination` says.

        `items_at` (`data.items`) is in place of the configuration's, `model` the type of an item. Each page is a call
        with its own deadline; all share a correlation id. To go on later, pass a page's `position` with the same path
        and query. Raises `UnexpectedAnswerError` for a list that goes in circles or does not end, and
        `HostBlockedError` for one that leads to another server.
        """
        shape = shape_named(model, self.connection)
        first = build_request("GET", path, query=query, headers=headers)
        pager = open_pager(self.connection, first, items_at=items_at, position=position)

        async def ask(begin: Callable[[], Operation[ListPage[Any]]], before: ListPage[Any] | None) -> ListPage[Any]:
            if before is not None and before.call is not None and not options.get("correlation_id"):
                options["correlation_id"] = before.call.call_id
            wanted = Wanted(
                operation="http.paginate",
                candidates=(self.connection,),
                begin=lambda _: begin(),
                deadline_s=self._find_deadline_s(),
            )
            page: ListPage[Any] = await self._calls.make(wanted, options)
            return page

        return iter_pages(pager, self.connection, shape, ask)

    def bulk(
        self,
        requests: Requests,
        *,
        at_once: int = 10,
        on_progress: OnProgress | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncIterator[BulkResult]:
        """Send many requests, `at_once` at a time, and yield each result as it comes; `index` is its place.

        `requests` may be an (async) iterator: it is read as places become free. A failure is a result with an `error`.
        No more than the connection's `concurrency.limit` are sent at once. Each request has a deadline of its own.
        Leave it early with `contextlib.aclosing`, or by cancelling: what is under way is cancelled.
        """
        if at_once < 1:
            raise InvalidArgumentError(f"at_once is {at_once}.", hint="Send at least one at a time.")

        async def send(request: Request) -> Response:
            return await self.send(request, **options)

        at_once = min(at_once, self.connection.concurrency.limit)
        return run_bulk(requests, send, at_once=at_once, on_progress=on_progress)

    def again(self, asked: Asked) -> Wanted:
        """Describe a call that was kept."""
        request: Request = unpack_arguments(asked.arguments, (Request,))[0]
        return self._wanted(request, None, None)

    async def _send(self, request: Request, model: Any, given: CallOptions) -> Any:
        """Send one request; return its answer, or what `model` makes of it."""
        options = cast("LedgerOptions", given)
        if request.idempotency_key:
            if not self.connection.provider.idempotency_header:
                raise UnsupportedFeatureError(f"{self.connection.provider.title} honours no idempotency key.")
            options = {**options, "idempotency_key": request.idempotency_key}
        if options.get("background"):
            if model is not None:
                raise UsageError("A call in the background has no model.", hint="Read its answer with one later.")
            return await self._calls.make(self._wanted(request, None, None), options)
        cache = None if request.is_streamed else self._find_cache()
        if cache is None:
            return await self._dispatch(request, model, options, None)
        return await cache.attend(request, self._dispatch(request, model, options, cache))

    async def _dispatch(self, request: Request, model: Any, options: LedgerOptions, cache: HttpCache | None) -> Any:
        """Send one request; joined with others or by way of the cache, where the connection says so."""
        answer = await self._calls.make(self._wanted(request, model, cache), options)
        return answer if model is None else answer.value

    def _wanted(self, request: Request, model: Any, cache: HttpCache | None) -> Wanted:
        """Describe the call that sends one request, once it is seen to hold no card number."""
        request = screened(request, self.connection)
        shape = None if model is None else shape_named(model, self.connection)
        read = _as_it_is if shape is None else partial(_read, shape=shape)
        join = None if request.is_streamed else join_plain(self.connection, request, None if shape is None else read)
        is_stream = request.is_streamed or request.content is not None
        return Wanted(
            operation=_name(request),
            candidates=(self.connection,),
            begin=lambda _: _single(request, read),
            deadline_s=self._find_deadline_s(),
            join=join,
            keeping=cache.keeping(request, read) if cache and join is None else None,
            record=None if is_stream else partial(record_plain, self.connection.name, request, read),
        )


def _name(request: Request) -> str:
    """Return what a plain request is called in events and metrics."""
    return f"http.{request.method.lower()}"


def _as_it_is(response: Response) -> Response:
    return response


def _single(request: Request, read: Callable[[Response], Answer]) -> Operation[Answer]:
    return read((yield request))


def _read(response: Response, shape: Shape[Any]) -> Decoded[Any]:
    return Decoded(value=decode(response, shape), response=response)
