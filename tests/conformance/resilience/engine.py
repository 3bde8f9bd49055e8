"""The whole of Fairlead, as an application calls it: the work is what its vendor does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count

from conformance.resilience.subject import Guard, VendorBusyError, VendorFailedError, Work, WrongRequestError
from fairlead import errors
from fairlead.model.message import Request
from scripted import RESET, SOUP, Answered, World, answer, build_world, plain, recipes, route
from timers import HeldClock

# No call of these cases is to end for want of time, but where it could wait for a circuit.
_LONG_S, _SHORT_S = 1e7, 0.01
_WIDE_OPEN = "breaker = { window = 100000, min_attempts = 100000 }"


class Engine:
    """One world a strategy; what is not under test is wide open."""

    def __init__(self) -> None:
        self._worlds: list[World] = []

    @property
    def slept(self) -> list[float]:
        return [seconds for world in self._worlds for seconds in world.clock.slept]

    def breaker(self, *, failures: int, open_s: float) -> Guard:
        numbers = f"window = {failures}, min_attempts = {failures}, failure_share = 1.0, open_s = {open_s}"
        return self._guard(
            f"breaker = {{ {numbers}, max_open_s = {open_s * 8} }}\nretry = {{ max_attempts = 1 }}", _SHORT_S
        )

    def bulkhead(self, *, limit: int, queue: int, queue_s: float = 60.0) -> Guard:
        numbers = f"limit = {limit}, queue = {queue}"
        return self._guard(f"concurrency = {{ {numbers} }}\nretry = {{ max_attempts = 1 }}\n{_WIDE_OPEN}", queue_s)

    def retry(self, *, attempts: int, base_s: float = 0.1, cap_s: float = 5.0) -> Guard:
        numbers = f"max_attempts = {attempts}, base_s = {base_s}, cap_s = {cap_s}"
        return self._guard(f"retry = {{ {numbers} }}\n{_WIDE_OPEN}", _LONG_S)

    def rate(self, *, requests: int, per_s: float) -> Guard:
        return self._guard(f"rate = {{ requests = {requests}, per_s = {per_s} }}\n{_WIDE_OPEN}", _LONG_S)

    def limited_retry(self, *, attempts: int, requests: int, per_s: float) -> Guard:
        settings = f"retry = {{ max_attempts = {attempts}, base_s = 0.001, cap_s = 0.002 }}"
        return self._guard(f"rate = {{ requests = {requests}, per_s = {per_s} }}\n{settings}\n{_WIDE_OPEN}", _LONG_S)

    def keyed_rate(self, *, requests: int, per_s: float) -> Callable[[str], Guard]:
        limit = f'{{ requests = {requests}, per_s = {per_s}, burst = {requests}, per = "tenant" }}'
        works: dict[str, Work] = {}

        async def exchange(work: Work) -> Answered:
            return answer(200, {"said": await work()})

        def vendor(request: Request) -> Awaitable[Answered]:
            return exchange(works[request.path])

        # One place, so that who waits for a turn would be seen to hold it.
        settings = f"rates = [{limit}]\nconcurrency = {{ limit = 1 }}"
        world = build_world(plain(settings=settings), {"shop": vendor}, clock=HeldClock())
        self._worlds.append(world)
        http, numbers = world.fl.http("shop"), count()

        def of(key: str) -> Guard:
            async def guarded(work: Work) -> str:
                path = f"/{next(numbers)}"
                works[path] = work
                got = await http.get(path, deadline_s=_LONG_S, tenant=key)
                return str(got.json()["said"])

            return guarded

        return of

    def share(self) -> Guard:
        works: list[Work] = []

        async def vendor() -> Answered:
            try:
                await works[0]()
            except VendorFailedError:
                return RESET
            finally:
                works.clear()
            return SOUP

        settings = f"retry = {{ max_attempts = 1 }}\n{_WIDE_OPEN}"
        no_cache = route("shop", settings="cache = { ttl_s = 0, stale_if_error_s = 0 }")
        world = build_world(recipes("shop", settings) + no_cache, {"shop": lambda _request: vendor()})
        self._worlds.append(world)

        async def guarded(work: Work) -> str:
            works.append(work)
            page = await world.fl.recipes.search("soup")
            return "served" if page.items else ""

        return guarded

    def _guard(self, settings: str, deadline_s: float) -> Guard:
        works: dict[str, Work] = {}  # by path, for calls overtake each other

        async def exchange(work: Work) -> Answered:
            try:
                return answer(200, {"said": await work()})
            except WrongRequestError:
                return answer(400)
            except VendorBusyError as error:
                return answer(429, retry_after=f"{error.retry_after_s:.0f}")
            except VendorFailedError:
                return RESET

        def vendor(request: Request) -> Awaitable[Answered]:
            return exchange(works[request.path])

        world = build_world(plain(settings=settings), {"shop": vendor})
        self._worlds.append(world)
        http, numbers = world.fl.http("shop"), count()

        async def guarded(work: Work) -> str:
            path = f"/{next(numbers)}"
            works[path] = work
            got = await http.get(path, deadline_s=deadline_s)
            return str(got.json()["said"])

        return guarded

    def is_refusal(self, error: BaseException) -> bool:
        return isinstance(error, errors.RejectedError)

    def now(self) -> float:
        return self._worlds[-1].clock.monotonic()

    def advance(self, seconds: float) -> None:
        for world in self._worlds:
            world.clock.advance(seconds)

    def step_wall(self, seconds: float) -> None:
        for world in self._worlds:
            world.clock._wall += seconds
