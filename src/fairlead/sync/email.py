"""Email, in synchronous code, and the list of those who are not written to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack, overload

from fairlead.capabilities.email import EmailMessage, EmailReceipt, EmailStatus
from fairlead.model.call import Ref
from fairlead.runtime.email import EmailFacade as AsyncEmailFacade
from fairlead.runtime.email import SendLater, SendNow, SendOptions
from fairlead.runtime.later import BackgroundCall
from fairlead.runtime.suppressions import Suppressions as AsyncSuppressions
from fairlead.runtime.wanted import CallOptions
from fairlead.storage.jobs import Job
from fairlead.sync.loop import BACKGROUND


class EmailFacade:
    """Send email, and ask what became of it."""

    def __init__(self, email: AsyncEmailFacade, owner: object) -> None:
        self._email = email
        self._owner = owner  # whose end closes the sockets

    @overload
    def send(self, message: EmailMessage | None = None, **given: Unpack[SendNow]) -> EmailReceipt: ...

    @overload
    def send(self, message: EmailMessage | None = None, **given: Unpack[SendLater]) -> BackgroundCall[EmailReceipt]: ...

    def send(self, message: EmailMessage | None = None, **given: Unpack[SendOptions]) -> Any:
        """Send a message: a whole one, or by its fields. See the asynchronous face."""
        send: Any = self._email.send  # which of its forms is meant, the overloads above have said
        return BACKGROUND.run(lambda: send(message, **given))

    def status(self, ref: Ref | str, **options: Unpack[CallOptions]) -> EmailStatus:
        """Return what the vendor that took a message says of it by now. `ref` is the receipt's."""
        return BACKGROUND.run(lambda: self._email.status(ref, **options))


class Suppressions:
    """The list. A tenant has its own, beside the one that holds for all."""

    def __init__(self, suppressions: AsyncSuppressions, owner: object) -> None:
        self._suppressions = suppressions
        self._owner = owner  # whose end closes the store

    def find(self, emails: Sequence[str], tenant: str | None = None) -> dict[str, str]:
        """Return why each of these addresses may not be written to; those that may are left out."""
        return BACKGROUND.run(lambda: self._suppressions.find(emails, tenant))

    def add(self, email: str, *, reason: str = "by_hand", tenant: str | None = None, detail: str = "") -> bool:
        """Put an address on the list; False where it is there already."""
        return BACKGROUND.run(lambda: self._suppressions.add(email, reason=reason, tenant=tenant, detail=detail))

    def remove(self, email: str, *, tenant: str | None = None) -> bool:
        """Take an address off the list, until it bounces or complains again; False where it is not on it."""
        return BACKGROUND.run(lambda: self._suppressions.remove(email, tenant=tenant))

    def list(self, *, tenant: str | None = None, limit: int = 100, before: int | None = None) -> Sequence[Job]:
        """Return rows of the list, newest first; `describe` reads one."""
        return BACKGROUND.run(lambda: self._suppressions.list(tenant=tenant, limit=limit, before=before))

    def export(self, *, tenant: str | None = None) -> str:
        """Return the whole list as CSV: email, reason, since, connection, detail."""
        return BACKGROUND.run(lambda: self._suppressions.export(tenant=tenant))

    def load(self, text: str, *, tenant: str | None = None) -> int:
        """Put a list in CSV on this one, by its columns `email` and `reason`; return how many are new."""
        return BACKGROUND.run(lambda: self._suppressions.load(text, tenant=tenant))
