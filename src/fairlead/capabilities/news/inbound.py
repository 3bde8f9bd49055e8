"""An email that came in, whoever took it for us. What is in it was written by a stranger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.utils import getaddresses

import msgspec

from fairlead.capabilities.email import Attachment
from fairlead.capabilities.mailbox import Address

TYPES: Mapping[str, str] = {"email.received": "An email came in: `data` is the whole of it."}

_BREAKS = re.compile(r"[\r\n\0\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")


class InboundEmail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An email that came in. Who it says that it is from, anybody can write: `envelope_from` is no better."""

    sender: Address | None = None
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    #: The text without what it quotes, where the vendor cuts that off.
    reply: str | None = None
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    #: What the servers said to each other (RFC 5321): whom it is for among them, and where it goes back to.
    envelope_from: str | None = None
    envelope_to: tuple[str, ...] = ()
    spam_score: float | None = None

    def __repr__(self) -> str:  # who writes what to whom is private
        return f"InboundEmail({len(self.attachments)} attachments)"

    def header(self, name: str) -> str | None:
        """Return the first header of a name, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def message_id(self) -> str | None:
        """What the sender calls it, in angle brackets; an answer to it has it in `In-Reply-To`."""
        return self.header("message-id")


def read_addresses(text: str | None) -> tuple[Address, ...]:
    """Read addresses as a header has them; what is none is left out."""
    return tuple(address(email, name) for name, email in getaddresses([one_line(text or "")]) if "@" in email)


def address(email: str, name: str = "") -> Address:
    """Make an address of what came in, which is not asked whether it is a good one."""
    return Address(one_line(email), plain(name))


def attachment(name: str | None, kind: str | None, content: bytes, content_id: str | None = None) -> Attachment:
    """Make an attachment of what came in. Its name is a stranger's: it is no path to write to."""
    return Attachment(
        name=plain(name or "attachment"),
        type=one_line(kind or "application/octet-stream"),
        content=content,
        content_id=one_line(content_id).strip("<>") if content_id else None,
    )


def plain(text: str) -> str:
    """Read encoded words (RFC 2047) where there are some that can be read."""
    try:
        return one_line(str(make_header(decode_header(text)))) if "=?" in text else one_line(text)
    except (HeaderParseError, LookupError, ValueError):
        return one_line(text)


def one_line(text: str) -> str:
    """Fold line breaks into spaces."""
    return _BREAKS.sub(" ", text)


def read_headers(block: str) -> tuple[tuple[str, str], ...]:
    """Read headers as they stand above a message (RFC 5322 §2.2), folded ones too."""
    lines: list[str] = []
    for line in block.splitlines():
        if line[:1] in {" ", "\t"} and lines:
            lines[-1] += " " + line.strip()
        elif ":" in line:
            lines.append(line)
    return headers((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))


def headers(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return headers as they came, each on one line."""
    return tuple((one_line(name), one_line(value)) for name, value in pairs)
