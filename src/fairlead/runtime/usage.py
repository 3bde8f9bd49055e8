"""Who still uses a transport: the last one out closes it, once it has been replaced."""

from __future__ import annotations

from collections.abc import Callable


class Usage:
    """Counts what is under way at a transport: exchanges, and streams that are being read."""

    __slots__ = ("_on_idle", "count")

    def __init__(self) -> None:
        self.count = 0
        self._on_idle: Callable[[], None] | None = None

    def enter(self) -> None:
        """Begin."""
        self.count += 1

    def leave(self) -> None:
        """End. What the parent of a fork had begun is not counted here, and may end all the same."""
        if self.count:
            self.count -= 1
        if self._on_idle is not None:
            self._tell()

    def retire(self, on_idle: Callable[[], None]) -> None:
        """Call `on_idle` when nothing is under way any more, and again where a call comes late."""
        self._on_idle = on_idle
        self._tell()

    def disown(self) -> None:
        """Know of nothing that is under way: after a fork, it is the parent's."""
        self.count = 0

    def _tell(self) -> None:
        if self._on_idle is not None and not self.count:
            self._on_idle()
