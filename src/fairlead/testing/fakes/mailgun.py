"""A stand-in for Mailgun's API: sending by a form, the events of a domain, and its signed webhooks.

Written from the vendor's OpenAPI description (mailgun/mailgun-mcp-server 78d610f, 3.0.0) and its pages on batches and
events (read 2026-11-25); what is known from elsewhere is in `tests/providers/mailgun/overlay.json`.
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any, ClassVar

import msgspec

from fairlead.model.headers import Pairs
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.forms import Part, read_form
from fairlead.testing.mailroom import Enclosure, Letter, Mailbox, MailFake, mailboxes

#: The key and the domain that are accepted when nobody says otherwise.
API_KEY = "fake-api-key"
DOMAIN = "sender.example"

_MOST_RECIPIENTS = 1000
_MOST_BYTES = 25 * 1024 * 1024
_MOST_OPTIONS = 16 * 1024
_MOST_EVENTS = 300
_PATHS = {
    ("POST", "POST-v3--domain-name--messages"): re.compile("/v3/([^/]+)/messages"),
    ("GET", "get-v3-domain_name-events"): re.compile("/v3/([^/]+)/events"),
}
_PLACE = re.compile(r"%recipient\.([^%]+)%")
#: The name of a webhook -> the event it tells of, where they differ.
_FAILURES: Mapping[str, Mapping[str, Any]] = {
    "temporary_fail": {"severity": "temporary", "reason": "generic"},
    "permanent_fail": {"severity": "permanent", "reason": "bounce"},
    "suppressed": {"severity": "permanent", "reason": "suppress-bounce"},
}
_STATUSES: Mapping[str, Mapping[str, Any]] = {
    "delivered": {"code": 250, "message": "OK"},
    "temporary_fail": {"code": 451, "message": "4.7.1 Try again later", "enhanced-code": "4.7.1"},
    "permanent_fail": {"code": 550, "message": "5.1.1 No such mailbox", "enhanced-code": "5.1.1"},
    "suppressed": {"code": 605, "description": "Not delivering to previously bounced address"},
}


class _RefusalError(Exception):
    """The request is refused with this status and sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class MailgunFake(MailFake):
    """A Mailgun whose account has `api_key` and `domain`; what goes to a suppressed address is taken, and fails."""

    CREDENTIALS: ClassVar[Mapping[str, str]] = {"api_key": API_KEY, "domain": DOMAIN}

    def __init__(self, *, api_key: str = API_KEY, domain: str = DOMAIN, **settings: Any) -> None:
        super().__init__(**settings)
        self.api_key = api_key
        self.domain = domain
        self._webhook_key = self.new_id()

    @property
    def webhook_secrets(self) -> Mapping[str, str]:
        """The signing key, as the dashboard shows it."""
        return {"webhook_secret": self._webhook_key}

    def operation(self, request: FakeRequest) -> str:
        """Return the operation's name in the contract, or `unknown`."""
        matches = (
            name for (method, name), path in _PATHS.items() if method == request.method and path.fullmatch(request.path)
        )
        return next(matches, "unknown")

    def answer(self, request: FakeRequest) -> FakeReply:
        """Check the key, then the domain, then the limits, then serve."""
        login = b64encode(f"api:{self.api_key}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {login}":
            return self.error(401)
        serve: Callable[[FakeRequest], FakeReply] | None = {
            "POST-v3--domain-name--messages": self._send,
            "get-v3-domain_name-events": self._events,
        }.get(self.operation(request))
        if serve is None:
            return FakeReply(status=200, body=b"Mailgun Magnificent API", content_type="text/html; charset=utf-8")
        domain = request.path.split("/")[2]
        if domain != self.domain:
            return _error(404, "Domain not found: " + domain)
        if self.faults.is_throttled:
            return msgspec.structs.replace(self.error(429), headers=self.faults.retry_after())
        try:
            return serve(request)
        except _RefusalError as refusal:
            return _error(refusal.status, str(refusal))

    def error(self, status: int) -> FakeReply:
        """Return the vendor's error; a wrong key is answered in plain text."""
        if status == 401:
            return FakeReply(status=401, body=b"Forbidden", content_type="text/plain")
        said = f"Domain {self.domain} is not allowed to send: account-requests-per-sec limit exceeded, try again later"
        return _error(status, said if status == 429 else "Internal Server Error")

    def _send(self, request: FakeRequest) -> FakeReply:
        """Follow POST /v3/{domain}/messages: one letter for all, or with recipient-variables one for each."""
        if len(request.body) > _MOST_BYTES:
            raise _RefusalError(413, "Request Entity Too Large")
        try:
            form = Form(read_form(request))
        except ValueError as error:
            raise _RefusalError(400, str(error)) from None
        if not self.sends_for(f"@{self.domain}"):
            raise _RefusalError(403, f"Domain {self.domain} is not allowed to send: the domain is unverified")
        letters = list(self._letters(form))
        self.sent += letters
        self.happened += [
            ("suppressed", each, email) for each in letters for email in each.recipients if email in self.suppressed
        ]
        return FakeReply.json(200, {"id": f"<{letters[0].id}>", "message": "Queued. Thank you."})

    def _letters(self, form: Form) -> Iterator[Letter]:
        for name in ("from", "to"):
            if not form.all(name):
                raise _RefusalError(400, f"{name} parameter is missing")
        if not any(map(form.one, ("text", "html", "template"))):
            said = "Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified"
            raise _RefusalError(400, said)
        if form.size_of_options() > _MOST_OPTIONS:
            raise _RefusalError(
                400, "Send options (parameters starting with o:, h:, v: or t:) are limited to 16KB total"
            )
        to = mailboxes(form.all("to"))
        if len(to) > _MOST_RECIPIENTS:
            raise _RefusalError(400, "Too many recipients; max is 1000")
        table = form.one("recipient-variables")
        identifier = f"20260101120000.{self.new_id()[:16]}@{self.domain}"
        if table is None:
            yield self._letter(form, identifier, to, {})
            return
        for each in to:
            yield self._letter(form, identifier, (each,), json.loads(table).get(each[1], {}))

    def _letter(self, form: Form, identifier: str, to: tuple[Mailbox, ...], variables: dict[str, Any]) -> Letter:
        at = form.one("o:deliverytime")
        pointing = {name: match[1] for name, value in form.named("v:") if (match := _PLACE.fullmatch(value))}
        headers = dict(form.named("h:"))
        return Letter(
            id=identifier,
            at=self.clock.wall(),
            sender=mailboxes(form.one("from"))[0],
            to=to,
            cc=mailboxes(form.all("cc")),
            bcc=mailboxes(form.all("bcc")),
            reply_to=mailboxes(headers.pop("Reply-To", None)),
            subject=form.one("subject") or "",
            text=form.one("text"),
            html=form.one("html"),
            enclosures=form.enclosures(),
            headers=headers,
            tags=form.all("o:tag"),
            metadata={name: value for name, value in form.named("v:") if name not in pointing},
            template=form.one("template"),
            variables={
                **json.loads(form.one("t:variables") or "{}"),
                **{name: variables.get(place) for name, place in pointing.items()},
            },
            track_opens=_flag(form.one("o:tracking-opens")),
            track_clicks=_flag(form.one("o:tracking-clicks")),
            send_at=parsedate_to_datetime(at).timestamp() if at else None,
        )

    # The events.

    def _events(self, request: FakeRequest) -> FakeReply:
        """Show what happened to the letters that can be seen by now, the newest first unless asked otherwise."""
        begin, identifier, recipient, kind = map(request.value, ("begin", "message-id", "recipient", "event"))
        found = [
            self._event(what, letter, who)
            for letter in self.visible()
            for what, who in self._told_of(letter)
            if identifier in {None, letter.id} and recipient in {None, who} and letter.at >= float(begin or 0)
        ]
        found = [each for each in found if kind in {None, each["event"]}]
        if request.value("ascending") == "yes":
            found.reverse()
        shown = found[: min(int(request.value("limit") or 100), _MOST_EVENTS)]
        page = f"{self.url}{request.path}/W3siY"
        return FakeReply.json(200, {"items": shown, "paging": {"next": page, "previous": page}})

    def _told_of(self, letter: Letter) -> Iterator[tuple[str, str]]:
        for who in letter.recipients:
            yield from ((kind, who) for kind in reversed(self.became_of(letter, who)))
            yield "accepted", who

    def _event(self, kind: str, letter: Letter, recipient: str) -> dict[str, Any]:
        return {
            "id": self.new_id(),
            "event": "failed" if kind in _FAILURES else kind,
            "timestamp": self.clock.wall(),
            "log-level": "info",
            "recipient": recipient,
            "tags": list(letter.tags),
            "user-variables": {**letter.metadata},
            "message": {
                "headers": {
                    "message-id": letter.id,
                    "to": recipient,
                    "from": letter.sender[1],
                    "subject": letter.subject,
                },
                "attachments": [],
                "size": 1000,
            },
            **_FAILURES.get(kind, {}),
            **({"delivery-status": _STATUSES[kind]} if kind in _STATUSES else {}),
            **({"url": "https://app.example/welcome"} if kind == "clicked" else {}),
        }

    def notice(self, kind: str, letter: Letter, recipient: str) -> tuple[bytes, Pairs]:
        """Write one event with a signature beside it: over a time and a token, and not over the event."""
        stamp, token = str(int(self.clock.wall())), self.new_id().replace("-", "")
        signature = hmac.new(self._webhook_key.encode(), f"{stamp}{token}".encode(), sha256).hexdigest()
        document = {
            "signature": {"timestamp": stamp, "token": token, "signature": signature},
            "event-data": self._event(kind, letter, recipient),
        }
        return msgspec.json.encode(document), (("content-type", "application/json"),)


class Form:
    """The fields that a message is sent by."""

    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts

    def all(self, name: str) -> list[str]:
        """Return every value of a field."""
        return [each.text for each in self._parts if each.name == name and each.file_name is None]

    def one(self, name: str) -> str | None:
        """Return the first value of a field."""
        return next(iter(self.all(name)), None)

    def named(self, prefix: str) -> list[tuple[str, str]]:
        """Return the fields with a prefix, without it."""
        return [(each.name[len(prefix) :], each.text) for each in self._parts if each.name.startswith(prefix)]

    def enclosures(self) -> list[Enclosure]:
        """Return the files; one that is shown in the HTML is known there by its name."""
        return [
            Enclosure(
                name=each.file_name,
                type=each.type,
                content=each.content,
                content_id=each.file_name if each.name == "inline" else None,
            )
            for each in self._parts
            if each.file_name is not None
        ]

    def size_of_options(self) -> int:
        """Return how many bytes the options have together."""
        return sum(len(each.content) for each in self._parts if each.name[:2] in {"o:", "h:", "v:", "t:"})


def _error(status: int, message: str) -> FakeReply:
    return FakeReply.json(status, {"message": message})


def _flag(text: str | None) -> bool | None:
    return None if text is None else text in {"yes", "true"}
