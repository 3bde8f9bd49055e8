"""A message in words, as an application has them: what may be text is text, what may be one need not be a list."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from email.utils import getaddresses
from typing import Any, TypeAlias, TypedDict

from fairlead.capabilities.email import Attachment, EmailMessage
from fairlead.capabilities.mailbox import Address, check_line
from fairlead.errors import InvalidArgumentError

Mailbox: TypeAlias = str | Address
Mailboxes: TypeAlias = Mailbox | Iterable[Mailbox]


class MessageFields(TypedDict, total=False):
    """The fields of an `EmailMessage`; addresses as `ada@example.com` or `Ada <ada@example.com>`."""

    sender: Mailbox
    to: Mailboxes
    cc: Mailboxes
    bcc: Mailboxes
    reply_to: Mailboxes
    subject: str
    text: str | None
    html: str | None
    attachments: Iterable[Attachment]
    headers: Mapping[str, str]
    tags: Iterable[str]
    metadata: Mapping[str, str]
    template: str | None
    variables: Mapping[str, Any]
    each: Mapping[str, Mapping[str, Any]]
    track_opens: bool | None
    track_clicks: bool | None
    #: Seconds since 1970, or a time with its zone.
    send_at: float | dt.datetime | None
    unsubscribe_url: str | None
    unsubscribe_email: str | None
    extra: Mapping[str, Mapping[str, Any]]


#: What a message has, and what else a call may be given: the one is not the other.
FIELDS = frozenset(MessageFields.__annotations__)
_LISTS = ("to", "cc", "bcc", "reply_to")


def write_message(fields: Mapping[str, Any]) -> EmailMessage:
    """Return the message; raise `InvalidArgumentError` for one that cannot be."""
    given = dict(fields)
    if "sender" not in given:
        raise InvalidArgumentError("The message has no sender.", hint="Give sender, as `Ada <ada@example.com>`.")
    given["sender"] = _read(given["sender"])
    for name in _LISTS:
        given[name] = read_all(given.get(name, ()))
    for name in ("attachments", "tags"):
        given[name] = tuple(given.get(name, ()))
    given["headers"] = tuple(given.get("headers", {}).items())
    if "each" in given:
        given["each"] = {Address.read(email).email: variables for email, variables in given["each"].items()}
    send_at = given.get("send_at")
    if isinstance(send_at, dt.datetime):
        if send_at.tzinfo is None:
            raise InvalidArgumentError("send_at has no time zone.", hint="Give it one: datetime.now(UTC).")
        given["send_at"] = send_at.timestamp()
    return EmailMessage(**given)


def read_all(given: Mailboxes) -> tuple[Address, ...]:
    """Read one address, or several."""
    several = (given,) if isinstance(given, str | Address) else given
    return tuple(_read(each) for each in several)


def read_list(text: str) -> tuple[Address, ...]:
    """Read addresses as a header has them, with commas between: `Ada <ada@example.com>, bob@example.org`."""
    check_line(text, "A list of addresses")
    return tuple(Address(Address.read(email).email, name) for name, email in getaddresses([text]))


def _read(given: Mailbox) -> Address:
    return given if isinstance(given, Address) else Address.read(given)
