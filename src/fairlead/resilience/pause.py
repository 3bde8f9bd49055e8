"""A pause that the vendor asked for: its quota is used up, or it throttles.

While it lasts nothing is sent. When it is over one attempt goes first; the others wait for what it finds, so that a
hundred callers do not all learn that the vendor is still closed. That probe has a number of its own: one that is still
out when another pause begins has lost its place, and cannot give away the place of the next.
"""

from __future__ import annotations

from typing import TypeAlias

#: What a pause says to an attempt: `FREE`, `REFUSED`, or the number of the probe that goes first. A probe is given
#: back by `begin`, `end` or `release`.
Leave: TypeAlias = int

FREE: Leave = 0
REFUSED: Leave = -1


class Pause:
    """The state machine. `cause` is the code of the error that brought the pause."""

    __slots__ = ("_probe", "_serial", "_until", "cause", "is_on")

    def __init__(self) -> None:
        self._until: float | None = None
        #: Whether there is one, over or not.
        self.is_on = False
        self._serial = 0
        #: The number of the probe that is out; `FREE` where none is.
        self._probe = FREE
        self.cause: str | None = None

    @property
    def is_probing(self) -> bool:
        """Whether the probe is out."""
        return self._probe != FREE

    def admit(self, now: float) -> Leave:
        """Say whether an attempt may go."""
        if self._until is None:
            return FREE
        if now < self._until or self._probe:
            return REFUSED
        self._serial += 1
        self._probe = self._serial
        return self._probe

    def retry_after_s(self, now: float) -> float:
        """Return the seconds to the end of the pause; 0 while the probe is out, and where there is no pause."""
        return max(0.0, self._until - now) if self._until is not None else 0.0

    def begin(self, seconds: float, cause: str, now: float) -> None:
        """Pause for some seconds from now; a longer pause that lasts already stays."""
        until = now + seconds
        if self._until is None or until >= self._until:
            self._until, self.cause, self.is_on = until, cause, True
        self._probe = FREE

    def end(self, now: float) -> None:
        """Resume: an attempt was served. One that was sent before the pause, and served during it, proves nothing."""
        if self._until is not None and now >= self._until:
            self._until, self.is_on = None, False
            self._probe = FREE

    def release(self, leave: Leave) -> None:
        """Give back leave that came to nothing; the next attempt is the probe."""
        if leave == self._probe:
            self._probe = FREE

    def disown(self) -> None:
        """Wait for no probe that is out: after a fork, it is the parent's."""
        self._probe = FREE
