"""A stand-in for Resend's API: sending alone and in batches, with idempotency keys, and its signed webhooks.

Written from the vendor's OpenAPI description (resend/resend-openapi fd6f395, 1.5.0) and its pages on errors and
idempotency keys (read 2026-11-25).
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64Error
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, ClassVar

import msgspec

from fairlead.model.headers import Pairs
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.mailroom import Enclosure, Letter, MailFake, mailboxes

#: The key that is accepted when nobody says otherwise.
API_KEY = "re_fake_key"

_MOST_RECIPIENTS = 50
_MOST_OF_A_BATCH = 100
_LONGEST_KEY = 256
_KEPT_S = 24 * 3600.0
_TAG_TEXT = re.compile("[A-Za-z0-9_-]{1,256}")
_PATHS = {
    ("POST", "emails/send"): re.compile("/emails"),
    ("POST", "emails/send-batch"): re.compile("/emails/batch"),
    ("GET", "emails/get"): re.compile("/emails/([^/]+)"),
    ("GET", "domains/list"): re.compile("/domains"),
}
_DETAILS: Mapping[str, Mapping[str, Any]] = {
    "email.bounced": {
        "bounce": {
            "type": "Permanent",
            "subType": "General",
            "message": "No such mailbox",
            "diagnosticCode": ["smtp; 550 5.1.1 user unknown"],
        }
    },
    "email.failed": {"failed": {"reason": "reached_daily_quota"}},
    "email.suppressed": {"suppressed": {"type": "OnAccountSuppressionList", "message": "The address is suppressed"}},
    "email.clicked": {"click": {"link": "https://app.example/welcome", "ipAddress": "192.0.2.1", "userAgent": "x"}},
}


class _RefusalError(Exception):
    """The request is refused with one of the vendor's names for errors."""

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.name = name


