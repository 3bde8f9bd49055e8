"""A scripted vendor behind the transport's seam, and a Fairlead on a fake clock to talk to it."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cache
from inspect import isawaitable
from itertools import count
from pathlib import Path
from random import Random
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, NamedTuple, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec

from fairlead.config.read import parse_settings
from fairlead.model.answer import Answer
from fairlead.model.call import CallReport
from fairlead.model.exchange import Broken
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response
from fairlead.model.operation import Operation
from fairlead.model.outcome import Failure, Phase
from fairlead.model.ports import Ids
from fairlead.observe.events import Event, EventStream
from fairlead.runtime.connection import Connection
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.ports import Ports
from fairlead.runtime.wanted import CallOptions, Wanted
from fairlead.storage.jobs import JobStore
from fairlead.storage.sqlite import SqliteJobs
from fairlead.testing.clock import FakeClock
from fairlead.transport.http import HttpOptions

E = TypeVar("E")
_numbers = count(1)

Answered: TypeAlias = Response | Broken
#: What comes of one exchange: an answer, something that becomes one, or a function of the request.
Line: TypeAlias = "Answered | Slow | Awaitable[Answered] | Callable[[Request], Line]"

REFUSED = Broken(Failure.REFUSED, Phase.CONNECTING, "https://shop.test")
RESET = Broken(Failure.RESET, Phase.WAITING, "https://shop.test")
TIMEOUT = Broken(Failure.TIMEOUT, Phase.WAITING, "https://shop.test")

#: Stands wherever a credential may, and must not be seen.
CANARY = "canary+8731/x="
ENVIRONMENT = {"KEY": CANARY, "ID": "an-id"}


class Slow(NamedTuple):
    """An answer that takes so many seconds of the fake clock; it is cut off at the attempt's timeout."""

    seconds: float
    answer: Answered


class Sent(NamedTuple):
    """One signed request as it reached the transport, and when."""

    request: Request
    timeout_s: float
    at_s: float


class ScriptedTransport:
    """Answers by a script, line after line; then by `otherwise`, or else it fails the test. It is a `Transport`."""

    def __init__(self, clock: FakeClock, lines: Iterable[Line] = (), *, otherwise: Line | None = None) -> None:
        self._clock = clock
        self.lines: list[Line] = list(lines)
        self.otherwise = otherwise
        self.sent: list[Sent] = []
        self.under_way = 0
        self.most_under_way = 0
        self.is_closed = False
        self.is_disowned = False

    async def exchange(self, request: Request, *, timeout_s: float) -> Answered:
        """Note the request, and answer with the next line."""
        self.sent.append(Sent(request, timeout_s, self._clock.monotonic()))
        line = self.lines.pop(0) if self.lines else self.otherwise
        assert line is not None, f"nobody expected {request.method} {request.path}"
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await self._follow(line, request, timeout_s)
        finally:
            self.under_way -= 1

    async def _follow(self, line: Line, request: Request, timeout_s: float) -> Answered:
        while callable(line):
            line = line(request)
        if isinstance(line, Slow):
            self._clock.advance(min(line.seconds, timeout_s))
            await asyncio.sleep(0)
            return line.answer if line.seconds <= timeout_s else TIMEOUT
        if isawaitable(line):
            return await line
        assert isinstance(line, Response | Broken)
        return line

    async def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True

    def disown(self) -> None:
        """Note that its sockets are another process's."""
        self.is_disowned = True

    @property
    def times_s(self) -> list[float]:
        """When each request was sent."""
        return [each.at_s for each in self.sent]


Script: TypeAlias = list[Line]


class World(NamedTuple):
    """A Fairlead, and everything it knows of the world."""

    fl: Fairlead
    clock: FakeClock
    events: list[Event]
    transports: Mapping[str, ScriptedTransport]

    def told(self, kind: type[E]) -> list[E]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def sent(self, name: str) -> list[Request]:
        """Return the requests that one connection sent."""
        return [each.request for each in self.transports[name].sent]

    def connection(self, name: str) -> Connection:
        """Return one connection."""
        return self.fl.connection(name)

    async def drive(
        self,
        begin: Callable[[Connection], Operation[Any]],
        *names: str,
        deadline_s: float = 30.0,
    ) -> Any:
        """Call an operation made for a test, at these connections, or else at all of them."""
        candidates = [self.fl.connection(name) for name in names or self.fl.connections]
        wanted = Wanted(operation="test.drive", candidates=candidates, begin=begin, deadline_s=deadline_s)
        return await self.fl._calls.make(wanted, CallOptions())

    def assert_at_rest(self) -> None:
        """Check that every place and every lease has been given back."""
        for name, connection in self.fl.connections.items():
            assert connection.concurrency.free == connection.concurrency.limit, name
            assert not connection.concurrency.waiting, name
            assert connection.breaker.probing == 0, name
            assert not connection.pause.is_probing, name


@cache
def _folder() -> Path:
    folder = Path(mkdtemp(prefix="fairlead-"))
    atexit.register(rmtree, folder, ignore_errors=True)
    return folder


def new_file() -> Path:
    """Return the path of a store that nobody has used."""
    return _folder() / f"{next(_numbers)}.db"


