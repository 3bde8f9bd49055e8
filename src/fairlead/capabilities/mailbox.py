"""Addresses and header lines of email: what may stand in them, and what would begin another."""

from __future__ import annotations

import re
from email.utils import formataddr, parseaddr

import msgspec
from email_validator import EmailNotValidError, validate_email

from fairlead.errors import InvalidArgumentError

# RFC 5322 §2.2: a field name is printable ASCII without a colon.
_NAME = re.compile(r"[!-9;-~]+")
_BREAK = re.compile(r"[\r\n\0\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Said by the message's own fields; a second one would be a contradiction.
_OURS = frozenset(
    {
        "from", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "mime-version", "content-type",
        "content-transfer-encoding", "sender", "return-path", "received", "dkim-signature", "list-unsubscribe",
        "list-unsubscribe-post",
    }
)  # fmt: skip


class Address(msgspec.Struct, frozen=True):
    """An email address, and whose it is. Its domain is as DNS has it (IDNA 2008), its name in plain words."""

    email: str
    name: str = ""

    def __post_init__(self) -> None:
        check_line(f"{self.email}{self.name}", "An address")

    @classmethod
    def read(cls, text: str) -> Address:
        """Read `ada@example.com` or `Ada <ada@example.com>`; raise `InvalidArgumentError` for what is no address.

        Whether anybody reads mail there is not asked.
        """
        check_line(text, "An address")
        name, email = parseaddr(text) if "<" in text else ("", text.strip())
        try:
            read = validate_email(email, check_deliverability=False, allow_smtputf8=False, test_environment=True)
        except EmailNotValidError as error:
            raise InvalidArgumentError(f"{email!r} is no email address: {error}") from None
        return cls(read.ascii_email or read.normalized, name)

    @property
    def domain(self) -> str:
        """What stands after the @, in lower case."""
        return self.email.rpartition("@")[2].lower()

    def __str__(self) -> str:
        return formataddr((self.name, self.email)) if self.name else self.email

    def __repr__(self) -> str:  # whose address it is is private
        return f"Address(...@{self.domain})"


def check_line(text: str, what: str) -> None:
    """Raise `InvalidArgumentError` for a text that would go on as another header."""
    if _BREAK.search(text):
        raise InvalidArgumentError(f"{what} has a line break in it.", hint="Remove it: it would begin another header.")


def check_header(name: str, value: str) -> None:
    """Raise `InvalidArgumentError` for a header that cannot be, or that the message has a field for."""
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(
            f"{name!r} is not a header name.", hint="Use letters, digits and hyphens (RFC 5322)."
        )
    if name.lower() in _OURS:
        raise InvalidArgumentError(f"The header {name!r} is written from the message's own fields.", hint="Use those.")
    check_line(value, f"The header {name!r}")
