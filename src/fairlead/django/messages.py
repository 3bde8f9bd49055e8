"""A message of Django's as one of Fairlead's; what would be lost on the way is refused."""

from __future__ import annotations

import datetime as dt
import mimetypes
import re
from collections.abc import Iterator, Mapping, Sequence
from email.message import Message as MimePart
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage as DjangoMessage
from django.utils.timezone import is_naive, make_aware

from fairlead.capabilities.email import Attachment, EmailMessage
from fairlead.capabilities.email_fields import read_list, write_message
from fairlead.capabilities.mailbox import Address
from fairlead.errors import InvalidArgumentError

#: What django-anymail knows and no field here can carry, and what to do instead.
_NOT_CARRIED: Mapping[str, str] = {
    "envelope_sender": "Set the return path at the vendor.",
    "esp_extra": 'Give fairlead_extra, by the connection: {"NAME": {...}}.',
    "merge_headers": "Send each recipient a message of their own.",
    "merge_metadata": "Send each recipient a message of their own.",
}
_PLAIN, _HTML = "text/plain", "text/html"
_TARGET = re.compile(r"<([^<>]+)>")


def read_message(message: DjangoMessage) -> EmailMessage:
    """Return the message; raise `InvalidArgumentError` for one that cannot be, or could not be carried whole."""
    for name, hint in _NOT_CARRIED.items():
        if getattr(message, name, None):
            raise InvalidArgumentError(f"The message has {name}, which is not carried.", hint=hint)
    headers = {name: str(value) for name, value in message.extra_headers.items()}
    sender = _take(headers, "from") or message.from_email
    replies = _take(headers, "reply-to")
    to = [Address.read(str(each)) for each in message.to]
    fields: dict[str, Any] = {
        "sender": str(sender),
        "to": to,
        "cc": [str(each) for each in message.cc],
        "bcc": [str(each) for each in message.bcc],
        "reply_to": read_list(replies) if replies else [str(each) for each in message.reply_to],
        "subject": str(message.subject),
        "attachments": [_read_attachment(each, message) for each in message.attachments],
        **_read_bodies(message),
        **_read_unsubscribe(headers),
        **_read_wishes(message, to),
        "headers": headers,
    }
    return write_message(fields)


def _take(headers: dict[str, str], wanted: str) -> str | None:
    """Take a header out, whatever its case; None where it is not there."""
    return next((headers.pop(name) for name in list(headers) if name.lower() == wanted), None)


def _read_bodies(message: DjangoMessage) -> dict[str, str]:
    """Return `text` and `html`: of each there is one."""
    bodies: dict[str, str] = {}
    for content, kind in _bodies(message):
        if kind not in {_PLAIN, _HTML}:
            raise InvalidArgumentError(
                f"The message has a body of the type {kind}, which is not carried.", hint="Attach it."
            )
        name = "text" if kind == _PLAIN else "html"
        if name in bodies:
            raise InvalidArgumentError(f"The message has two bodies of the type {kind}.", hint="Give one of them.")
        bodies[name] = content
    return bodies


def _bodies(message: DjangoMessage) -> Iterator[tuple[str, str]]:
    if message.body:
        yield str(message.body), f"text/{message.content_subtype}"
    for content, kind in getattr(message, "alternatives", ()):
        yield content.decode() if isinstance(content, bytes) else str(content), kind


def _read_attachment(given: Any, message: DjangoMessage) -> Attachment:
    if isinstance(given, MimePart):
        return _read_part(given)
    name, content, kind = given
    kind = kind or "application/octet-stream"
    if isinstance(content, DjangoMessage):
        content = content.message()
    if isinstance(content, MimePart):
        content = content.as_bytes()
    if isinstance(content, str):
        content = content.encode(message.encoding or settings.DEFAULT_CHARSET)
    return Attachment(name=name or _invented(kind), content=content, type=kind)


def _read_part(part: MimePart) -> Attachment:
    """Read a finished part. With a Content-ID it is a picture of the HTML, unless it says that it is attached."""
    kind = part.get_content_type()
    if part.is_multipart():  # message/rfc822: another message is all that is in it
        content = b"".join(each.as_bytes() for each in part.get_payload() if isinstance(each, MimePart))
    else:
        content = bytes(part.get_payload(decode=True) or b"")
    named = str(part.get("Content-ID", "")).strip().strip("<>")
    is_inline = bool(named) and part.get_content_disposition() != "attachment"
    return Attachment(
        name=part.get_filename() or _invented(kind),
        content=content,
        type=kind,
        content_id=named if is_inline else None,
    )


def _invented(kind: str) -> str:
    return f"attachment{mimetypes.guess_extension(kind) or '.bin'}"


def _read_unsubscribe(headers: dict[str, str]) -> dict[str, str]:
    """Take the headers that offer to unsubscribe (RFC 2369, RFC 8058): the message has fields for them."""
    offered, by_click = _take(headers, "list-unsubscribe"), _take(headers, "list-unsubscribe-post")
    if offered is None:
        return {}
    found: dict[str, str] = {}
    for target in _TARGET.findall(offered):
        name = "unsubscribe_email" if target.lower().startswith("mailto:") else "unsubscribe_url"
        if name in found:
            raise InvalidArgumentError("List-Unsubscribe names two of one kind.", hint="Give one address, and one URL.")
        found[name] = target[len("mailto:") :] if name == "unsubscribe_email" else target
    if "unsubscribe_url" in found and by_click is None:
        raise InvalidArgumentError(
            "List-Unsubscribe has a URL, and List-Unsubscribe-Post does not say that one click is enough.",
            hint="Have the URL take a POST, and add `List-Unsubscribe-Post: List-Unsubscribe=One-Click` (RFC 8058).",
        )
    return found


def _read_wishes(message: DjangoMessage, to: Sequence[Address]) -> dict[str, Any]:
    """Read the attributes that django-anymail gave messages, as projects set them already."""
    found: dict[str, Any] = {
        "tags": tuple(str(each) for each in getattr(message, "tags", None) or ()),
        "metadata": {str(name): str(value) for name, value in (getattr(message, "metadata", None) or {}).items()},
        "template": getattr(message, "template_id", None),
        "variables": getattr(message, "merge_global_data", None) or {},
        "track_opens": getattr(message, "track_opens", None),
        "track_clicks": getattr(message, "track_clicks", None),
        "send_at": _read_time(getattr(message, "send_at", None)),
        "extra": getattr(message, "fairlead_extra", None) or {},
    }
    each: Mapping[str, Mapping[str, Any]] | None = getattr(message, "merge_data", None)
    if each is not None:  # also an empty one: it asks for a message of their own for each
        found["each"] = {address.email: {} for address in to} | {
            Address.read(email).email: variables for email, variables in each.items()
        }
    return found


def _read_time(given: Any) -> Any:
    """Read a time; one without a zone is in Django's."""
    if isinstance(given, dt.date) and not isinstance(given, dt.datetime):
        given = dt.datetime.combine(given, dt.time())
    if isinstance(given, dt.datetime) and is_naive(given):
        return make_aware(given)
    return given
