"""`fl.email`: email by whichever vendor serves, once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, Unpack, overload

import msgspec

from fairlead.capabilities.email import EmailMessage, EmailReceipt, EmailStatus, RecipientReceipt, Taken
from fairlead.capabilities.email_fields import FIELDS, MessageFields, write_message
from fairlead.capabilities.mailbox import Address
from fairlead.errors import FairleadError, InvalidArgumentError, SuppressedError
from fairlead.model.call import Ref
from fairlead.model.outcome import Outcome
from fairlead.runtime.calls import Calls
from fairlead.runtime.facade import Facade, Route
from fairlead.runtime.later import BackgroundCall
from fairlead.runtime.wanted import CallOptions, LaterOptions, LedgerOptions

#: Says of addresses why no mail may go there; those that may are left out.
Suppressed = Callable[[tuple[str, ...], str | None], Awaitable[dict[str, str]]]
#: What may follow when nobody knows whether a message was sent: the first unless another is asked for.
ON_UNKNOWN = ("hold", "resend")


class _Sending(MessageFields, total=False):
    #: What follows when nobody knows whether it was sent, and the vendor cannot be asked in time: `hold` waits for
    #: evidence, so that nobody gets it twice; `resend` sends it again, so that somebody gets it.
    on_unknown: Literal["hold", "resend"]


class SendOptions(_Sending, LedgerOptions, total=False):
    """A message, and what its call may be given."""


class SendNow(_Sending, CallOptions, total=False):
    """A message that somebody waits for."""

    idempotency_key: str | None


class SendLater(_Sending, LaterOptions, total=False):
    """A message that nobody waits for."""

    idempotency_key: str | None


class EmailFacade(Facade):
    """Send email, and ask what became of it."""

    def __init__(self, find_route: Callable[[], Route], calls: Calls, suppressed: Suppressed) -> None:
        super().__init__(find_route, calls)
        self._suppressed = suppressed

    @overload
    async def send(self, message: EmailMessage | None = None, **given: Unpack[SendNow]) -> EmailReceipt: ...

    @overload
    async def send(
        self, message: EmailMessage | None = None, **given: Unpack[SendLater]
    ) -> BackgroundCall[EmailReceipt]: ...

    async def send(self, message: EmailMessage | None = None, **given: Unpack[SendOptions]) -> Any:
        """Send a message: a whole one, or by its fields (`sender`, `to`, `subject`, `text`, `html`, ...).

        Addresses that bounced or complained are left out, and told as rejected; where none is left, `SuppressedError`.
        With `background=True` it returns once that is on disk. A call whose outcome is not known raises
        `OutcomeUnknownError` and is settled later, unless `on_unknown="resend"`.
        """
        fields = {name: value for name, value in given.items() if name in FIELDS}
        options: LedgerOptions = {  # type: ignore[assignment]  # what is no field of a message is an option
            name: value for name, value in given.items() if name not in FIELDS and name != "on_unknown"
        }
        if given.get("on_unknown") == "resend" and given.get("background"):
            raise InvalidArgumentError(
                "In the background nothing is sent again on a guess.",
                hint="Leave on_unknown out, or wait for it.",
            )
        if message is not None and fields:
            raise InvalidArgumentError("A whole message was given, and fields.", hint="Give one of them.")
        message = message or write_message(fields)
        left, out = await self._without_suppressed(message, options.get("tenant"))
        try:
            receipt = await self._call("send", (left,), None, options)
        except FairleadError as error:
            if given.get("on_unknown") != "resend" or error.outcome is not Outcome.UNKNOWN:
                raise
            key = options.get("idempotency_key")
            again: LedgerOptions = {**options, "idempotency_key": f"{key}:again"} if key else options
            receipt = msgspec.structs.replace(await self._call("send", (left,), None, again), is_resent=True)
        if out and isinstance(receipt, EmailReceipt):
            receipt = msgspec.structs.replace(receipt, recipients=(*receipt.recipients, *out))
        return receipt

    async def status(self, ref: Ref | str, **options: Unpack[CallOptions]) -> EmailStatus:
        """Return what the vendor that took a message says of it by now. `ref` is the receipt's."""
        wanted = Ref.of(ref)
        status: EmailStatus = await self._call("status", (wanted.id,), None, options, ref=wanted)
        return status

    async def _without_suppressed(
        self, message: EmailMessage, tenant: str | None
    ) -> tuple[EmailMessage, tuple[RecipientReceipt, ...]]:
        """Leave out who may not be written to; return the message, and their receipts."""
        reasons = await self._suppressed(tuple(each.email for each in message.recipients), tenant)
        if not reasons:
            return message, ()

        def may(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
            return tuple(each for each in addresses if each.email not in reasons)

        if not may(message.recipients):
            raise SuppressedError(
                f"All {len(reasons)} recipients are suppressed: {', '.join(sorted(set(reasons.values())))}.",
                hint="They bounced or complained. See `fairlead email suppressions`.",
            )
        left = msgspec.structs.replace(
            message,
            to=may(message.to),
            cc=may(message.cc),
            bcc=may(message.bcc),
            each={email: variables for email, variables in message.each.items() if email not in reasons},
        )
        return left, tuple(
            RecipientReceipt(email=email, taken=Taken.REJECTED, reason=f"suppressed: {why}")
            for email, why in reasons.items()
        )
