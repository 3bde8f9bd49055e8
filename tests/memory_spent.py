"""What is used up, in this process's memory (see `fairlead.storage.spent`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from fairlead.storage.spent import OnSpent, Spent


class MemorySpent:
    """The store of one process; `clock` gives its time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, Spent]] = {}
        self._handlers: list[OnSpent] = []

    async def tell(self, spent: Spent) -> None:
        """Remember and publish."""
        self._known[spent.key, spent.name] = self._clock() + spent.left_s, spent
        for handler in self._handlers:
            handler(spent)

    async def learn(self, key: str) -> Sequence[Spent]:
        """Look it up."""
        now = self._clock()
        return [
            replace(each, left_s=until - now) for until, each in self._known.values() if each.key == key and until > now
        ]

    def listen(self, handler: OnSpent) -> None:
        """Add a handler."""
        self._handlers.append(handler)
