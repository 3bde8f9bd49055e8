"""Finding out what a request did whose answer never came: a look at the vendor, and what follows from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from fairlead.errors import FairleadError, InvalidArgumentError
from fairlead.model.answer import Answer
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect, Outcome
from fairlead.observe.events import CallSettled
from fairlead.runtime.connection import Connection
from fairlead.runtime.ports import Ports
from fairlead.runtime.record import Record
from fairlead.runtime.rows import Mark
from fairlead.spec.settlement import Case, Decision, Found, Seen, Settlement, decide

# The seconds from one look to the next; the last one for all that follow.
LOOK_AFTER_S = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_LOOK_S = 15.0

#: Makes one call: its operation's name, the connection, how it begins, and its deadline in seconds.
Ask = Callable[[str, Connection, Callable[[Connection], Operation[Any]], float], Awaitable[Any]]


class Looked(Answer, frozen=True, kw_only=True):
    """What a look came to, as the answer of a call."""

    seen: Any = None


class Settler:
    """Looks, and decides. `on_settled` are called with every final outcome, beside the event stream."""

    def __init__(self, ports: Ports, ask: Ask) -> None:
        self._ports = ports
        self._ask = ask
        self.on_settled: list[Callable[[CallSettled], None]] = []

    def settlement(self, record: Record, connection: Connection) -> Settlement | None:
        """Return how a call can be settled at a connection; None where that cannot be known."""
        declared = record.settlement(connection)
        return declared if isinstance(declared, Settlement) else None

    def is_repeatable(self, mark: Mark, connection: Connection) -> bool:
        """Whether the vendor makes a repeat of all that was sent harmless, and knows the keys for long enough."""
        if not all(each.effect is Effect.IDEMPOTENT for each in mark.sent):
            return False
        known_until = min(each.at for each in mark.sent) + connection.provider.idempotency_window_s
        return self._ports.clock.wall() + connection.policy.attempt_s < known_until

    def next_look_at(self, mark: Mark, settlement: Settlement) -> float:
        """Return when a look makes sense, in seconds since 1970."""
        now = self._ports.clock.wall()
        if not mark.looks:
            return now
        next_at = now + LOOK_AFTER_S[min(mark.looks, len(LOOK_AFTER_S)) - 1]
        # An absence counts from then on, so that no look before it saves one after it.
        counts_at = mark.last.late_at + settlement.visible_after_s
        return min(next_at, counts_at) if now < counts_at else next_at

    async def look(
        self, record: Record, mark: Mark, connection: Connection, call_id: str, *, within_s: float = _LOOK_S
    ) -> tuple[Decision, Seen]:
        """Look once, and say what follows. What the look itself fails with says nothing."""
        settlement = self.settlement(record, connection)
        assert settlement is not None  # noqa: S101  # who looks has asked
        last = mark.last
        case = Case(reference=call_id, key=last.key, sent_at=last.at, arguments=record.arguments)
        now = self._ports.clock.wall()
        seen: Seen = None
        try:
            begin = _reading(record, settlement, case)
            looked: Looked = await self._ask(f"{record.asked.name}.settle", connection, begin, min(within_s, _LOOK_S))
            seen = looked.seen
        except FairleadError:
            pass  # its own events have told; the next look may go better
        return decide(seen, settlement, late_at=last.late_at, now=now), seen

    def tell(self, record: Record, mark: Mark, call_id: str, outcome: Outcome, evidence: str) -> None:
        """Tell what was found out."""
        event = CallSettled(
            call_id=call_id,
            operation=record.asked.name,
            connection=mark.last.connection,
            outcome=outcome,
            evidence=evidence,
            after_s=max(0.0, self._ports.clock.wall() - mark.last.at),
        )
        self._ports.events.emit(event)
        for hear in self.on_settled:
            hear(event)


def _reading(record: Record, settlement: Settlement, case: Case) -> Callable[[Connection], Operation[Looked]]:
    """Return a look as an operation of its own, which may only read."""

    def begin(connection: Connection) -> Operation[Looked]:
        look = record.look(connection, settlement, case)
        try:
            request = next(look)
            while True:
                if request.effect is not Effect.READ:
                    raise InvalidArgumentError(f"The look of {record.asked.name} would act.", hint="It may only read.")
                answer = yield request
                request = look.send(answer)
        except StopIteration as ended:
            return Looked(seen=ended.value)
        finally:
            look.close()

    return begin


def evidence_of(seen: Seen) -> str:
    """Say by what it was settled."""
    return seen.evidence if seen is not None else "nothing was found out in time"


def value_of(seen: Seen) -> Any:
    """Return what was found."""
    return seen.value if isinstance(seen, Found) else None


def looked_again(mark: Mark) -> Mark:
    """Return the mark with one more look."""
    return msgspec.structs.replace(mark, looks=mark.looks + 1)
