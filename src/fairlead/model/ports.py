"""What the engine takes from the world: time, chance and names. Tests pass their own."""

from typing import Protocol


class Clock(Protocol):
    """Time. Durations come from `monotonic`; `wall` is only for dates that others gave us."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def wall(self) -> float:
        """Return seconds since 1970 in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Random(Protocol):
    """Chance."""

    def __call__(self) -> float:
        """Return a number from 0 up to, but not including, 1."""
        ...


class Ids(Protocol):
    """Names for calls."""

    def __call__(self) -> str:
        """Return a name that nothing else has."""
        ...
