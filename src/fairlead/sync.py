"""The synchronous face: the same names, for code without an event loop.

    from fairlead.sync import Fairlead

    with Fairlead.from_config() as fl:
        page = fl.recipes.search("pasta")

All clients of a process share one event loop in a background thread, started by the first call. A client may be made,
and used, before a fork: every worker has a loop and sockets of its own. Context variables of the caller are seen by the
call; Ctrl-C cancels it; what was not closed is closed at exit.
"""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import AsyncIterable, Generator, Iterable, Mapping, Sized
from contextlib import AbstractAsyncContextManager, AbstractContextManager, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

import msgspec

from fairlead.capabilities.recipes import Nutrition, Recipe
from fairlead.config.read import read_settings
from fairlead.config.settings import Settings
from fairlead.errors import FairleadError
from fairlead.model.call import Ref
from fairlead.model.deadline import Deadline
from fairlead.model.exchange import Content
from fairlead.model.message import Query, Request, Response
from fairlead.model.outcome import Effect
from fairlead.model.page import ListPage, Page
from fairlead.observe.events import ConfigReloaded
from fairlead.resilience.breaker import Hold, State
from fairlead.resilience.chaos import Chaos
from fairlead.runtime.background import Background, Feed
from fairlead.runtime.bulk import BulkProgress, BulkResult, OnProgress
from fairlead.runtime.calls import CallOptions
from fairlead.runtime.fairlead import Fairlead as AsyncFairlead
from fairlead.runtime.http import HttpFacade as AsyncHttpFacade
from fairlead.runtime.ports import Ports
from fairlead.runtime.recipes import RecipesFacade as AsyncRecipesFacade
from fairlead.runtime.transfer import OnTransfer, Transfer
from fairlead.spec.mapping import Shape

T = TypeVar("T")


async def _leave(manager: AbstractAsyncContextManager[Response]) -> None:
    await manager.__aexit__(None, None, None)


_background = Background()
atexit.register(_background.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_background.halt, after_in_parent=_background.resume, after_in_child=_background.disown)


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
        _background.look_after(self._fl)
        weakref.finalize(self, _background.let_go, self._fl).atexit = False

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
        """End what runs in the background, and close every socket."""
        _background.run(self._fl.close)

    def invalidate(self, *tags: Ref | str) -> int:
        """Forget the kept answers that have any of the tags; return how many were. See the asynchronous face."""
        return _background.run(lambda: self._fl.invalidate(*tags))

    def hold_circuit(self, connection: str, state: Hold | None) -> State:
        """Hold a circuit `open` or `closed` by hand, or with None let it decide. See the asynchronous face."""
        return _background.run(lambda: self._fl.hold_circuit(connection, state))

    def reload(self, settings: Settings, *, source: str = "configuration") -> ConfigReloaded:
        """Put new settings in force. Where they are wrong, raise `ConfigError` and change nothing."""
        return _background.run(lambda: self._fl.reload(settings, source=source))

    def reload_from(self, path: str | Path) -> ConfigReloaded:
        """Read a configuration file, with its references, and put it in force as `reload` does."""
        return _background.run(lambda: self._fl.reload_from(path))

    def deadline(self, seconds: float) -> AbstractContextManager[Deadline]:
        """Bound every call made inside: `with fl.deadline(2.0):`."""
        return self._fl.deadline(seconds)

    @property
    def chaos(self) -> Chaos | None:
        """Trouble made on purpose, where the settings have rules for it; its switch is `is_on`."""
        return self._fl.chaos

    @property
    def recipes(self) -> RecipesFacade:
        """Recipes: search them, fetch one, and know what is in it."""
        return RecipesFacade(self._fl.recipes, self)

    def http(self, connection: str) -> HttpFacade:
        """Return the way to send plain requests to a connection."""
        return HttpFacade(self._fl.http(connection), self)


class RecipesFacade:
    """Search recipes, fetch one, and know what is in it."""

    def __init__(self, recipes: AsyncRecipesFacade, owner: Fairlead) -> None:
        self._recipes = recipes
        self._owner = owner  # whose end closes the sockets

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
            self._recipes.iter_pages(text, diets=diets, max_total_time_s=max_total_time_s, **options),
            keep=self._owner,
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

    def __init__(self, http: AsyncHttpFacade, owner: Fairlead) -> None:
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
        return _counted(_background.iterate(results, wait=feed.wait, keep=self._owner), total, on_progress)


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
