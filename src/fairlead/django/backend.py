"""The backend: what Django was given to send goes to whichever vendor serves, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from threading import Lock
from typing import Any

import msgspec
from django.conf import settings
from django.core.mail import EmailMessage as DjangoMessage
from django.core.mail.backends.base import BaseEmailBackend

from fairlead.capabilities.email import EmailReceipt, Taken
from fairlead.django.messages import read_message
from fairlead.errors import FairleadError, UsageError
from fairlead.sync import EmailFacade, Fairlead

_MAKING = Lock()
_WORDS = {Taken.ACCEPTED: "queued", Taken.REJECTED: "rejected"}


class SendStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt in the words of django-anymail's `anymail_status`, for code that reads one.

    `recipients` has `status` and `message_id` of each address. A status is `queued` (the vendor will try) or
    `rejected` (it will not, or the address is suppressed).
    """

    message_id: str
    status: frozenset[str]
    recipients: Mapping[str, Mapping[str, str | None]]

    @classmethod
    def of(cls, receipt: EmailReceipt) -> SendStatus:
        """Read a receipt."""
        told = {
            each.email: {"status": _WORDS[each.taken], "message_id": each.id or receipt.ref.id}
            for each in receipt.recipients
        }
        return cls(
            message_id=receipt.ref.id,
            status=frozenset(_WORDS[each.taken] for each in receipt.recipients),
            recipients=told,
        )


class EmailBackend(BaseEmailBackend):  # type: ignore[misc]  # Django has no types
    """Sends each message by `fl.email.send`. Any thread may use it; nothing is opened or closed with it.

    `message.fairlead_options`, a dictionary, is what the call is given beside the message: `idempotency_key`,
    `background`, `on_unknown`, `tenant`, `deadline_s`. What comes of it stands in `message.fairlead_receipt` (in the
    background: `message.fairlead_call`), or in `message.fairlead_error`. With `fail_silently` a message that was not
    sent is left out of the count in place of raising; a configuration that is wrong always raises, and so does a send
    that would block an event loop.
    """

    def send_messages(self, email_messages: Sequence[DjangoMessage]) -> int:
        """Send them one after the other; return how many were taken."""
        wanted = [each for each in email_messages if each.recipients()]
        if not wanted:
            return 0
        email = client().email
        return sum(self._send(email, each) for each in wanted)

    def _send(self, email: EmailFacade, message: DjangoMessage) -> bool:
        options: Mapping[str, Any] = getattr(message, "fairlead_options", None) or {}
        message.fairlead_error = None
        try:
            taken: Any = email.send(read_message(message), **options)
        except FairleadError as error:
            message.fairlead_error = error
            # A mistake in the program, as a send within an event loop, is nobody's wish to be silent about.
            if not self.fail_silently or type(error) is UsageError:
                raise
            return False
        if isinstance(taken, EmailReceipt):
            message.fairlead_receipt = taken
            message.anymail_status = SendStatus.of(taken)
        else:
            message.fairlead_call = taken
        return True


def client() -> Fairlead:
    """Return the one client of this process for the file that `FAIRLEAD_CONFIG` names."""
    with _MAKING:  # or two threads would make two
        return _client(str(getattr(settings, "FAIRLEAD_CONFIG", "fairlead.toml")))


@cache
def _client(path: str) -> Fairlead:
    return Fairlead.from_config(path)
