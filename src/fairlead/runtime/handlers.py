"""What the application does about events: ordinary functions, found by the pattern they were registered for."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, TypeAlias, TypeVar

import msgspec

from fairlead.errors import InvalidArgumentError
from fairlead.model.event import Event
from fairlead.storage.jobs import Statement

#: What a handler may return: nothing, or statements that are committed together with the end of the event.
Effects: TypeAlias = Statement | list[Statement] | tuple[Statement, ...] | None
Act: TypeAlias = Callable[..., Any]
F = TypeVar("F", bound=Act)
#: How events are named.
PATTERNS = (
    "Write `payment.succeeded` for whoever sends it, or `acme:invoice.paid` for a vendor's own; "
    "`*` stands for anything."
)


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """An event as a handler gets it. What the vendor sent is in `body`, to the byte."""

    id: int
    connection: str
    provider: str
    #: The vendor's name for it, as `invoice.paid`.
    type: str
    #: The vendor's own name for this very event. Two deliveries of it are one event.
    key: str
    #: What it means whoever sent it; None where there is no neutral meaning.
    neutral: Event | None
    body: bytes
    received_at: float
    #: How often it was tried before and failed.
    failures: int
    #: Something newer of the same subject was handled before: do not overwrite newer state with it.
    is_late: bool

    @property
    def idempotency_key(self) -> str:
        """The same for every try of this event, and no other event's: for calls that its handler makes."""
        return f"{self.connection}:{self.key}"

    def json(self) -> Any:
        """Return what the vendor sent, decoded; raise `msgspec.DecodeError` where it is not JSON."""
        return msgspec.json.decode(self.body)


class Handler(msgspec.Struct, frozen=True, kw_only=True):
    """A function and what it wants. `name` is remembered with an event, so that what it has done is not done again."""

    name: str
    pattern: str
    act: Act
    skips_late: bool
    wants_transaction: bool

    def wants(self, event: Received) -> bool:
        """Whether it is to be called for an event."""
        source, colon, kind = self.pattern.rpartition(":")
        if colon:
            return source in {event.connection, event.provider} and fnmatchcase(event.type, kind)
        return event.neutral is not None and fnmatchcase(event.neutral.type, kind)

    async def __call__(self, *arguments: Any) -> tuple[Statement, ...]:
        """Call it, in a thread where it is an ordinary function; return its effects."""
        if inspect.iscoroutinefunction(self.act):
            effects = await self.act(*arguments)
        else:
            effects = await asyncio.to_thread(self.act, *arguments)
            if inspect.isawaitable(effects):  # an object with an async __call__, or a partial of one
                effects = await effects
        return _checked(effects, self.name)


class Handlers:
    """The handlers of an application, and those that the settings ask for."""

    def __init__(self) -> None:
        self._known: dict[str, Handler] = {}
        #: What the settings ask for; a reload puts others in their place.
        self.forwards: tuple[Handler, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._known or self.forwards)

    def on(
        self, pattern: str, *, name: str | None = None, skip_late: bool = False, transaction: bool = False
    ) -> Callable[[F], F]:
        """Register a function for events; see `Fairlead.on`."""
        if not is_pattern(pattern):
            raise InvalidArgumentError(f"{pattern!r} is no pattern of events.", hint=PATTERNS)

        def register(act: F) -> F:
            called = name or f"{act.__module__}.{getattr(act, '__qualname__', type(act).__qualname__)}"
            if called in self._known:
                raise InvalidArgumentError(
                    f"There is a handler named {called!r} already.",
                    hint="Give one of them another `name=`: what it has done is remembered by it.",
                )
            self._known[called] = Handler(
                name=called, pattern=pattern, act=act, skips_late=skip_late, wants_transaction=transaction
            )
            return act

        return register

    def wanting(self, event: Received) -> list[Handler]:
        """Return who is to be called for an event: in the order in which they were registered, then the forwards."""
        return [each for each in (*self._known.values(), *self.forwards) if each.wants(event)]


def is_pattern(text: str) -> bool:
    """Whether any event can fit it."""
    return bool(text.rpartition(":")[2])


def _checked(effects: Any, name: str) -> tuple[Statement, ...]:
    several = effects if isinstance(effects, list | tuple) else () if effects is None else (effects,)
    if not all(isinstance(each, Statement) for each in several):
        raise InvalidArgumentError(
            f"The handler {name!r} returned {type(effects).__name__}.",
            hint="Return nothing, or the `Statement`s to be committed with the event.",
        )
    return tuple(several)
