"""A pause that the vendor asked for: its quota is used up, or it throttles.

While it lasts nothing is sent. When it is over one attempt goes first; the others wait for what it finds, so that a
hundred callers do not all learn that the vendor is still closed.
"""

from __future__ import annotations

from enum import Enum, auto


class Leave(Enum):
    """What a pause says to an attempt."""

    FREE = auto()
    #: Go first, and give it back by `begin`, `end` or `release`.
    PROBE = auto()
    REFUSED = auto()


class Pause:
    """The state machine. `cause` is the code of the error that brought the pause."""

    __slots__ = ("_is_probing", "_until", "cause")

    def __init__(self) -> None:
        self._until: float | None = None
        self._is_probing = False
        self.cause: str | None = None

    def admit(self, now: float) -> Leave:
        """Say whether an attempt may go."""
        if self._until is None:
            return Leave.FREE
        if now < self._until or self._is_probing:
            return Leave.REFUSED
        self._is_probing = True
        return Leave.PROBE

    def retry_after_s(self, now: float) -> float:
        """Return the seconds to the end of the pause; 0 while the probe is out, and where there is no pause."""
        return max(0.0, self._until - now) if self._until is not None else 0.0

    def begin(self, seconds: float, cause: str, now: float) -> None:
        """Pause for some seconds from now; a longer pause that lasts already stays."""
        until = now + seconds
        if self._until is None or until >= self._until:
            self._until, self.cause = until, cause
        self._is_probing = False

    def end(self, now: float) -> None:
        """Resume: an attempt was served. One that was sent before the pause, and served during it, proves nothing."""
        if self._until is not None and now >= self._until:
            self._until = None
            self._is_probing = False

    def release(self, leave: Leave) -> None:
        """Give back leave that came to nothing; the next attempt is the probe."""
        if leave is Leave.PROBE:
            self._is_probing = False
