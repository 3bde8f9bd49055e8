"""Email by POST /v3/{domain}/messages, looked up by GET /v3/{domain}/events.

The vendor has no idempotency key. What it accepted is found among the events of the first recipient, which carry the
message's variables; the vendor trusts its events to be all there after half an hour ('Event polling', read 2026-11-25).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, ClassVar

import msgspec

from fairlead.capabilities.email import (
    CALL_FIELD,
    Email,
    EmailMessage,
    EmailReceipt,
    EmailStatus,
    Feature,
    accepted,
)
from fairlead.errors import InvalidArgumentError, UnsupportedFeatureError
from fairlead.model.call import Ref
from fairlead.model.message import Request, build_request
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect
from fairlead.spec.answer import decode
from fairlead.spec.multipart import FormFile, build_form
from fairlead.spec.settlement import Absent, Case, Found, Seen, Settlement

_SEND = "/v3/{domain}/messages"
_EVENTS = "/v3/{domain}/events"
_VISIBLE_AFTER_S = 1800.0
#: Clocks differ, and the event bears the vendor's.
_EARLIER_S = 300.0
_MOST_EVENTS = 300
_YES_NO = {True: "yes", False: "no"}
_MEANINGS = {
    "delivered": "email.delivered",
    "rejected": "email.dropped",
    "complained": "email.complained",
    "unsubscribed": "email.unsubscribed",
    "opened": "email.opened",
    "clicked": "email.clicked",
}


class _Sent(msgspec.Struct):
    id: str


class _Headers(msgspec.Struct, rename="kebab"):
    message_id: str = ""


class _Message(msgspec.Struct):
    headers: _Headers = msgspec.field(default_factory=_Headers)


class _Event(msgspec.Struct, rename="kebab"):
    event: str = ""
    severity: str | None = None
    reason: str | None = None
    user_variables: dict[str, Any] = {}
    message: _Message = msgspec.field(default_factory=_Message)


class _Events(msgspec.Struct):
    items: list[_Event] = []


class MailgunEmail(Email):
    """Send, and say what the events have on a message."""

    FEATURES = frozenset(Feature)
    #: 25 MB once encoded (page 'Messages', read 2026-11-25), and base64 makes four bytes of three.
    MAX_BYTES = 18_000_000
    #: The contract's `recipient-variables`: 'Maximum 1,000 recipients per batch'.
    MAX_RECIPIENTS = 1000
    NEEDS_TO = True
    SETTLE: ClassVar[Mapping[str, Settlement]] = {"send": Settlement(look="look", visible_after_s=_VISIBLE_AFTER_S)}

    def send(self, message: EmailMessage) -> Operation[EmailReceipt]:
        """Follow POST /v3/{domain}/messages; what is suppressed is taken as well, and told of by a webhook."""
        self.check(message)
        check_variables(message)
        fields = [*iter_fields(message, self.marked(message)), *iter_extra(self.extra(message))]
        kind, body = build_form(fields, list(iter_files(message)))
        response = yield build_request("POST", _SEND, effect=Effect.ONCE, body=body, headers={"content-type": kind})
        identifier = decode(response, _Sent).id.strip("<>")
        return EmailReceipt(ref=Ref(self.connection, identifier), recipients=accepted(message.recipients))

    def status(self, identifier: str) -> Operation[EmailStatus]:
        """Follow GET /v3/{domain}/events by the message's id."""
        found = yield from _search({"message-id": identifier})
        told = (meaning_of(each) for each in found)
        events = tuple(dict.fromkeys(each for each in told if each))
        return EmailStatus(ref=Ref(self.connection, identifier), events=events)

    def look(self, case: Case) -> Operation[Seen]:
        """Read what was accepted for the first recipient since, and find the call's name among the variables."""
        message: EmailMessage = case.arguments[0]
        wanted = {
            "event": "accepted",
            "recipient": message.to[0].email,
            "begin": f"{case.sent_at - _EARLIER_S:.0f}",
            "ascending": "yes",
        }
        found = yield from _search(wanted)
        for each in found:
            if each.user_variables.get(CALL_FIELD) == case.reference:
                ref = Ref(self.connection, each.message.headers.message_id)
                return Found(EmailReceipt(ref=ref, recipients=accepted(message.recipients)))
        if len(found) >= _MOST_EVENTS:  # it may be on another page
            return None
        return Absent("no event of the recipient has the call's name among its variables")


