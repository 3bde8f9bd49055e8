"""What became of a text message, or that one came. `subject` is the vendor's id of the message."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

TYPES: Mapping[str, str] = {
    "message.queued": "The vendor has it, and has not sent it yet.",
    "message.sent": "The vendor handed it on; whether it arrives is not known yet.",
    "message.delivered": "It arrived.",
    "message.read": "It was opened.",
    "message.failed": "It did not arrive, and the vendor tries no more.",
    "message.received": "Somebody wrote to us.",
}


class MessageNews(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What else there is to say of it."""

    #: As `sms`, `whatsapp`, where the vendor says so.
    channel: str | None = None
    sender: str | None = None
    #: What was written to us.
    text: str | None = None
    #: The vendor's code for why it did not arrive.
    error: str | None = None
