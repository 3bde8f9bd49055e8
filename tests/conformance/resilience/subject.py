"""What the cases know of a library: how to build its strategies, and how to let its time pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias


class VendorFailedError(Exception):
    """The vendor failed."""


class VendorBusyError(Exception):
    """The vendor is busy, and says for how long."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("too many requests")
        self.retry_after_s = retry_after_s


class WrongRequestError(Exception):
    """The vendor says that the request is wrong: it is well itself."""


#: What is guarded: it returns, or raises one of the above.
Work: TypeAlias = Callable[[], Awaitable[str]]
#: Work under a strategy.
Guard: TypeAlias = Callable[[Work], Awaitable[str]]


class Subject(Protocol):
    """A library under test, fresh for each case."""

    @property
    def slept(self) -> list[float]:
        """How long each wait between tries was, in order."""
        ...

    def breaker(self, *, failures: int, open_s: float) -> Guard:
        """Open after so many failures in a row; half open, one probe at a time."""
        ...

    def bulkhead(self, *, limit: int, queue: int, queue_s: float = 60.0) -> Guard:
        """Bound what is under way, and what waits for it."""
        ...

    def retry(self, *, attempts: int, base_s: float = 0.1, cap_s: float = 5.0) -> Guard:
        """Try again after a failure, with jitter; waits take no real time."""
        ...

    def rate(self, *, requests: int, per_s: float) -> Guard:
        """Let so many begin in any such time; who comes too early waits for a turn."""
        ...

    def limited_retry(self, *, attempts: int, requests: int, per_s: float) -> Guard:
        """Try again after a failure, and let so many tries begin in any such time."""
        ...

    def keyed_rate(self, *, requests: int, per_s: float) -> Callable[[str], Guard]:
        """Give each key so many in any such time, with one object for all of them."""
        ...

    def share(self) -> Guard:
        """Answer all who ask at the same time by one request; the first one's work is done."""
        ...

    def is_refusal(self, error: BaseException) -> bool:
        """Whether the library raised this in place of a call."""
        ...

    def now(self) -> float:
        """Return the time that only goes forward, in seconds."""
        ...

    def advance(self, seconds: float) -> None:
        """Let time pass on every clock."""
        ...

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, as a time server does; no time passes."""
        ...
