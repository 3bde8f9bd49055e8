"""The whole of Fairlead, as an application calls it: the work is what its vendor does."""

from __future__ import annotations

from collections.abc import Awaitable
from itertools import count

from conformance.resilience.subject import Guard, VendorBusyError, VendorFailedError, Work, WrongRequestError
from fairlead import errors
from fairlead.model.message import Request
from scripted import RESET, Answered, World, answer, build_world, plain

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

    def advance(self, seconds: float) -> None:
        for world in self._worlds:
            world.clock.advance(seconds)

    def step_wall(self, seconds: float) -> None:
        for world in self._worlds:
            world.clock._wall += seconds
