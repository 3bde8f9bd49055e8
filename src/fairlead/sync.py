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
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from fairlead.capabilities.recipes import Nutrition, Recipe
from fairlead.config.read import read_settings
from fairlead.config.settings import Settings
from fairlead.errors import UsageError
from fairlead.model.call import Ref
from fairlead.model.message import Query, Response
from fairlead.model.outcome import Effect
from fairlead.model.page import Page
from fairlead.runtime.calls import CallOptions
from fairlead.runtime.fairlead import Fairlead as AsyncFairlead
from fairlead.runtime.http import HttpFacade as AsyncHttpFacade
from fairlead.runtime.ports import Ports
from fairlead.runtime.recipes import RecipesFacade as AsyncRecipesFacade

T = TypeVar("T")


class _Background:
    """The event loop of this process, in a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine there and wait for it; an interrupt cancels it."""
        if asyncio._get_running_loop() is not None:  # noqa: SLF001  # the public one raises where there is none
            raise UsageError(
                "The synchronous face would block the running event loop.", hint="Use fairlead.Fairlead with await."
            )
        future = asyncio.run_coroutine_threadsafe(start(), self._started())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def forget(self) -> None:
        """Start anew: in the child of a fork the thread is gone, and the lock may be held for ever."""
        self.__init__()  # type: ignore[misc]

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="fairlead", daemon=True).start()
            return self._loop


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
        page = self.search(text, diets=diets, max_total_time_s=max_total_time_s, **options)
        yield page
        while page.next is not None:
            page = self.next_page(page.next, **options)
            yield page

    def fetch(self, ref: Ref | str, **options: Unpack[CallOptions]) -> Recipe:
        """Return one recipe, from the vendor that named it. `ref` may be its text, `connection:id`."""
        return _background.run(lambda: self._recipes.fetch(ref, **options))

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

    def get(
        self, path: str, *, query: Query | None = None, headers: Mapping[str, str] | None = None,
        **options: Unpack[CallOptions],
    ) -> Response:  # fmt: skip
        """Send GET."""
        return self.request("GET", path, query=query, headers=headers, **options)

    def post(
        self, path: str, *, json: Any = None, body: bytes = b"", headers: Mapping[str, str] | None = None,
        effect: Effect | None = None, idempotency_key: str | None = None, **options: Unpack[CallOptions],
    ) -> Response:  # fmt: skip
        """Send POST; `once` unless `effect` or an idempotency key says otherwise."""
        return self.request(
            "POST", path, json=json, body=body, headers=headers, effect=effect, idempotency_key=idempotency_key,
            **options,
        )  # fmt: skip