def _search(wanted: Mapping[str, str]) -> Operation[list[_Event]]:
    response = yield Request.get(_EVENTS, query={**wanted, "limit": _MOST_EVENTS})
    return decode(response, _Events).items


def meaning_of(event: _Event) -> str | None:
    """Return the neutral word for an event."""
    if event.event != "failed":
        return _MEANINGS.get(event.event)
    if event.severity == "temporary":
        return "email.deferred"
    return "email.dropped" if (event.reason or "").startswith("suppress-") else "email.bounced"


def check_variables(message: EmailMessage) -> None:
    """Raise `UnsupportedFeatureError` for variables that the vendor cannot carry to each recipient."""
    if not (message.each and message.template):
        return
    found = [message.variables_for(each) for each in message.to]
    if not all(isinstance(value, str | int | float) for each in found for value in each.values()):
        raise UnsupportedFeatureError(
            "This provider fills the template of each recipient with texts and numbers alone.",
            hint="Write lists and tables into texts, or send to each by a call of its own.",
        )
    if any({*each} & {*message.metadata, CALL_FIELD} for each in found):
        raise UnsupportedFeatureError(
            "A variable is called as something in the metadata is: this provider keeps both in one place.",
            hint="Rename one of them.",
        )


def iter_fields(message: EmailMessage, metadata: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the fields of the form; what may be said several times is."""
    yield "from", str(message.sender)
    for name, addresses in (("to", message.to), ("cc", message.cc), ("bcc", message.bcc)):
        yield from ((name, str(each)) for each in addresses)
    if message.subject or not message.template:
        yield "subject", message.subject
    for name, text in (("text", message.text), ("html", message.html), ("template", message.template)):
        if text:
            yield name, text
    if message.reply_to:
        yield "h:Reply-To", ", ".join(map(str, message.reply_to))
    yield from ((f"h:{name}", value) for name, value in message.all_headers().items())
    yield from (("o:tag", each) for each in message.tags)
    yield from ((f"v:{name}", value) for name, value in metadata.items())
    if metadata or message.tags:  # else whoever gets it could read them
        yield "o:suppress-headers", "X-Mailgun-Variables,X-Mailgun-Tag"
    if message.track_opens is not None:
        yield "o:tracking-opens", _YES_NO[message.track_opens]
    if message.track_clicks is not None:
        yield "o:tracking-clicks", _YES_NO[message.track_clicks]
    if message.send_at is not None:
        yield "o:deliverytime", format_datetime(datetime.fromtimestamp(message.send_at, UTC))
    yield from iter_variables(message)


def iter_variables(message: EmailMessage) -> Iterator[tuple[str, str]]:
    """Yield what fills the template. Each recipient's stand in a table, which variables of the message point into.

    A table, even of nothing, is also what makes it a message of their own for each.
    """
    if not message.each:
        if message.variables:
            yield "t:variables", json.dumps(dict(message.variables))
        return
    table = {each.email: message.variables_for(each) for each in message.to}
    names = dict.fromkeys(name for variables in table.values() for name in variables)
    yield from ((f"v:{name}", f"%recipient.{name}%") for name in names)
    filled = {email: {name: str(variables.get(name, "")) for name in names} for email, variables in table.items()}
    yield "recipient-variables", json.dumps(filled)


def iter_files(message: EmailMessage) -> Iterator[FormFile]:
    """Yield the files; the name of a picture of the HTML is its content id there."""
    for each in message.attachments:
        field, name = ("inline", each.content_id) if each.content_id else ("attachment", each.name)
        yield FormFile(field, name, each.type, each.content)


def iter_extra(extra: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield fields that the vendor alone knows, which are texts, or lists of them."""
    for name, value in extra.items():
        for each in value if isinstance(value, list | tuple) else (value,):
            if not isinstance(each, str):
                raise InvalidArgumentError(f"extra.{name} is no text.", hint="A form has texts, or lists of them.")
            yield name, each


def probe() -> Operation[None]:
    """Follow GET /v3/{domain}/events for one event, which proves key and domain."""
    response = yield Request.get(_EVENTS, query={"limit": 1})
    decode(response, _Events)
