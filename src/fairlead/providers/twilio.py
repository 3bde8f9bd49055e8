"""Twilio: what became of a message, and messages that came.

The address is signed with the form: it must be given to us as Twilio called it. Its header `I-Twilio-Idempotency-Token`
is not signed, and so tells no repeats apart here. Facts: twilio-python test_request_validator.py (306691e), the page
'Track the message status'; read 2026-11-25.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from fairlead.capabilities.news.messages import MessageNews
from fairlead.errors import WebhookError, WebhookReason
from fairlead.model.event import Event, Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.encoding import Encoding
from fairlead.spec.notice import content_key, form_pairs, parse_form
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import HmacScheme, Signed, Webhooks

_PORTS = {"https": 443, "http": 80}
_TYPES = {
    "accepted": "message.queued",
    "scheduled": "message.queued",
    "queued": "message.queued",
    "sent": "message.sent",
    "delivered": "message.delivered",
    "read": "message.read",
    "undelivered": "message.failed",
    "failed": "message.failed",
    "received": "message.received",
}


def find_signature(incoming: Incoming) -> Signed:
    """Return what may have been signed: the address, with its port or without, and the form in the order of names.

    A body that is no form is not signed itself, but its digest, which is a parameter of the address.
    """
    signature = incoming.headers.get("x-twilio-signature")
    if not signature:
        raise WebhookError.of(WebhookReason.UNSIGNED)
    digest = dict(parse_qsl(urlsplit(incoming.url).query)).get("bodySHA256")
    if digest is None:
        form: dict[str, set[str]] = {}
        for name, value in form_pairs(incoming.body):
            form.setdefault(name, set()).add(value)
        rest = "".join(f"{name}{value}" for name in sorted(form) for value in sorted(form[name]))
    elif hmac.compare_digest(hashlib.sha256(incoming.body).hexdigest().encode(), digest.encode(errors="replace")):
        rest = ""
    else:
        raise WebhookError.of(WebhookReason.BAD_SIGNATURE)
    messages = tuple(f"{url}{rest}".encode(errors="replace") for url in _spellings(incoming.url))
    return Signed(messages=messages, signatures=(signature,))


def _spellings(url: str) -> tuple[str, ...]:
    """Return the address with its port and without: Twilio signs either."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2].removesuffix(f":{parts.port}")
        with_port = f"{host}:{parts.port or _PORTS.get(parts.scheme)}"
    except ValueError:
        raise WebhookError.of(WebhookReason.MALFORMED) from None
    others = (urlunsplit(parts._replace(netloc=each)) for each in (host, with_port))
    return tuple(dict.fromkeys((url, *others)))


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one event of a delivery: its type is the status of the message or of the call."""
    form = parse_form(incoming.body)
    subject = form.get("MessageSid") or form.get("SmsSid") or form.get("CallSid")
    status = form.get("MessageStatus") or form.get("SmsStatus") or form.get("CallStatus") or ""
    key = f"{subject}:{status}" if subject and status else content_key(incoming.body)
    kind = f"call.{status}" if "CallSid" in form else f"message.{status}" if subject else "other"
    return (Notice(key=key, type=kind, subject=subject, body=incoming.body),)


def normalise(kind: str, body: bytes) -> Event | None:
    """Return what an event means; when it happened is not told."""
    family, _, status = kind.partition(".")
    if family != "message" or status not in _TYPES:
        return None
    form = parse_form(body)
    to, sender = form.get("To", ""), form.get("From", "")
    channel = sender.partition(":")[0] if ":" in sender else "sms"
    is_ours = status != "received"
    data = MessageNews(
        channel=channel,
        sender=sender.removeprefix(f"{channel}:") or None,
        text=None if is_ours else form.get("Body"),
        error=form.get("ErrorCode") or None,
    )
    subject = form.get("MessageSid") or form.get("SmsSid")
    recipient = to.removeprefix(f"{channel}:") or None
    return Event(type=_TYPES[status], subject=subject, recipient=recipient, data=data)


PROVIDER = Provider(
    id="twilio",
    title="Twilio",
    docs_url="https://www.twilio.com/docs/usage/webhooks/webhooks-security",
    api_version="2010-04-01",
    base_url="https://api.twilio.com",
    credentials=(
        Credential(
            name="webhook_secret",
            label="Auth token of the account",
            help="Console, Account Info: 'Auth Token'. It signs even where an API key makes the calls",
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=HmacScheme(find=find_signature, algorithms=("sha1",), encoding=Encoding.BASE64),
        secrets=("webhook_secret",),
        split=split,
        normalise=normalise,
        source="twilio-python tests/unit/test_request_validator.py (306691e), read 2026-11-25",
    ),
)
