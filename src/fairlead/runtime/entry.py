"""The row of a call, as the call itself writes to it: what is about to leave, before it leaves."""

from __future__ import annotations

import msgspec

from fairlead.errors import CallCancelledError
from fairlead.model.message import Request
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect, Outcome
from fairlead.model.ports import Clock
from fairlead.runtime.connection import Connection
from fairlead.runtime.packing import pack
from fairlead.runtime.pipeline import Begin
from fairlead.runtime.record import Record
from fairlead.runtime.rows import Mark, Sent
from fairlead.storage.jobs import Claim, JobStore


class RowEntry:
    """An `Entry`. `marked` is what earlier turns of the same call may have sent."""

    def __init__(
        self, store: JobStore, claim: Claim, call_id: str, *, clock: Clock, marked: Mark | None = None
    ) -> None:
        self.claim = claim
        self.marked = marked
        self._store = store
        self._call_id = call_id
        self._clock = clock
        self._step = 0
        self._request: Request | None = None

    def counting(self, record: Record) -> Begin:
        """Return how the operation is begun, with its requests counted, and keys for those that may be repeated.

        The key is the same whenever the same call comes to the same step: in a repeat, and in another process.
        """

        def begin(connection: Connection) -> Operation[object]:
            self._step = 0
            operation = record.begin(connection, self._call_id)
            try:
                request = next(operation)
                while True:
                    self._step += 1
                    self._request = request = self._keyed(request, connection)
                    answer = yield request
                    request = operation.send(answer)
            except StopIteration as ended:
                value: object = ended.value
                return value
            finally:
                operation.close()

        return begin

    def _keyed(self, request: Request, connection: Connection) -> Request:
        has_key = request.idempotency_key or not connection.provider.idempotency_header
        if has_key or request.effect is not Effect.IDEMPOTENT:
            return request
        return msgspec.structs.replace(request, idempotency_key=f"{self._call_id}-{self._step}")

    async def mark(self, connection: str, *, within_s: float) -> None:
        """Write down durably that the request at hand leaves."""
        request, now = self._request, self._clock.wall()
        assert request is not None  # noqa: S101  # whoever marks has been given one
        # What another connection was sent is known not to be done: or this one would not have been asked.
        before = [each for each in self.marked.sent if each.connection == connection] if self.marked else []
        same = next((each for each in before if each.step == self._step), None)
        sent = Sent(
            connection=connection,
            step=self._step,
            effect=request.effect,
            key=request.idempotency_key,
            at=same.at if same else now,
            late_at=now + within_s,
        )
        others = [each for each in before if each is not same]
        marked = Mark(sent=tuple(sorted([*others, sent], key=lambda each: each.step)))
        if not await self._store.mark(self.claim, pack(marked)):
            raise CallCancelledError(
                hint="Nothing was sent now; `fairlead calls show` says how it stands.", outcome=Outcome.NOT_DONE
            )
        self.marked = marked
