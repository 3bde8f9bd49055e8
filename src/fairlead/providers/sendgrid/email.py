"""Email by POST /v3/mail/send, looked up by the Email Activity API.

The vendor has no idempotency key. What it accepted is found by a custom argument, in its activity feed, which accounts
pay for beside their plan, and which has nothing of subusers in the EU: so nothing found counts only where the feed
shows something else that is younger.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from fairlead.capabilities.email import (
    CALL_FIELD,
    Attachment,
    Email,
    EmailMessage,
    EmailReceipt,
    EmailStatus,
    Feature,
    RecipientReceipt,
    accepted,
)
from fairlead.capabilities.mailbox import Address
from fairlead.errors import ForbiddenError
from fairlead.model.call import Ref
from fairlead.model.message import Request
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect
from fairlead.spec.answer import decode
from fairlead.spec.settlement import Absent, Case, Found, Seen, Settlement

_SEND = "/v3/mail/send"
_ACTIVITY = "/v3/messages"
#: How long it takes until a message is in the feed is not said anywhere (2026-11-25): an hour is our caution.
_VISIBLE_AFTER_S = 3600.0
_DAY_S = 86_400.0
#: How many messages a status is told of in detail: six requests a minute are allowed (page 'Email Activity').
_DETAILS = 3
_MOST_RECIPIENTS = 1000
_EVENTS = {
    "delivered": "email.delivered",
    "deferred": "email.deferred",
    "bounced": "email.bounced",
    "dropped": "email.dropped",
    "spam_report": "email.complained",
    "unsubscribe": "email.unsubscribed",
    "group_unsubscribe": "email.unsubscribed",
    "opened": "email.opened",
    "clicked": "email.clicked",
}


class _Message(msgspec.Struct):
    msg_id: str
    to_email: str = ""
    status: str | None = None
    opens_count: int = 0
    clicks_count: int = 0


class _Messages(msgspec.Struct):
    messages: list[_Message] = []


class _Event(msgspec.Struct):
    event_name: str


class _Detail(msgspec.Struct):
    events: list[_Event] = []


class _Scopes(msgspec.Struct):
    scopes: list[str]


class SendgridEmail(Email):
    """Send, and say what the activity feed has on it."""

    FEATURES = frozenset(Feature)
    #: 30 MiB once encoded (its SMTP service says SIZE 31457280: mautic/mautic issue 8721, 2020-04-23), and base64 makes
    #: four bytes of three.
    MAX_BYTES = 23_000_000
    #: Page 'Errors' of the Mail Send API: 'a limit of 1000 total recipients' (2026-07-02).
    MAX_RECIPIENTS = _MOST_RECIPIENTS
    NEEDS_TO = True
    SETTLE: ClassVar[Mapping[str, Settlement]] = {"send": Settlement(look="look", visible_after_s=_VISIBLE_AFTER_S)}

    def send(self, message: EmailMessage) -> Operation[EmailReceipt]:
        """Follow POST /v3/mail/send; what is suppressed is taken as well, and told to be dropped by a webhook."""
        self.check(message)
        body = {**build_mail(message, self.marked(message)), **self.extra(message)}
        response = yield Request.post(_SEND, json=body, effect=Effect.ONCE)
        # Without an id it was only looked at: `mail_settings.sandbox_mode`.
        identifier = response.headers.get("x-message-id") or self.reference
        return EmailReceipt(ref=Ref(self.connection, identifier), recipients=accepted(message.recipients))

    def status(self, identifier: str) -> Operation[EmailStatus]:
        """Follow GET /v3/messages by the id that sending answered with; each recipient's message begins with it."""
        found = yield from _search(f"msg_id LIKE '{_quoted(identifier)}%'")
        events: list[str] = []
        undelivered = [each.msg_id for each in found if each.status == "not_delivered"][:_DETAILS]
        for name in undelivered:
            response = yield Request.get(f"{_ACTIVITY}/{quote(name, safe='')}")
            events += [
                _EVENTS[each.event_name] for each in decode(response, _Detail).events if each.event_name in _EVENTS
            ]
        for each in found:
            events += ["email.delivered"] * (each.status == "delivered")
            events += ["email.opened"] * (each.opens_count > 0) + ["email.clicked"] * (each.clicks_count > 0)
        return EmailStatus(ref=Ref(self.connection, identifier), events=tuple(dict.fromkeys(events)))

    def look(self, case: Case) -> Operation[Seen]:
        """Search the feed for the custom argument; nothing there says something only where the feed goes on."""
        found = yield from _search(f"(unique_args['{CALL_FIELD}']=\"{_quoted(case.reference)}\")")
        if found:
            identifier = found[0].msg_id.partition(".")[0]
            receipts = tuple(RecipientReceipt(email=each.to_email) for each in found)
            return Found(EmailReceipt(ref=Ref(self.connection, identifier), recipients=receipts))
        message: EmailMessage = case.arguments[0]
        if message.send_at is not None:  # it comes into the feed when it is sent
            return None
        since, until = _time(case.sent_at + _VISIBLE_AFTER_S), _time(case.sent_at + 30 * _DAY_S)
        later = yield from _search(f'last_event_time BETWEEN TIMESTAMP "{since}" AND TIMESTAMP "{until}"', limit=1)
        return Absent("the activity feed has later messages, and not this one") if later else None


