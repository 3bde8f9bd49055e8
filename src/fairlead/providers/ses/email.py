"""Email by POST /v2/email/outbound-emails, or by outbound-bulk-emails where each recipient gets a message of their own.

The vendor writes the MIME itself, except where it could not: pictures within the HTML, and headers that are not ASCII.
It has no idempotency key, and finds a message only by the id that its answer holds. A configuration set, by which its
events are published, is named in `extra`: `{"ConfigurationSetName": "..."}`, unless the sender's identity has one.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from fairlead.capabilities.email import (
    Attachment,
    Email,
    EmailMessage,
    EmailReceipt,
    EmailStatus,
    Feature,
    RecipientReceipt,
    Taken,
    accepted,
)
from fairlead.capabilities.mailbox import Address
from fairlead.capabilities.mime import build_mime, mailbox_field
from fairlead.errors import FairleadError, ForbiddenError, InvalidRequestError, ThrottledError, UnsupportedFeatureError
from fairlead.model.call import Ref
from fairlead.model.message import Request
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect, Outcome
from fairlead.spec.answer import decode
from fairlead.spec.settlement import Settlement, Unknowable

_SEND = "/v2/email/outbound-emails"
_SEND_EACH = "/v2/email/outbound-bulk-emails"
#: What may stand in a tag's name and value (API reference, 'MessageTag').
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
#: What may stand in a header's value (API reference, 'MessageHeader').
_HEADER = re.compile(r"[ -~]{1,995}")
#: Its event -> ours; that it was sent is no news.
_EVENTS = {
    "DELIVERY": "email.delivered",
    "DELIVERY_DELAY": "email.deferred",
    "BOUNCE": "email.bounced",
    "REJECT": "email.dropped",
    "RENDERING_FAILURE": "email.dropped",
    "COMPLAINT": "email.complained",
    "SUBSCRIPTION": "email.unsubscribed",
    "OPEN": "email.opened",
    "CLICK": "email.clicked",
}
#: Status of one message of several -> our error, where it is that of all.
_REFUSALS: Mapping[str, type[FairleadError]] = {
    "ACCOUNT_THROTTLED": ThrottledError,
    "ACCOUNT_DAILY_QUOTA_EXCEEDED": ThrottledError,
    "TEMPLATE_NOT_FOUND": InvalidRequestError,
    "CONFIGURATION_SET_NOT_FOUND": InvalidRequestError,
    "INVALID_PARAMETER": InvalidRequestError,
    "INVALID_SENDING_POOL_NAME": InvalidRequestError,
}


class _Sent(msgspec.Struct, rename="pascal"):
    message_id: str


class _Result(msgspec.Struct, rename="pascal"):
    status: str
    error: str | None = None
    message_id: str | None = None


class _Results(msgspec.Struct, rename="pascal"):
    bulk_email_entry_results: tuple[_Result, ...]


class _Event(msgspec.Struct, rename="pascal"):
    type: str = ""


class _Insight(msgspec.Struct, rename="pascal"):
    events: tuple[_Event, ...] = ()


class _Insights(msgspec.Struct, rename="pascal"):
    insights: tuple[_Insight, ...] = ()


class SesEmail(Email):
    """Send, and say what the vendor's insights have on a message."""

    FEATURES: ClassVar[frozenset[Feature]] = frozenset(
        {
            Feature.ATTACHMENTS,
            Feature.INLINE_IMAGES,
            Feature.HEADERS,
            Feature.REPLY_TO_SEVERAL,
            Feature.TAG,
            Feature.METADATA,
            Feature.TEMPLATE,
            Feature.EACH,
            Feature.UNSUBSCRIBE,
        }
    )
    #: Page 'Service quotas' (2026-11-25): 40 MB encoded, which is about 137% ('Managing your sending limits').
    MAX_BYTES: ClassVar[int] = 29 * 1024 * 1024
    #: Page 'Service quotas': To, Cc and Bcc together.
    MAX_RECIPIENTS: ClassVar[int] = 50
    SETTLE: ClassVar[Mapping[str, Settlement | Unknowable]] = {
        "send": Unknowable(
            "GetMessageInsights finds a message only by the id that the lost answer held, and nothing lists what was "
            "sent (API 2019-09-27, read 2026-11-25). Its events carry the tag fairlead_call."
        )
    }

    def send(self, message: EmailMessage) -> Operation[EmailReceipt]:
        """Follow SendEmail, or SendBulkEmail; what is suppressed is taken as well, and told to bounce by a webhook."""
        self.check(message)
        tags = build_tags(message, self.reference)
        if message.each:
            receipt = yield from self._send_each(message, tags)
            return receipt
        body = {**build_email(message, tags), **self.extra(message)}
        response = yield Request.post(_SEND, json=body, effect=Effect.ONCE)
        sent = decode(response, _Sent)
        return EmailReceipt(ref=Ref(self.connection, sent.message_id), recipients=accepted(message.recipients))

    def _send_each(self, message: EmailMessage, tags: Sequence[Mapping[str, str]]) -> Operation[EmailReceipt]:
        body = {**build_bulk(message, tags), **self.extra(message)}
        response = yield Request.post(_SEND_EACH, json=body, effect=Effect.ONCE)
        results = decode(response, _Results).bulk_email_entry_results
        taken = [each.message_id for each in results if each.status == "SUCCESS" and each.message_id]
        if not taken:
            raise _refusal(results)
        pairs = zip(message.to, results, strict=True)
        return EmailReceipt(ref=Ref(self.connection, taken[0]), recipients=tuple(_receipt(*pair) for pair in pairs))

    def status(self, identifier: str) -> Operation[EmailStatus]:
        """Follow GetMessageInsights; it wants Virtual Deliverability Manager, and no more than one call a second."""
        response = yield Request.get(f"/v2/email/insights/{quote(identifier, safe='')}/")
        told = [event.type for each in decode(response, _Insights).insights for event in each.events]
        events = tuple(dict.fromkeys(_EVENTS[each] for each in told if each in _EVENTS))
        return EmailStatus(ref=Ref(self.connection, identifier), events=events)


