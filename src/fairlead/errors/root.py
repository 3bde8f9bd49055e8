"""The root of the tree: what every error carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from fairlead.model.attempt import Attempt
    from fairlead.model.message import Response
    from fairlead.model.outcome import Outcome


class FairleadError(Exception):
    """Something went wrong.

    `message` says what happened, `hint` what to do. The pipeline adds to whom it happened (`provider`,
    `connection`, `operation`, `call_id`), the `attempts` made, the `outcome`, and `retry_after_s`: how many
    seconds from now a repeat may make sense, where it may at all.
    """

    code: ClassVar[str] = "error"
    #: The request itself is at fault, so another vendor would be asked in vain.
    is_request_fault: bool = False

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str = "",
        outcome: Outcome | None = None,
        retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:
        self.message = message if message is not None else default_message(type(self))
        super().__init__(self.message)
        self.hint, self.outcome = hint, outcome
        self.retry_after_s = retry_after_s
        self.status = status
        self.provider: str | None = None
        self.connection: str | None = None
        self.operation: str | None = None
        self.call_id: str | None = None
        self.attempts: tuple[Attempt, ...] = ()
        #: What the vendor answered, where it did. It may hold what is private, so no message and no log shows it.
        self.response: Response | None = None

    def locate(
        self,
        *,
        provider: str | None = None,
        connection: str | None = None,
        operation: str | None = None,
        call_id: str | None = None,
        attempts: tuple[Attempt, ...] = (),
    ) -> Self:
        """Say to whom it happened; what is already known stays."""
        self.provider = self.provider or provider
        self.connection = self.connection or connection
        self.operation = self.operation or operation
        self.call_id = self.call_id or call_id
        self.attempts = self.attempts or attempts
        return self

    def __str__(self) -> str:
        whom = ": ".join(part for part in (self.connection, self.operation) if part)
        text = f"{whom}: {self.message}" if whom else self.message
        return f"{text} {self.hint}".rstrip()


def default_message(kind: type[FairleadError]) -> str:
    """Return the first line of the error's docstring."""
    return (kind.__doc__ or kind.__name__).strip().splitlines()[0]