def _search(query: str, *, limit: int = _MOST_RECIPIENTS) -> Operation[list[_Message]]:
    """Ask the feed; how a query is written is on the page 'Getting Started with the Email Activity Feed API'."""
    response = yield Request.get(_ACTIVITY, query={"query": query, "limit": limit})
    return decode(response, _Messages).messages


def _quoted(text: str) -> str:
    """Leave out what would end a quotation."""
    return "".join(each for each in text if each.isalnum() or each in "-_.:/")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def build_mail(message: EmailMessage, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of the request. The custom arguments are each personalization's: there the contract is right."""
    optional = {
        "reply_to_list": [build_address(each) for each in message.reply_to],
        "subject": message.subject,
        "content": build_content(message),
        "attachments": [build_attachment(each) for each in message.attachments],
        "headers": message.all_headers(),
        "categories": list(message.tags),
        "template_id": message.template,
        "tracking_settings": build_tracking(message),
    }
    body: dict[str, Any] = {name: value for name, value in optional.items() if value}
    if message.send_at is not None:
        body["send_at"] = int(message.send_at)
    return {
        "personalizations": build_personalizations(message, metadata),
        "from": build_address(message.sender),
        **body,
    }


def build_personalizations(message: EmailMessage, metadata: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return one envelope for all, or one for each recipient."""
    arguments = {"custom_args": dict(metadata)} if metadata else {}
    if message.each:
        return [
            {"to": [build_address(each)], **arguments, **build_variables(message, message.variables_for(each))}
            for each in message.to
        ]
    envelope = {
        name: [build_address(each) for each in addresses]
        for name, addresses in (("to", message.to), ("cc", message.cc), ("bcc", message.bcc))
        if addresses
    }
    return [{**envelope, **arguments, **build_variables(message, message.variables)}]


def build_variables(message: EmailMessage, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what fills the template: dynamic ones, whose id begins with d-, take JSON, and older ones only text."""
    if not variables:
        return {}
    if (message.template or "").startswith("d-"):
        return {"dynamic_template_data": dict(variables)}
    return {"substitutions": {name: str(value) for name, value in variables.items()}}


def build_content(message: EmailMessage) -> list[dict[str, str]]:
    """Return the bodies; plain text comes first (page 'Errors': 'text/plain must come first')."""
    bodies = (("text/plain", message.text), ("text/html", message.html))
    return [{"type": kind, "value": text} for kind, text in bodies if text]


def build_address(address: Address) -> dict[str, str]:
    """Return an address; the vendor writes the header, and so what is in a name cannot become another address."""
    return {"email": address.email, **({"name": address.name} if address.name else {})}


def build_attachment(attachment: Attachment) -> dict[str, Any]:
    """Return a file; bytes become base64 where they become JSON."""
    inline = {"disposition": "inline", "content_id": attachment.content_id} if attachment.content_id else {}
    return {"content": attachment.content, "filename": attachment.name, "type": attachment.type, **inline}


def build_tracking(message: EmailMessage) -> dict[str, Any]:
    """Return the settings that the message differs in from those of the account."""
    opens, clicks = message.track_opens, message.track_clicks
    return {
        **({} if opens is None else {"open_tracking": {"enable": opens}}),
        **({} if clicks is None else {"click_tracking": {"enable": clicks}}),
    }


def probe() -> Operation[None]:
    """Follow GET /v3/scopes, which every key may ask; raise `ForbiddenError` for one that may not send."""
    response = yield Request.get("/v3/scopes")
    if "mail.send" not in decode(response, _Scopes).scopes:
        raise ForbiddenError("The key may not send mail.", hint="Give it 'Mail Send' in Settings, API Keys.")