def build_world(
    text: str,
    scripts: Mapping[str, Script | Line],
    *,
    environment: Mapping[str, str] | None = None,
    seed: int = 1,
    clock: FakeClock | None = None,
    store: JobStore | None = None,
    ids: Ids | None = None,
) -> World:
    """Build a Fairlead from a configuration's text. A script that is one line is its line for ever.

    The connection `shop` is known by its base URL: https://shop.test, with any path.
    """
    clock = clock or FakeClock()
    transports = {
        name: ScriptedTransport(clock, script)
        if isinstance(script, list)
        else ScriptedTransport(clock, otherwise=script)
        for name, script in scripts.items()
    }

    def connect(options: HttpOptions) -> ScriptedTransport:
        return transports[(urlsplit(options.base_url).hostname or "").removesuffix(".test")]

    events: list[Event] = []
    numbers = count(1)
    ports = Ports(
        clock=clock,
        random=Random(seed).random,  # noqa: S311  # jitter
        ids=ids or (lambda: f"call-{next(numbers)}"),
        events=EventStream((events.append,)),
    )
    fl = Fairlead(
        parse_settings(text, source="test.toml"),
        source="test.toml",
        environment=ENVIRONMENT if environment is None else environment,
        ports=ports,
        connect=connect,
        open_store=lambda *_, **__: store or SqliteJobs(new_file(), clock=clock),
    )
    return World(fl, clock, events, transports)


# --- Configurations ------------------------------------------------------------------------------------------------


def plain(name: str = "shop", settings: str = "") -> str:
    """Write a connection without a provider, that signs with a key in the header `x-key`."""
    return f"""
[connections.{name}]
base_url = "https://{name}.test"
auth = {{ scheme = "key", header = "x-key" }}
credentials = {{ key = "env:KEY" }}
{settings}
"""


def recipes(name: str, settings: str = "", *, is_limited: bool = False, may_keep: bool = True) -> str:
    """Write a connection that serves recipes, without the limits of the vendor's plans unless they are wanted."""
    return f"""
[connections.{name}]
provider = "spoonacular"
base_url = "https://{name}.test"
credentials = {{ api_key = "env:KEY" }}
cache_permitted = {str(may_keep).lower()}
{"" if is_limited else "rate = { requests = 100000 }"}
{"" if is_limited else "concurrency = { limit = 50 }"}
{settings}
"""


def route(*names: str, settings: str = "") -> str:
    """Write the route of recipes."""
    return f"[routes.recipes]\nconnections = [{', '.join(map(repr, names))}]\n{settings}\n"


# --- Answers -------------------------------------------------------------------------------------------------------


def answer(status: int = 200, content: Any = None, **headers: str) -> Response:
    """Make an answer. Underscores in a header's name stand for hyphens."""
    body = content if isinstance(content, bytes) else msgspec.json.encode({} if content is None else content)
    fields = [("content-type", "application/json")]
    fields += [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Response(status=status, headers=Headers(fields), body=body)


def found(*titles: str, offset: int = 0, total: int | None = None) -> Response:
    """Make the vendor's page of recipes, whose ids count on from the offset."""
    results = [{"id": offset + at, "title": title} for at, title in enumerate(titles)]
    total = len(titles) if total is None else total
    return answer(content={"results": results, "offset": offset, "totalResults": total})


#: Where the vendor of recipes is asked for several.
BULK = "/recipes/informationBulk"


def kitchen(*unknown: str) -> Callable[[Request], Response]:
    """Answer for one recipe and for several; those that are unknown do not exist."""

    def line(request: Request) -> Response:
        if request.path == BULK:
            ids = dict(request.query)["ids"].split(",")
            return answer(content=[{"id": int(each), "title": f"Soup {each}"} for each in ids if each not in unknown])
        identifier = request.path.split("/")[2]
        if identifier in unknown:
            return answer(404, {"message": f"A recipe with the id {identifier} does not exist."})
        return answer(content={"id": int(identifier), "title": f"Soup {identifier}"})

    return line


def bulk_ids(world: World, name: str = "one") -> list[str]:
    """Return the ids of each request for several."""
    return [dict(each.query)["ids"] for each in world.sent(name) if dict(each.query).get("ids")]


HTML = Response(status=200, headers=Headers([("content-type", "text/html")]), body=b"<h1>Please stand by</h1>")
SOUP = found("Soup")


def report(answered: Answer) -> CallReport:
    """Return how an answer came about."""
    assert answered.call is not None
    return answered.call


class Gate:
    """A line that answers when it is told to; every request that came this far waits at it."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._reached = asyncio.Event()
        self._answer: Answered = SOUP

    def __call__(self, _request: Request) -> Awaitable[Answered]:
        return self._wait()

    async def _wait(self) -> Answered:
        self._reached.set()
        await self._opened.wait()
        return self._answer

    async def reached(self) -> None:
        """Wait until somebody stands at the gate."""
        await self._reached.wait()

    def open(self, answer: Answered = SOUP) -> None:
        """Let everybody through, with this answer."""
        self._answer = answer
        self._opened.set()


async def turns(number: int = 20) -> None:
    """Let the other tasks run until they wait for something."""
    for _ in range(number):
        await asyncio.sleep(0)


async def gather_errors(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    """Wait for all, and return what each returned or raised."""
    return list(await asyncio.gather(*calls, return_exceptions=True))
