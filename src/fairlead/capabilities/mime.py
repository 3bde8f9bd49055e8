"""Write a message as MIME (RFC 5322, RFC 2045), for those who carry it as it is: a mail server, a vendor's raw API.

The body is put together by the standard library. The header lines are written here: its folding encodes a long word
that has no space in it, as the link of a List-Unsubscribe is, and no mail program follows an encoded link.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from email.errors import MessageError
from email.header import Header
from email.message import EmailMessage as Mime
from email.policy import SMTP
from email.utils import formatdate, quote

from fairlead.capabilities.email import Attachment, EmailMessage
from fairlead.capabilities.mailbox import Address
from fairlead.errors import InvalidArgumentError

#: What is not ASCII is encoded, so that every server on the way can carry it (RFC 6152 is not needed).
_POLICY = SMTP.clone(cte_type="7bit")
#: RFC 5322 §2.1.1: what a line should have at most, and what it must not pass.
_LINE, _LONGEST_LINE = 78, 998
_PLAIN = re.compile(r"[ -~]*")
#: RFC 5322 §3.2.3: a name of these needs no quotes.
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~ ]*")
#: What a reader would decode (RFC 2047 §2), though it was meant to the letter.
_LIKE_ENCODED = "=?"
#: What may not be encoded as an attachment is (RFC 2046 §5.2.1, §5.1).
_OF_PARTS = frozenset({"message", "multipart"})


def build_mime(message: EmailMessage, *, message_id: str | None = None, date: float | None = None) -> bytes:
    """Return the message as bytes, its lines ended by CRLF; Bcc stands nowhere in it.

    `message_id` is without its angle brackets, `date` in seconds since 1970; what is None is left to whoever carries
    it. Raises `InvalidArgumentError` for what cannot be written.
    """
    lines = [f"{name}: {value}" for name, value in _fields(message, message_id, date)]
    head = "".join(f"{line}\r\n" for line in lines)
    try:
        return head.encode("ascii") + _body(message).as_bytes()
    except (UnicodeError, MessageError) as error:
        raise InvalidArgumentError(
            f"The message cannot be written: {type(error).__name__}.", hint="Look for characters that are no text."
        ) from None


def message_id_of(reference: str, sender: Address) -> str | None:
    """Return a Message-ID by which what comes back tells the call that it was sent by; None for a call without."""
    return f"{reference}@{sender.domain}" if reference else None


def _fields(message: EmailMessage, message_id: str | None, date: float | None) -> Iterator[tuple[str, str]]:
    """Yield the header, folded."""
    if date is not None:
        yield "Date", formatdate(date)
    if message_id is not None:
        yield "Message-ID", f"<{message_id}>"
    for name, addresses in (
        ("From", (message.sender,)),
        ("To", message.to),
        ("Cc", message.cc),
        ("Reply-To", message.reply_to),
    ):
        if addresses:
            yield name, _address_list(addresses)
    for name, value in (("Subject", message.subject), *message.headers, *message.unsubscribe_headers()):
        yield name, text_field(name, value)


def text_field(name: str, value: str) -> str:
    """Return the text of a header, folded at its spaces, and encoded where it must be (RFC 2047)."""
    words = value.split(" ")
    is_plain = _PLAIN.fullmatch(value) and value == value.strip() and "" not in words and _LIKE_ENCODED not in value
    if not value or (is_plain and max(map(len, words)) < _LONGEST_LINE - len(name) - 2):
        return _folded(words, len(name) + 2)
    return _encoded(value, name)


def _folded(words: Iterable[str], used: int) -> str:
    """Join words by spaces, and go on in another line where one would be too long."""
    lines = [""]
    for word in words:
        if lines[-1] and used + len(lines[-1]) + 1 + len(word) > _LINE:
            lines.append("")
            used = 1
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return "\r\n ".join(lines)


def _encoded(text: str, name: str) -> str:
    return Header(text, "utf-8", header_name=name).encode(splitchars="", linesep="\r\n")


def _address_list(addresses: Sequence[Address]) -> str:
    return ",\r\n ".join(map(mailbox_field, addresses))


def mailbox_field(address: Address) -> str:
    """Write an address, and whose it is (RFC 5322 §3.4); a long name is folded."""
    if not _PLAIN.fullmatch(address.email) or re.search(r"[<>,; ]", address.email):
        raise InvalidArgumentError("An address of the message is none.", hint="Read it by Address.read.")
    if not address.name:
        return address.email
    if not _PLAIN.fullmatch(address.name) or _LIKE_ENCODED in address.name or len(address.name) > _LINE:
        name = _encoded(address.name, "Reply-To")
    else:
        name = address.name if _ATOMS.fullmatch(address.name.strip()) else f'"{quote(address.name)}"'
    return f"{name} <{address.email}>"


def _body(message: EmailMessage) -> Mime:
    """Put text, HTML, its pictures and the attachments together: each inside the next."""
    body = Mime(policy=_POLICY)
    if message.text is not None or message.html is None:
        body.set_content(message.text or "")
    if message.html is not None:
        if message.text is not None:
            body.add_alternative(message.html, subtype="html")
        else:
            body.set_content(message.html, subtype="html")
    pictures = [each for each in message.attachments if each.content_id is not None]
    if pictures:
        html = body.get_body(("html",)) or body
        for each in pictures:
            maintype, subtype, params = _type_of(each)
            html.add_related(
                each.content,
                maintype,
                subtype,
                cid=f"<{each.content_id}>",
                filename=each.name,
                params=params,
                disposition="inline",
            )
    for each in message.attachments:
        if each.content_id is None:
            maintype, subtype, params = _type_of(each)
            body.add_attachment(each.content, maintype, subtype, filename=each.name, params=params)
    _bound(body, message)
    return body


def _bound(body: Mime, message: EmailMessage) -> None:
    """Say where the parts end, by what is in them: the same message is the same bytes whenever it is written."""
    digest = hashlib.sha256("\0".join((message.text or "", message.html or "")).encode())
    for each in message.attachments:
        digest.update(each.content)
    for number, part in enumerate(part for part in body.walk() if part.is_multipart()):
        part.set_boundary(f"=_{digest.hexdigest()[:40]}_{number}")


def _type_of(attachment: Attachment) -> tuple[str, str, dict[str, str]]:
    """Take a type apart, as `text/csv; charset=utf-8`."""
    read = Mime(policy=_POLICY)
    read["Content-Type"] = attachment.type
    field = read["Content-Type"]
    if not re.fullmatch(r"\s*[\w.+-]+/[\w.+-]+\s*(;.*)?", attachment.type, re.ASCII) or field.defects:
        raise InvalidArgumentError("The type of an attachment is none.", hint="Write it as image/png.")
    if field.maintype in _OF_PARTS:
        return "application", "octet-stream", {}
    return field.maintype, field.subtype, dict(field.params)