class ResendFake(MailFake):
    """A Resend that accepts `api_key`, which may do all unless `is_restricted`."""

    CREDENTIALS: ClassVar[Mapping[str, str]] = {"api_key": API_KEY}

    def __init__(self, *, api_key: str = API_KEY, is_restricted: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.api_key = api_key
        self.is_restricted = is_restricted
        self._webhook_key = self.random.randbytes(24)
        #: Idempotency key -> when, of what, and with which answer it was used.
        self._keys: dict[str, tuple[float, bytes, FakeReply]] = {}

    @property
    def webhook_secrets(self) -> Mapping[str, str]:
        """The signing secret, as the dashboard shows it."""
        return {"webhook_secret": f"whsec_{b64encode(self._webhook_key).decode()}"}

    def forget(self) -> None:
        """Drop the letters and the keys."""
        super().forget()
        self._keys.clear()

    def operation(self, request: FakeRequest) -> str:
        """Return the operation's name in the contract, or `unknown`."""
        matches = (
            name for (method, name), path in _PATHS.items() if method == request.method and path.fullmatch(request.path)
        )
        return next(matches, "unknown")

    def answer(self, request: FakeRequest) -> FakeReply:
        """Check the key, then the limits, then serve."""
        if "authorization" not in request.headers:
            return _error(401, "missing_api_key", "Missing API key in the authorization header.")
        if request.headers["authorization"] != f"Bearer {self.api_key}":
            return _error(403, "invalid_api_key", "API key is invalid.")
        if self.faults.is_throttled:
            return msgspec.structs.replace(self.error(429), headers=self.faults.retry_after())
        name = self.operation(request)
        if self.is_restricted and not name.startswith("emails/send"):
            return _error(401, "restricted_api_key", "This API key is restricted to only send emails.")
        serve: Callable[[FakeRequest], FakeReply] | None = {
            "emails/send": self._once,
            "emails/send-batch": self._once,
            "emails/get": self._get,
            "domains/list": lambda _: FakeReply.json(200, {"object": "list", "has_more": False, "data": []}),
        }.get(name)
        if serve is None:
            return self.error(404)
        try:
            return serve(request)
        except _RefusalError as refusal:
            return _error(refusal.status, refusal.name, str(refusal))
        except (msgspec.DecodeError, NotBase64Error, KeyError, TypeError, AttributeError):
            return _error(422, "missing_required_field", "The request body is missing one or more required fields.")

    def error(self, status: int) -> FakeReply:
        """Return the vendor's error."""
        known = {
            404: ("not_found", "The requested endpoint does not exist."),
            429: ("rate_limit_exceeded", "Too many requests. Please limit the number of requests per second."),
        }
        return _error(status, *known.get(status, ("internal_server_error", "An unexpected error occurred.")))

    def _once(self, request: FakeRequest) -> FakeReply:
        """Answer a repeat with the same key as the first was; a key of other content is a conflict."""
        key = request.headers.get("idempotency-key")
        if key is None:
            return self._send(request)
        if not 1 <= len(key) <= _LONGEST_KEY:
            raise _RefusalError(400, "invalid_idempotency_key", "The key must be between 1-256 chars.")
        now = self.clock.wall()
        at, body, reply = self._keys.get(key, (float("-inf"), b"", None))
        if reply is not None and now < at + _KEPT_S:
            if body != request.body:
                raise _RefusalError(
                    409,
                    "invalid_idempotent_request",
                    "Same idempotency key used with a different request payload.",
                )
            return reply
        reply = self._send(request)
        self._keys[key] = (now, request.body, reply)
        return reply

    def _send(self, request: FakeRequest) -> FakeReply:
        """Take all, or nothing."""
        if self.faults.is_quota_exhausted:
            raise _RefusalError(429, "daily_quota_exceeded", "You have reached your daily email sending quota.")
        document = msgspec.json.decode(request.body)
        if not isinstance(document, list):
            letter = self._letter(document)
            self.sent.append(letter)
            return FakeReply.json(200, {"id": letter.id})
        if len(document) > _MOST_OF_A_BATCH:
            raise _RefusalError(422, "validation_error", "The batch has more than 100 emails.")
        if any("attachments" in each or "scheduled_at" in each for each in document):
            raise _RefusalError(422, "validation_error", "Batches have no attachments, and cannot be scheduled.")
        letters = [self._letter(each) for each in document]
        self.sent += letters
        return FakeReply.json(200, {"data": [{"id": each.id} for each in letters]})

    def _letter(self, email: dict[str, Any]) -> Letter:
        template, sender = email.get("template") or {}, mailboxes(email["from"])[0]
        if not self.sends_for(sender[1]):
            domain = sender[1].rpartition("@")[2]
            said = f"The {domain} domain is not verified. Please, add and verify your domain."
            raise _RefusalError(403, "validation_error", said)
        if not (template or email.get("html") or email.get("text")):
            raise _RefusalError(422, "missing_required_field", "Missing `html` or `text` field.")
        if not template and "subject" not in email:
            raise _RefusalError(422, "missing_required_field", "Missing `subject` field.")
        tags = [(each["name"], each["value"]) for each in email.get("tags", ())]
        if not all(_TAG_TEXT.fullmatch(text) for pair in tags for text in pair):
            raise _RefusalError(422, "validation_error", "Tags should only contain ASCII letters, numbers, _ or -.")
        at = email.get("scheduled_at")
        letter = Letter(
            id=self.new_id(),
            at=self.clock.wall(),
            sender=sender,
            to=mailboxes(email["to"]),
            cc=mailboxes(email.get("cc")),
            bcc=mailboxes(email.get("bcc")),
            reply_to=mailboxes(email.get("reply_to")),
            subject=email.get("subject", ""),
            text=email.get("text"),
            html=email.get("html"),
            enclosures=[_enclosure(each) for each in email.get("attachments", ())],
            headers=email.get("headers", {}),
            tags=[value for name, value in tags if name == "tag"],
            metadata={name: value for name, value in tags if name != "tag"},
            template=template.get("id"),
            variables=template.get("variables", {}),
            send_at=datetime.fromisoformat(at).timestamp() if at else None,
        )
        if len(letter.to) > _MOST_RECIPIENTS:
            raise _RefusalError(422, "validation_error", "The `to` field has more than 50 addresses.")
        return letter

    def _get(self, request: FakeRequest) -> FakeReply:
        letter = self.find(request.path.rpartition("/")[2])
        if letter is None:
            raise _RefusalError(404, "not_found", "Email not found")
        happened = self.became_of(letter)
        last = happened[-1].removeprefix("email.") if happened else "scheduled" if letter.send_at else "sent"
        return FakeReply.json(
            200,
            {
                "object": "email",
                "id": letter.id,
                "to": [email for _, email in letter.to],
                "from": letter.sender[1],
                "created_at": _time(letter.at),
                "subject": letter.subject,
                "last_event": last,
            },
        )

    def notice(self, kind: str, letter: Letter, recipient: str) -> tuple[bytes, Pairs]:
        """Write one event, signed as the Standard Webhooks are, with headers of Svix."""
        stamp, identifier = str(int(self.clock.wall())), f"msg_{self.new_id()}"
        data = {
            "email_id": letter.id,
            "created_at": _time(letter.at),
            "from": letter.sender[1],
            "to": [recipient],
            "subject": letter.subject,
            "tags": {**letter.metadata},
            **_DETAILS.get(kind, {}),
        }
        body = msgspec.json.encode({"type": kind, "created_at": _time(self.clock.wall()), "data": data})
        signed = f"{identifier}.{stamp}.".encode() + body
        signature = b64encode(hmac.new(self._webhook_key, signed, sha256).digest()).decode()
        return body, (
            ("content-type", "application/json"),
            ("svix-id", identifier),
            ("svix-timestamp", stamp),
            ("svix-signature", f"v1,{signature}"),
        )


def _error(status: int, name: str, message: str) -> FakeReply:
    return FakeReply.json(status, {"statusCode": status, "name": name, "message": message})


def _enclosure(document: dict[str, str]) -> Enclosure:
    return Enclosure(
        name=document["filename"],
        type=document["content_type"],
        content=b64decode(document["content"], validate=True),
        content_id=document.get("content_id"),
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
