"""What a call has been through, as its report and its errors tell it."""

from __future__ import annotations

from msgspec import UNSET

from fairlead import errors
from fairlead.model.attempt import Attempt
from fairlead.model.exchange import Broken
from fairlead.model.message import Response
from fairlead.model.outcome import Outcome
from fairlead.runtime.connection import Connection


class Trail:
    """What a call has been through: its attempts, and the seconds it spent at vendors and waiting.

    `batch_id` is the call that asked for several at once, where this one was joined into it.
    """

    __slots__ = ("attempts", "batch_id", "chaos", "vendor_s", "waited_s")

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.batch_id: str | None = None
        #: What was made to go wrong in the attempt at hand.
        self.chaos: str | None = None
        self.vendor_s = 0.0
        self.waited_s = 0.0

    def note(
        self,
        connection: Connection,
        outcome: Outcome = Outcome.NOT_DONE,
        error: errors.FairleadError | None = None,
        answer: Response | Broken | None = None,
        seconds: float = 0.0,
    ) -> Attempt:
        """Write an attempt down; without an answer it is our refusal."""
        attempt = Attempt(
            connection=connection.name,
            outcome=outcome,
            seconds=seconds,
            was_tried=answer is not None,
            status=answer.status if isinstance(answer, Response) else None,
            error=error.code if error else None,
            chaos=self.chaos or UNSET,
        )
        self.chaos = None
        self.attempts.append(attempt)
        return attempt
