"""What became of an email. `subject` is the vendor's id of the message, `recipient` the address it is about."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

TYPES: Mapping[str, str] = {
    "email.delivered": "The recipient's server took it.",
    "email.deferred": "The recipient's server did not take it yet; the vendor tries again.",
    "email.bounced": "The recipient's server refused it, and the vendor tries no more: `bounce` says whether to.",
    "email.dropped": "The vendor did not try: the address is on its list, or the message is not allowed.",
    "email.complained": "The recipient called it spam.",
    "email.unsubscribed": "The recipient wants no more of these.",
    "email.opened": "Its picture was fetched: by the recipient, or by a program on the way.",
    "email.clicked": "A link of it was followed: by the recipient, or by a program on the way.",
}


class Bounce(StrEnum):
    """Whether the address may be tried again."""

    #: There is no such address, or none that will ever take it.
    HARD = "hard"
    #: A full mailbox, a busy server, a message that was too large.
    SOFT = "soft"


class EmailNews(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What else there is to say of it."""

    bounce: Bounce | None = None
    #: The enhanced status code (RFC 3463), as `5.1.1`, or the reply code (RFC 5321), as `550`.
    status: str | None = None
    #: The vendor's, or the recipient's server's, own words.
    detail: str | None = None
    #: The link that was followed.
    url: str | None = None
