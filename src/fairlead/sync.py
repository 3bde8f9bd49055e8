"""The synchronous face: the same names, for code without an event loop.

    from fairlead.sync import Fairlead

    with Fairlead.from_config() as fl:
        page = fl.recipes.search("pasta")

All clients of a process share one event loop in a background thread. It is started by the first call, so after a
fork every worker has its own. Context variables of the caller are seen by the call; Ctrl-C cancels it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Mapping,
)
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

import msgspec

from fairlead.capabilities.recipes import Nutrition, Recipe
from fairlead.config.read import read_settings
from fairlead.config.settings import Settings
from fairlead.errors import FairleadError, UsageError
from fairlead.model.call import Ref
from fairlead.model.exchange import Content
from fairlead.model.message import Query, Request, Response
from fairlead.model.outcome import Effect
from fairlead.model.page import ListPage, Page
from fairlead.runtime.bulk import BulkResult, OnProgress
from fairlead.runtime.calls import CallOptions
from fairlead.runtime.fairlead import Fairlead as AsyncFairlead
from fairlead.runtime.http import HttpFacade as AsyncHttpFacade
from fairlead.runtime.ports import Ports
from fairlead.runtime.recipes import RecipesFacade as AsyncRecipesFacade
from fairlead.runtime.transfer import OnTransfer, Transfer
from fairlead.spec.mapping import Shape

T = TypeVar("T")


class _Background:
    """The event loop of this process, in a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: set[asyncio.Future[None]] = set()

    def run(self, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine there and wait for it; an interrupt cancels it, whenever it comes."""
        if asyncio._get_running_loop() is not None:  # noqa: SLF001  # the public one raises where there is none
            raise UsageError(
                "The synchronous face would block the running event loop.", hint="Use fairlead.Fairlead with await."
            )
        loop = self._started()
        answer: Future[T] = Future()
        tasks: list[asyncio.Task[T]] = []

        def begin() -> None:
            if not answer.cancelled():
                tasks.append(loop.create_task(start()))
                tasks[0].add_done_callback(partial(_hand_over, answer))

        def stop() -> None:
            for task in tasks:
                task.cancel()

        try:
            loop.call_soon_threadsafe(begin)  # it carries the context of the caller
            return answer.result()
        except BaseException:
            answer.cancel()
            loop.call_soon_threadsafe(stop)
            raise

    def iterate(self, stream: AsyncIterator[T]) -> Generator[T, None, None]:
        """Yield what an asynchronous iterator yields, a step at a time; leaving early closes it."""

        async def step() -> T | None:
            return await anext(stream, None)

        try:
            while (item := self.run(step)) is not None:
                yield item
        except GeneratorExit:  # also when it is garbage, in whatever thread and place: nobody may wait here
            if self._loop is not None and isinstance(stream, AsyncGenerator):
                self._loop.call_soon_threadsafe(self._close, stream)
            raise

    def _close(self, stream: AsyncGenerator[Any, None]) -> None:
        task = asyncio.ensure_future(_aclose(stream))
        self._closing.add(task)  # the loop itself keeps no hold of it
        task.add_done_callback(self._closing.discard)

    def forget(self) -> None:
        """Start anew: in the child of a fork the thread is gone, and the lock may be held for ever."""
        self.__init__()  # type: ignore[misc]

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="fairlead", daemon=True).start()
            return self._loop


def _hand_over(answer: Future[T], task: asyncio.Task[T]) -> None:
    """Pass the end of a task on to whoever waits for it in another thread."""
    error = None if task.cancelled() else task.exception()
    if task.cancelled() or not answer.set_running_or_notify_cancel():
        answer.cancel()
    elif error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(task.result())


async def _aclose(stream: AsyncGenerator[Any, None]) -> None:
    await stream.aclose()


async def _leave(manager: AbstractAsyncContextManager[Response]) -> None:
    await manager.__aexit__(None, None, None)


_background = _Background()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_background.forget)


class Fairlead:
    """Connections, routes and the calls through them. Use it as `with`; it closes its sockets at the end."""

    def __init__(
        self,
        settings: Settings,
        *,
        source: str = "configuration",
        environment: Mapping[str, str] | None = None,
        ports: Ports | None = None,
    ) -> None:
        self._fl = AsyncFairlead(settings, source=source, environment=environment, ports=ports)

    @classmethod
    def from_config(
        cls,
        path: str | Path = "fairlead.toml",
        *,
        environment: Mapping[str, str] | None = None,
        ports: Ports | None = None,
    ) -> Self:
        """Read a configuration file; raise `ConfigError` naming the file and the key of what is wrong."""
        return cls(read_settings(path), source=str(path), environment=environment, ports=ports)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every socket."""
        _background.run(self._fl.close)

    @property
    def recipes(self) -> RecipesFacade:
        """Recipes: search them, fetch one, and know what is in it."""
        return RecipesFacade(self._fl.recipes)

    def http(self, connection: str) -> HttpFacade:
        """Return the way to send plain requests to a connection."""
        return HttpFacade(self._fl.http(connection))


class RecipesFacade:
    """Search recipes, fetch one, and know what is in it."""

    def __init__(self, recipes: AsyncRecipesFacade) -> None:
        self._recipes = recipes

    def search(
        self,
        text: str,
        *,
        diets: Iterable[str] = (),
        max_total_time_s: int | None = None,
        **options: Unpack[CallOptions],
    ) -> Page[Recipe]:
        """Return the first page of what matches `text` and every one of `diets`."""
        return _background.run(
            lambda: self._recipes.search(text, diets=diets, max_total_time_s=max_total_time_s, **options)
        )

    def next_page(self, ref: Ref, **options: Unpack[CallOptions]) -> Page[Recipe]:
        """Return the page that `page.next` points at, from the vendor that began the list."""
        return _background.run(lambda: self._recipes.next_page(ref, **options))

    def iter_pages(
        self,
        text: str,
        *,
        diets: Iterable[str] = (),
        max_total_time_s: int | None = None,
        **options: Unpack[CallOptions],
    ) -> Generator[Page[Recipe], None, None]:
        """Yield page after page, all from one vendor; each is asked for only when wanted."""
        return _background.iterate(
            self._recipes.iter_pages(text, diets=diets, max_total_time_s=max_total_time_s, **options)
        )

    def fetch(self, ref: Ref | str, **options: Unpack[CallOptions]) -> Recipe:
        """Return one recipe, from the vendor that named it. `ref` may be its text, `connection:id`."""
        return _background.run(lambda: self._recipes.fetch(ref, **options))

    def fetch_many(
        self, refs: Iterable[Ref | str], **options: Unpack[CallOptions]
    ) -> Mapping[Ref, Recipe | FairleadError]:
        """Return several recipes, each from the vendor that named it, or the error of one that could not be had."""
        return _background.run(lambda: self._recipes.fetch_many(refs, **options))

    def nutrition(self, ref: Ref | str, **options: Unpack[CallOptions]) -> Nutrition:
        """Return what is in one serving of a recipe."""
        return _background.run(lambda: self._recipes.nutrition(ref, **options))


class HttpFacade:
    """Sends requests to one connection and returns good answers; others raise the error that fits."""

    def __init__(self, http: AsyncHttpFacade) -> None:
        self._http = http

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
        return _background.run(
            lambda: self._http.request(
                method, path, json=json, body=body, query=query, headers=headers, effect=effect,
                idempotency_key=idempotency_key, **options,
            )
        )  # fmt: skip

    def send(self, request: Request, **options: Unpack[CallOptions]) -> Response:
        """Send a request that is already built; one that `is_streamed` goes by `stream`."""
        return _background.run(lambda: self._http.send(msgspec.structs.replace(request, is_streamed=False), **options))

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
        response = _background.run(manager.__aenter__)
        try:
            yield msgspec.structs.replace(response, stream=_background.iterate(aiter(response.stream)))
        finally:
            _background.run(lambda: _leave(manager))

    def download(
        self, path: str, to: str | Path, *, query: Query | None = None, headers: Mapping[str, str] | None = None,
        sha256: str | None = None, on_progress: OnTransfer | None = None, **options: Unpack[CallOptions],
    ) -> Transfer:  # fmt: skip
        """Read an answer into a file, which is there once it is whole; what breaks off is gone on with."""
        return _background.run(
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
        return _background.run(
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
        return _background.run(lambda: self._http.get(path, model=model, query=query, headers=headers, **options))

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

    def post(
        self, path: str, *, model: Any = None, json: Any = None, body: bytes = b"",
        headers: Mapping[str, str] | None = None, effect: Effect | None = None, idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:  # fmt: skip
        """Send POST; `once` unless `effect` or an idempotency key says otherwise."""
        return _background.run(
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
        return _background.iterate(
            self._http.paginate(
                path, model=model, query=query, headers=headers, items_at=items_at, position=position, **options
            )
        )

    def bulk(
        self,
        requests: Iterable[Request],
        *,
        at_once: int = 10,
        on_progress: OnProgress | None = None,
        **options: Unpack[CallOptions],
    ) -> Generator[BulkResult, None, None]:
        """Send many requests, `at_once` at a time, and yield each result as it comes; `index` is its place."""
        return _background.iterate(self._http.bulk(requests, at_once=at_once, on_progress=on_progress, **options))
