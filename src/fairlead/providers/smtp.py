"""A mail server, spoken to by SMTP submission (RFC 6409): one's own relay, or a vendor's.

It says of each recipient whether it takes the message, and nothing after that: what bounces comes back as mail to the
sender, with the Message-ID that names our call. Facts: RFC 5321 for replies, RFC 3463 for the codes that say more, RFC
4954 for signing in, RFC 8314 for TLS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from fairlead.capabilities.email import Email, EmailMessage, EmailReceipt, Feature, RecipientReceipt, Taken
from fairlead.capabilities.mime import build_mime, message_id_of
from fairlead.errors import (
    AuthenticationError,
    FairleadError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)
from fairlead.model.call import Ref
from fairlead.model.mail import Mail, MailAnswer, Reply
from fairlead.model.operation import Operation
from fairlead.model.outcome import Outcome
from fairlead.spec.outcomes import ErrorRule, Wait
from fairlead.spec.provider import ApiKey, Credential, Place, Provider, Terms
from fairlead.spec.settlement import Settlement, Unknowable

_REFUSED = "RFC 5321 §4.2.1: by 4yz and 5yz the server says that it did not do what was asked"
_NOT_NOW = "RFC 5321 §4.2.1: 4yz is for now, and the same may go well later"
_SIGN_IN = "RFC 4954 §6: who may not sign in, or has not"
_NO_MAILBOX = "RFC 3463 §3.2: nobody has this address"
_POLICY = "RFC 3463 §3.8: it is against the server's rules"


class SmtpEmail(Email):
    """Hand messages to a mail server."""

    FEATURES: ClassVar[frozenset[Feature]] = frozenset(
        {
            Feature.ATTACHMENTS,
            Feature.INLINE_IMAGES,
            Feature.HEADERS,
            Feature.REPLY_TO_SEVERAL,
            Feature.UNSUBSCRIBE,
        }
    )
    #: RFC 5321 §4.5.3.1.8: what every server has to take.
    MAX_RECIPIENTS: ClassVar[int] = 100
    SETTLE: ClassVar[Mapping[str, Settlement | Unknowable]] = {
        "send": Unknowable("SMTP has no command that asks what became of a message (RFC 5321 §4.1).")
    }

    def send(self, message: EmailMessage) -> Operation[EmailReceipt]:
        """Follow MAIL, RCPT for each recipient, and DATA. It is accepted as soon as one recipient is."""
        self.check(message)
        addresses = tuple(dict.fromkeys(each.email for each in message.recipients))
        named = message_id_of(self.reference, message.sender)
        response = yield Mail.build(message.sender.email, addresses, build_mime(message), message_id=named)
        answer = MailAnswer.of(response)
        return EmailReceipt(
            ref=Ref(self.connection, answer.message_id),
            recipients=tuple(_receipt(each, answer.recipients[each]) for each in addresses),
        )


def _receipt(email: str, reply: Reply) -> RecipientReceipt:
    if reply.is_good:
        return RecipientReceipt(email=email)
    return RecipientReceipt(email=email, taken=Taken.REJECTED, reason=str(reply))


def probe() -> Operation[None]:
    """Sign in, and ask for nothing."""
    yield Mail.knock()


def _rules(error: type[FairleadError], evidence: str, hint: str, *codes: str) -> tuple[ErrorRule, ...]:
    """Say what replies mean, each a code with the enhanced code that narrows it, as `550 5.1.1`."""
    return tuple(
        ErrorRule(
            status=int(code[:3]),
            code=code[4:] or None,
            error=error,
            evidence=evidence,
            hint=hint,
            is_transient=code[0] == "4",
            wait=Wait.BACKOFF if code[0] == "4" else Wait.NOTHING,
            outcome=Outcome.NOT_DONE,
        )
        for code in codes
    )


PROVIDER = Provider(
    id="smtp",
    title="SMTP",
    docs_url="https://www.rfc-editor.org/rfc/rfc6409",
    api_version="RFC 5321",
    base_url="smtp://localhost:587",
    credentials=(
        Credential(
            name="user", label="user", help="Whom the server knows, where it asks", is_secret=False, is_required=False
        ),
        Credential(
            name="password", label="password", help="Theirs; mostly one made for applications", is_required=False
        ),
    ),
    auth=(ApiKey("user", Place.HEADER, "user"), ApiKey("password", Place.HEADER, "password")),
    capabilities={"email": SmtpEmail},
    probe=probe,
    has_free_probe=True,
    errors=(
        *_rules(AuthenticationError, _SIGN_IN, "Set user and password.", "530"),
        *_rules(AuthenticationError, _SIGN_IN, "Check user and password; some servers want one made for applications.",
                "535", "534", "538"),
        *_rules(NotFoundError, _NO_MAILBOX, "Correct the address, or strike it off.",
                "550 5.1.1", "550 5.1.2", "550 5.1.3", "550 5.1.6", "550 5.1.10", "551", "553 5.1.1", "553 5.1.3"),
        *_rules(UnavailableError, "RFC 3463 §3.3: the mailbox is full or rests", "Send it later, or elsewhere.",
                "452 4.2.2", "450 4.2.1", "552 5.2.2"),
        *_rules(InvalidRequestError, "RFC 3463 §3.4, §3.3: more than the server takes",
                "Send a link in place of the attachment.", "552 5.3.4", "552 5.2.3", "554 5.3.4"),
        *_rules(ForbiddenError, _POLICY, "Read what the server says: it may want another sender, or knows ours badly.",
                "550 5.7.1", "550 5.7.25", "550 5.7.26", "553 5.7.1", "554 5.7.1", "550 5.7.0", "554 5.7.0"),
        *_rules(UnavailableError, "RFC 6647: who is not known is asked to come again after some minutes",
                "Send it in the background: it is asked to come again later.", "451 4.7.1", "450 4.7.1", "451 4.7.0"),
        *_rules(UnavailableError, _NOT_NOW, "Send it later.", "421", "450", "451", "452", "454", "455"),
        *_rules(ForbiddenError, _REFUSED, "Read what the server says: it does not speak to us.", "521", "554"),
        *_rules(InvalidRequestError, _REFUSED, "Read what the server says of the message.",
                "500", "501", "502", "503", "504", "550", "552", "553", "555", "556"),
    ),
    error_code_at=("enhanced",),
    error_message_at=("text",),
    terms=Terms(source="Nothing is asked that could be kept (RFC 5321)"),
    data_sent=("addresses and names of sender and recipients", "subject, text and attachments"),
)  # fmt: skip
