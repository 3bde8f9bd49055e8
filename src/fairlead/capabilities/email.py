"""Email: one message to its recipients, or one to each of many, whoever carries it.

What a vendor lacks is refused before anything is sent (`FEATURES`), and so is what no vendor could carry: an address
that is none, a header that would begin another, a message to nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar

import msgspec

from fairlead.capabilities.mailbox import Address, check_header, check_line
from fairlead.errors import InvalidArgumentError, UnsupportedFeatureError
from fairlead.model.answer import Answer
from fairlead.model.call import Ref
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect
from fairlead.spec.settlement import Acting


class Feature(StrEnum):
    """What a message may ask for and not every vendor has."""

    ATTACHMENTS = "attachments"
    INLINE_IMAGES = "inline images"
    HEADERS = "headers"
    REPLY_TO_SEVERAL = "several reply-to addresses"
    TAG = "a tag"
    TAGS = "several tags"
    METADATA = "metadata"
    TEMPLATE = "templates"
    EACH = "variables for each recipient"
    TRACK_OPENS = "tracking of opens"
    TRACK_CLICKS = "tracking of clicks"
    SEND_AT = "sending later"
    UNSUBSCRIBE = "unsubscribe links"


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file. With a `content_id` it is a picture of the HTML, as `<img src="cid:logo">`."""

    name: str
    content: bytes
    type: str = "application/octet-stream"
    content_id: str | None = None

    def __post_init__(self) -> None:
        check_line(self.name, "The name of an attachment")
        check_line(self.type, "The type of an attachment")
        check_line(self.content_id or "", "The content id of an attachment")

    def __repr__(self) -> str:  # what is in it is private
        return f"Attachment({len(self.content)} bytes)"


class EmailMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message. Addresses may be written as `ada@example.com` or `Ada <ada@example.com>`; see `Address.read`.

    With `each`, every recipient in `to` gets a message of their own, with the variables that stand there under their
    address on top of `variables`; they do not see each other. Variables are for a template: a body has no places for
    them that every vendor would know. `send_at` is in seconds since 1970. `unsubscribe_url` is
    offered by one click (RFC 8058), and `unsubscribe_email` by mail (RFC 2369). `extra` is passed to the vendor as it
    is, by the connection's name: what no other vendor knows.
    """

    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = {}
    #: The vendor's id of a template; the subject and the bodies are its.
    template: str | None = None
    variables: Mapping[str, Any] = {}
    each: Mapping[str, Mapping[str, Any]] = {}
    track_opens: bool | None = None
    track_clicks: bool | None = None
    send_at: float | None = None
    unsubscribe_url: str | None = None
    unsubscribe_email: str | None = None
    extra: Mapping[str, Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        if not (self.to or self.cc or self.bcc):
            raise InvalidArgumentError(
                "The message goes to nobody.", hint="Give at least one address in to, cc or bcc."
            )
        check_line(self.subject, "The subject")
        for name, value in self.headers:
            check_header(name, value)
        for text in (*self.tags, *self.metadata, *self.metadata.values()):
            check_line(text, "A tag, or what stands in the metadata,")
        for url in (self.unsubscribe_url, self.unsubscribe_email):
            check_line(url or "", "What unsubscribes")
        if self.template is None and not (self.text or self.html):
            raise InvalidArgumentError("The message has no body.", hint="Give text, html, or a template.")
        if self.template is not None and (self.text or self.html):
            raise InvalidArgumentError(
                "The message has a body and a template.", hint="Leave text and html to the template."
            )
        self._check_each()

    def _check_each(self) -> None:
        if not self.each:
            return
        if self.cc or self.bcc:
            raise InvalidArgumentError(
                "The message has variables for each recipient, and copies.", hint="Send each recipient in to their own."
            )
        unknown = self.each.keys() - {address.email for address in self.to}
        missing = {address.email for address in self.to} - self.each.keys()
        if unknown or missing:
            raise InvalidArgumentError(
                f"{len(unknown)} addresses in each are not in to, and {len(missing)} in to are not in each.",
                hint="Give variables for each recipient in to, and for nobody else; empty ones are fine.",
            )

    def __repr__(self) -> str:  # who writes what to whom is private
        return f"EmailMessage({len(self.recipients)} recipients)"

    @property
    def recipients(self) -> tuple[Address, ...]:
        """Everybody who gets it."""
        return (*self.to, *self.cc, *self.bcc)

    @property
    def size(self) -> int:
        """How many bytes bodies and attachments have, before they are encoded."""
        bodies = sum(len(each.encode()) for each in (self.text, self.html) if each)
        return bodies + sum(len(each.content) for each in self.attachments)

    @property
    def features(self) -> frozenset[Feature]:
        """What of it not every vendor has."""
        asked = {
            Feature.ATTACHMENTS: any(each.content_id is None for each in self.attachments),
            Feature.INLINE_IMAGES: any(each.content_id is not None for each in self.attachments),
            Feature.HEADERS: bool(self.headers),
            Feature.REPLY_TO_SEVERAL: len(self.reply_to) > 1,
            Feature.TAG: len(self.tags) == 1,
            Feature.TAGS: len(self.tags) > 1,
            Feature.METADATA: bool(self.metadata),
            Feature.TEMPLATE: self.template is not None,
            Feature.EACH: bool(self.each),
            Feature.TRACK_OPENS: self.track_opens is not None,
            Feature.TRACK_CLICKS: self.track_clicks is not None,
            Feature.SEND_AT: self.send_at is not None,
            Feature.UNSUBSCRIBE: bool(self.unsubscribe_url or self.unsubscribe_email),
        }
        return frozenset(feature for feature, is_asked in asked.items() if is_asked)

    def variables_for(self, address: Address) -> Mapping[str, Any]:
        """Return what a template is filled with for one recipient."""
        return {**self.variables, **self.each.get(address.email, {})}

    def all_headers(self) -> dict[str, str]:
        """Return the message's own headers, and those that offer to unsubscribe."""
        return dict((*self.headers, *self.unsubscribe_headers()))

    def unsubscribe_headers(self) -> tuple[tuple[str, str], ...]:
        """Return the headers that offer to unsubscribe, for vendors that have no field for it."""
        targets = [f"<mailto:{self.unsubscribe_email}>"] if self.unsubscribe_email else []
        targets += [f"<{self.unsubscribe_url}>"] if self.unsubscribe_url else []
        if not targets:
            return ()
        one_click = (("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),) if self.unsubscribe_url else ()
        return (("List-Unsubscribe", ", ".join(targets)), *one_click)


class Taken(StrEnum):
    """What the vendor said of one recipient when it was given the message."""

    #: It will try to deliver; what comes of it is told by webhooks.
    ACCEPTED = "accepted"
    #: It will not: the address is suppressed, or not allowed.
    REJECTED = "rejected"


class RecipientReceipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of it for one recipient. `id` is the vendor's id of their message, where each has one."""

    email: str
    taken: Taken = Taken.ACCEPTED
    id: str | None = None
    #: The vendor's code and words, where it will not.
    reason: str | None = None


class EmailReceipt(Answer, frozen=True, kw_only=True):
    """The vendor has taken the message. `ref` is its id there, by which webhooks tell what becomes of it."""

    ref: Ref
    recipients: tuple[RecipientReceipt, ...] = ()
    #: It may have been sent before, too: nobody knew, and the caller preferred a second one to none.
    is_resent: bool = False


class EmailStatus(Answer, frozen=True, kw_only=True):
    """What the vendor says of a message by now, in neutral words (`email.delivered`) where there are some."""

    ref: Ref
    events: tuple[str, ...] = ()


#: Where in the vendor's metadata our name for the call travels.
CALL_FIELD = "fairlead_call"


class Email(Acting):
    """The operations of the capability; `send` is overridden by every provider.

    Its first line is `self.check(message)`, so that what the vendor lacks is refused before anything is sent. Where
    the vendor has a field for it, `self.reference` travels in the metadata as `fairlead_call`: webhooks and look-ups
    tell by it which call a message belongs to.
    """

    EFFECTS: Mapping[str, Effect] = {"send": Effect.ONCE, "status": Effect.READ}
    MANY: Mapping[str, str] = {}
    #: What the vendor can do.
    FEATURES: ClassVar[frozenset[Feature]] = frozenset()
    #: The most bytes of bodies and attachments, before they are encoded; and the most recipients.
    MAX_BYTES: ClassVar[int] = 10 * 1024 * 1024
    MAX_RECIPIENTS: ClassVar[int] = 50
    #: The most where each gets a message of their own; None where that makes no difference.
    MAX_EACH: ClassVar[int | None] = None
    #: The vendor takes no message that goes to copies alone.
    NEEDS_TO: ClassVar[bool] = False

    def __init__(self, connection: str) -> None:
        self.connection = connection

    def check(self, message: EmailMessage) -> None:
        """Raise `UnsupportedFeatureError` for what the vendor cannot carry: another vendor may."""
        lacking = sorted(message.features - self.FEATURES)
        if lacking:
            raise UnsupportedFeatureError(f"This provider has no {', no '.join(lacking)}.")
        if message.size > self.MAX_BYTES:
            raise UnsupportedFeatureError(
                f"The message has {message.size:,} bytes, and this provider takes {self.MAX_BYTES:,}.",
                hint="Send a link in place of the attachment.",
            )
        most = (self.MAX_EACH if message.each else None) or self.MAX_RECIPIENTS
        if len(message.recipients) > most:
            raise UnsupportedFeatureError(
                f"The message has {len(message.recipients)} recipients, and this provider takes {most}.",
                hint="Send it in several.",
            )
        if self.NEEDS_TO and not message.to:
            raise UnsupportedFeatureError(
                "The message goes to copies alone, and this provider wants an address in to.",
                hint="Put one of the recipients into to.",
            )
        if message.template is None and (message.variables or any(message.each.values())):
            raise UnsupportedFeatureError(
                "The message has variables, and no template that they would be put into.",
                hint="Keep the template at the vendor, and give its id; or put the values into the body yourself.",
            )

    def marked(self, message: EmailMessage) -> dict[str, str]:
        """Return the message's metadata with our name for the call, which webhooks and look-ups find it by."""
        return {**message.metadata, **({CALL_FIELD: self.reference} if self.reference else {})}

    def extra(self, message: EmailMessage) -> Mapping[str, Any]:
        """Return what the caller passes to this connection's vendor alone."""
        return message.extra.get(self.connection, {})

    def send(self, message: EmailMessage) -> Operation[EmailReceipt]:
        """Send it: once."""
        raise UnsupportedFeatureError("This provider cannot send email.")

    def status(self, identifier: str) -> Operation[EmailStatus]:
        """Return what the vendor says of a message by now."""
        raise UnsupportedFeatureError("This provider cannot say what became of a message.")


def accepted(recipients: Sequence[Address], identifier: str | None = None) -> tuple[RecipientReceipt, ...]:
    """Return receipts of a vendor that took all of them."""
    return tuple(RecipientReceipt(email=each.email, id=identifier) for each in recipients)