def probe() -> Operation[None]:
    """Ask how the account stands, for which the key must be allowed ses:GetAccount."""
    yield Request.get("/v2/email/account")


def _receipt(address: Address, result: _Result) -> RecipientReceipt:
    if result.status == "SUCCESS":
        return RecipientReceipt(email=address.email, id=result.message_id)
    reason = f"{result.status} {result.error or ''}".strip()
    return RecipientReceipt(email=address.email, taken=Taken.REJECTED, reason=reason)


def _refusal(results: Sequence[_Result]) -> FairleadError:
    """Return the error of a request of which nothing was taken."""
    first = results[0] if results else _Result(status="FAILED")
    kind = _REFUSALS.get(first.status, ForbiddenError)
    return kind(
        f"The vendor took none of {len(results)} messages: {first.status}. {first.error or ''}".strip(),
        hint="Look into the account and the template in the vendor's console.",
        outcome=Outcome.NOT_DONE,
    )


# --- Requests -----------------------------------------------------------------------------------------------------


def build_email(message: EmailMessage, tags: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return the body of SendEmail."""
    destination = {"ToAddresses": message.to, "CcAddresses": message.cc, "BccAddresses": message.bcc}
    return {
        **_envelope(message),
        "Destination": {name: _addresses(each) for name, each in destination.items() if each},
        "Content": build_content(message),
        **({"EmailTags": tags} if tags else {}),
    }


def build_bulk(message: EmailMessage, tags: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return the body of SendBulkEmail, with a message for each recipient."""
    entries = [
        {
            "Destination": {"ToAddresses": _addresses((each,))},
            "ReplacementEmailContent": {
                "ReplacementTemplate": {
                    "ReplacementTemplateData": _data({**message.variables, **message.each[each.email]})
                }
            },
        }
        for each in message.to
    ]
    return {
        **_envelope(message),
        "DefaultContent": {"Template": build_template(message)},
        "BulkEmailEntries": entries,
        **({"DefaultEmailTags": tags} if tags else {}),
    }


def _envelope(message: EmailMessage) -> dict[str, Any]:
    reply_to = {"ReplyToAddresses": _addresses(message.reply_to)} if message.reply_to else {}
    return {"FromEmailAddress": _addresses((message.sender,))[0], **reply_to}


def build_content(message: EmailMessage) -> dict[str, Any]:
    """Return the message: a template's, one that the vendor writes, or one that is already written."""
    if message.template is not None:
        return {"Template": build_template(message)}
    headers = (*message.headers, *message.unsubscribe_headers())
    has_pictures = any(each.content_id is not None for each in message.attachments)
    if has_pictures or not all(_HEADER.fullmatch(value) for _, value in headers):
        return {"Raw": {"Data": b64encode(build_mime(message)).decode()}}
    bodies = {"Text": message.text, "Html": message.html}
    return {
        "Simple": {
            "Subject": _text(message.subject),
            "Body": {name: _text(text) for name, text in bodies.items() if text},
            **_extras(message),
        }
    }


def build_template(message: EmailMessage) -> dict[str, Any]:
    """Return a template: one that is kept there, by name or ARN, or the message's own bodies."""
    name = message.template
    if name is not None:
        kept = {"TemplateArn" if name.startswith("arn:") else "TemplateName": name}
        return {**kept, "TemplateData": _data(message.variables), **_extras(message)}
    bodies = {"Subject": message.subject, "Text": message.text, "Html": message.html}
    given = {name: text for name, text in bodies.items() if text}
    if any("{{" in text for text in given.values()):
        raise UnsupportedFeatureError(
            "This provider would take {{ in a body for the place of a variable.",
            hint="Keep the template at the vendor, or send each recipient a message.",
        )
    return {"TemplateContent": given, "TemplateData": _data(message.variables), **_extras(message)}


def _extras(message: EmailMessage) -> dict[str, Any]:
    headers = [{"Name": name, "Value": value} for name, value in (*message.headers, *message.unsubscribe_headers())]
    extras = {"Headers": headers, "Attachments": [build_attachment(each) for each in message.attachments]}
    return {name: value for name, value in extras.items() if value}


def build_attachment(attachment: Attachment) -> dict[str, Any]:
    """Return a file, or a picture of the HTML."""
    picture = {"ContentId": attachment.content_id} if attachment.content_id is not None else {}
    return {
        "FileName": attachment.name,
        "ContentType": attachment.type,
        "ContentDisposition": "INLINE" if picture else "ATTACHMENT",
        "ContentTransferEncoding": "BASE64",
        "RawContent": b64encode(attachment.content).decode(),
        **picture,
    }


def build_tags(message: EmailMessage, reference: str) -> list[dict[str, str]]:
    """Return the metadata, the tag and our name for the call; raise where the vendor could not carry them."""
    pairs = [*message.metadata.items(), *(("tag", tag) for tag in message.tags)]
    if not all(_TAG.fullmatch(name) and _TAG.fullmatch(value) for name, value in pairs):
        raise UnsupportedFeatureError(
            "This provider takes only letters, digits, _ and - in tags and metadata.",
            hint="Send an id, and keep the rest under it.",
        )
    if _TAG.fullmatch(reference):
        pairs.append(("fairlead_call", reference))
    return [{"Name": name, "Value": value} for name, value in pairs]


def _addresses(addresses: Sequence[Address]) -> list[str]:
    """Write addresses on one line each; what is not ASCII in a name is encoded (RFC 2047)."""
    return [mailbox_field(each).replace("\r\n", "") for each in addresses]


def _text(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _data(variables: Mapping[str, Any]) -> str:
    return msgspec.json.encode(variables).decode()
