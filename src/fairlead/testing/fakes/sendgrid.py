"""A stand-in for SendGrid's Web API v3: sending, the activity feed, the scopes of a key, and signed event webhooks.

Written from the vendor's OpenAPI descriptions (twilio/sendgrid-oai dbe0e0d, 2026-01-22). What they do not say, as the
sentence for used-up credits, is in `tests/providers/sendgrid/overlay.json` with its evidence.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64Error
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fairlead.model.headers import Pairs
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.mailroom import Enclosure, Letter, Mailbox, MailFake

#: The key that is accepted when nobody says otherwise.
API_KEY = "SG.fake.key"

_SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
_TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
_MOST_RECIPIENTS = 1000
_MOST_BYTES = 31_457_280
_PATHS = {
    ("POST", "SendMail"): re.compile("/v3/mail/send"),
    ("GET", "ListMessage"): re.compile("/v3/messages"),
    ("GET", "GetMessage"): re.compile("/v3/messages/([^/]+)"),
    ("GET", "ListScope"): re.compile("/v3/scopes"),
}
_BY_ARGUMENT = re.compile(r"""\(?unique_args\['([^']+)'\]="([^"]*)"\)?""")
_BY_PREFIX = re.compile("msg_id LIKE '([^'%]*)%'")
_BY_TIME = re.compile('last_event_time BETWEEN TIMESTAMP "([^"]+)" AND TIMESTAMP "([^"]+)"')
#: The webhook's word -> the feed's.
_FEED_WORDS = {
    "bounce": "bounced",
    "open": "opened",
    "click": "clicked",
    "spamreport": "spam_report",
}
_FAILED = {"bounce", "dropped"}
#: What the webhook tells beside its usual fields.
_DETAILS: Mapping[str, Mapping[str, Any]] = {
    "bounce": {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 No such mailbox"},
    "deferred": {"response": "451 4.7.1 Try again later", "attempt": "1"},
    "delivered": {"response": "250 OK"},
    "dropped": {"reason": "Bounced Address"},
    "click": {"url": "https://app.example/welcome"},
}


class _RefusalError(Exception):
    """The request is refused with this status, for this field."""

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field


class SendgridFake(MailFake):
    """A SendGrid that accepts `api_key`, with the feed if `has_activity`, as that is paid for apart.

    What goes to a suppressed address is taken, and told to be dropped only by its webhook.
    """

    CREDENTIALS: ClassVar[Mapping[str, str]] = {"api_key": API_KEY}

    def __init__(self, *, api_key: str = API_KEY, has_activity: bool = True, **settings: Any) -> None:
        super().__init__(**settings)
        self.api_key = api_key
        self.has_activity = has_activity
        self.scopes = ["mail.send", "email_activity.read"]
        self._signing_key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public_key(self) -> str:
        """The verification key of its webhooks, as the dashboard shows it."""
        key = self._signing_key.public_key()
        return b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()

    @property
    def webhook_secrets(self) -> Mapping[str, str]:
        """What its notices are verified with, by the name of the credential."""
        return {"webhook_public_key": self.public_key}

    def operation(self, request: FakeRequest) -> str:
        """Return the operation's name in the contract, or `unknown`."""
        matches = (
            name for (method, name), path in _PATHS.items() if method == request.method and path.fullmatch(request.path)
        )
        return next(matches, "unknown")

    def answer(self, request: FakeRequest) -> FakeReply:
        """Check the key, then the limits, then serve."""
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            return self.error(401)
        if self.faults.is_throttled:
            return msgspec.structs.replace(self.error(429), headers=self.faults.retry_after())
        serve: Callable[[FakeRequest], FakeReply] | None = {
            "SendMail": self._send,
            "ListMessage": self._list,
            "GetMessage": self._detail,
            "ListScope": lambda _: FakeReply.json(200, {"scopes": self.scopes}),
        }.get(self.operation(request))
        if serve is None:
            return self.error(404)
        try:
            return serve(request)
        except _RefusalError as refusal:
            return _error(refusal.status, str(refusal), refusal.field)

    def error(self, status: int) -> FakeReply:
        """Return the vendor's error."""
        sentences = {
            401: "authorization required",
            403: "access forbidden",
            404: "not found",
            413: "content too large",
            429: "too many requests",
        }
        return _error(status, sentences.get(status, "internal server error"))

    def _send(self, request: FakeRequest) -> FakeReply:
        """Follow POST /v3/mail/send: a letter for each personalization, under one id."""
        if self.faults.is_quota_exhausted:
            raise _RefusalError(401, "Maximum credits exceeded")
        if "mail.send" not in self.scopes:
            raise _RefusalError(403, "access forbidden")
        if len(request.body) > _MOST_BYTES:
            raise _RefusalError(413, "content too large")
        try:
            mail: dict[str, Any] = msgspec.json.decode(request.body, type=dict[str, Any])
            letters = list(self._letters(mail))
        except (msgspec.DecodeError, NotBase64Error, KeyError, TypeError, AttributeError):
            raise _RefusalError(400, "Bad Request") from None
        if sum(len(each.recipients) for each in letters) > _MOST_RECIPIENTS:
            raise _RefusalError(400, "There is a limit of 1000 total recipients (to + cc + bcc) per request.")
        if not self.sends_for(mail["from"]["email"]):
            raise _RefusalError(
                403,
                "The from address does not match a verified Sender Identity. "
                "Mail cannot be sent until this error is resolved.",
                "from",
            )
        if (mail.get("mail_settings") or {}).get("sandbox_mode", {}).get("enable"):
            return FakeReply(status=200, body=b"")
        self.sent += letters
        self.happened += [
            ("dropped", each, email) for each in letters for email in each.recipients if email in self.suppressed
        ]
        return FakeReply(status=202, body=b"", headers=(("X-Message-Id", letters[0].id),))

    def _letters(self, mail: dict[str, Any]) -> Iterator[Letter]:
        identifier, now = self.new_id().replace("-", "")[:22], self.clock.wall()
        bodies = {each["type"]: each["value"] for each in mail.get("content", ())}
        if not bodies and not mail.get("template_id"):
            raise _RefusalError(400, "The content parameter is required.", "content")
        replies = mail.get("reply_to_list") or ([mail["reply_to"]] if "reply_to" in mail else ())
        tracking = mail.get("tracking_settings", {})
        if not mail["personalizations"]:
            raise _RefusalError(400, "You must have at least one personalization.", "personalizations")
        for envelope in mail["personalizations"]:
            yield Letter(
                id=identifier,
                at=now,
                sender=_mailbox(mail["from"]),
                to=[_mailbox(each) for each in envelope["to"]],
                cc=[_mailbox(each) for each in envelope.get("cc", ())],
                bcc=[_mailbox(each) for each in envelope.get("bcc", ())],
                reply_to=[_mailbox(each) for each in replies],
                subject=envelope.get("subject", mail.get("subject", "")),
                text=bodies.get("text/plain"),
                html=bodies.get("text/html"),
                enclosures=[_enclosure(each) for each in mail.get("attachments", ())],
                headers={**mail.get("headers", {}), **envelope.get("headers", {})},
                tags=mail.get("categories", ()),
                metadata=envelope.get("custom_args", {}),
                template=mail.get("template_id"),
                variables=envelope.get("dynamic_template_data") or envelope.get("substitutions") or {},
                track_opens=tracking.get("open_tracking", {}).get("enable"),
                track_clicks=tracking.get("click_tracking", {}).get("enable"),
                send_at=envelope.get("send_at", mail.get("send_at")),
            )

    # The activity feed.

    def _list(self, request: FakeRequest) -> FakeReply:
        if not self.has_activity:
            raise _RefusalError(403, "access forbidden")
        query = request.value("query")
        if query is None:
            raise _RefusalError(400, "query is required")
        found = [entry for entry in self._feed() if _matches(query, *entry)]
        return FakeReply.json(
            200, {"messages": [self._entry(*each) for each in found[: int(request.value("limit") or 10)]]}
        )

    def _detail(self, request: FakeRequest) -> FakeReply:
        name = request.path.rpartition("/")[2]
        for letter, recipient, identifier in self._feed():
            if identifier == name:
                return FakeReply.json(
                    200,
                    {
                        **self._entry(letter, recipient, identifier),
                        "template_id": letter.template or "",
                        "asm_group_id": 1,
                        "teammate": "",
                        "api_key_id": "fake",
                        "events": [
                            {
                                "event_name": _FEED_WORDS.get(kind, kind),
                                "processed": _time(letter.at),
                                "bounce_type": "hard",
                                "http_user_agent": "",
                                "mx_server": "mx.example.com",
                            }
                            for kind in ("processed", *self.became_of(letter, recipient))
                        ],
                        "originating_ip": "192.0.2.1",
                        "categories": list(letter.tags),
                        "unique_args": msgspec.json.encode(letter.metadata).decode(),
                        "outbound_ip": "192.0.2.2",
                        "outbound_ip_type": "shared",
                    },
                )
        raise _RefusalError(404, "not found", "message_id")

    def _feed(self) -> Iterator[tuple[Letter, str, str]]:
        """Yield what the feed shows: a message for each recipient, whose id begins with that of the request.

        What is to be sent later is not in it yet.
        """
        due = [each for each in self.visible() if (each.send_at or 0) <= self.clock.wall()]
        for number, letter in enumerate(due):
            for place, recipient in enumerate(letter.recipients):
                yield letter, recipient, f"{letter.id}.fake-{number}-{place}.0"

    def _entry(self, letter: Letter, recipient: str, identifier: str) -> dict[str, Any]:
        kinds = self.became_of(letter, recipient)
        status = "not_delivered" if _FAILED & {*kinds} else "delivered" if "delivered" in kinds else "processed"
        return {
            "from_email": letter.sender[1],
            "msg_id": identifier,
            "subject": letter.subject,
            "to_email": recipient,
            "status": status,
            "opens_count": kinds.count("open"),
            "clicks_count": kinds.count("click"),
            "last_event_time": _time(letter.at),
        }

    # The event webhook.

    def notice(self, kind: str, letter: Letter, recipient: str) -> tuple[bytes, Pairs]:
        """Write a list of one event, signed over the time and the body with the account's key."""
        stamp = str(int(self.clock.wall()))
        event = {
            "event": kind,
            "sg_event_id": self.new_id(),
            "sg_message_id": f"{letter.id}.fake-0-0.0",
            "timestamp": int(stamp),
            "email": recipient,
            **letter.metadata,
            **_DETAILS.get(kind, {}),
        }
        body = msgspec.json.encode([event])
        signature = self._signing_key.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
        headers = (
            ("content-type", "application/json"),
            (_SIGNATURE, b64encode(signature).decode()),
            (_TIMESTAMP, stamp),
        )
        return body, headers


def _error(status: int, message: str, field: str | None = None) -> FakeReply:
    return FakeReply.json(status, {"errors": [{"message": message, "field": field, "help": {}}]})


def _mailbox(document: dict[str, str]) -> Mailbox:
    return document.get("name", ""), document["email"]


def _enclosure(document: dict[str, str]) -> Enclosure:
    return Enclosure(
        name=document["filename"],
        type=document.get("type", "application/octet-stream"),
        content=b64decode(document["content"], validate=True),
        content_id=document.get("content_id"),
    )


def _matches(query: str, letter: Letter, _recipient: str, identifier: str) -> bool:
    """Answer the questions of the feed's language that are asked here; others are no syntax."""
    if found := _BY_ARGUMENT.fullmatch(query):
        return letter.metadata.get(found[1]) == found[2]
    if found := _BY_PREFIX.fullmatch(query):
        return identifier.startswith(found[1])
    if found := _BY_TIME.fullmatch(query):
        return found[1] <= _time(letter.at) <= found[2]
    raise _RefusalError(400, f"invalid syntax: {query!r}")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
