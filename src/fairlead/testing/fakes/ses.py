"""A stand-in for Amazon SES, API v2: sending in every form, templates, suppression, insights, and signed events.

Written from the service's own description (sesv2-2019-09-27.service-2) and the developer guide's pages 'Contents of
event data', 'Service quotas' and 'Using the account-level suppression list', read 2026-11-25. It looks at signatures.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import msgspec

from fairlead.auth.sigv4 import verify_v4
from fairlead.errors import SignatureError
from fairlead.model.secret import Secret
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.post import post_notice
from fairlead.testing.sent_email import Refusal, SentEmail, read_content, rendered
from fairlead.testing.server import FakeServer
from fairlead.testing.topic import Topic

_PATHS = {
    ("POST", "SendEmail"): re.compile("/v2/email/outbound-emails"),
    ("POST", "SendBulkEmail"): re.compile("/v2/email/outbound-bulk-emails"),
    ("POST", "CreateEmailTemplate"): re.compile("/v2/email/templates"),
    ("GET", "GetMessageInsights"): re.compile("/v2/email/insights/([^/]+)/"),
    ("GET", "GetAccount"): re.compile("/v2/email/account"),
    ("PUT", "PutSuppressedDestination"): re.compile("/v2/email/suppression/addresses"),
}
_LONGEST = 40 * 1024 * 1024
_MOST_RECIPIENTS = 50
#: Errors by status, where a fault asks for one.
_ERRORS = {
    400: ("BadRequestException", "The input you provided is invalid."),
    403: ("UnrecognizedClientException", "The security token included in the request is invalid."),
    404: ("NotFoundException", "The resource you attempted to access doesn't exist."),
    429: ("TooManyRequestsException", "Too many requests have been made to the operation."),
    503: ("ServiceUnavailable", "The service is not available."),
}
#: Kind of event -> where its own object is, what is in it, and the name of the list of recipients.
_TOLD: Mapping[str, tuple[str, Mapping[str, Any], str]] = {
    "Delivery": ("delivery", {"smtpResponse": "250 2.6.0 Message received", "processingTimeMillis": 11}, "recipients"),
    "Bounce": ("bounce", {"bounceType": "Permanent", "bounceSubType": "General"}, "bouncedRecipients"),
    "Complaint": ("complaint", {"complaintFeedbackType": "abuse"}, "complainedRecipients"),
    "DeliveryDelay": ("deliveryDelay", {"delayType": "TransientCommunicationFailure"}, "delayedRecipients"),
    "Reject": ("reject", {"reason": "Bad content"}, ""),
    "Open": ("open", {"ipAddress": "192.0.2.1", "userAgent": "Mozilla/5.0"}, ""),
    "Click": ("click", {"link": "https://app.example/welcome", "ipAddress": "192.0.2.1"}, ""),
    "Rendering Failure": ("failure", {"errorMessage": "Attribute 'name' is not present.", "templateName": "t"}, ""),
    "Subscription": ("subscription", {"contactList": "guests", "source": "UnsubscribeHeader"}, ""),
}


class SesFake(FakeServer):
    """An SES that accepts one key, in one region.

    `identities` are the addresses and domains that are verified (None: any); in the sandbox recipients must be, too.
    What it took can be looked up after `visible_after_s`. Whom it no longer writes to gets nothing, and nobody is told
    at once: the message is taken all the same.
    """

    CREDENTIALS: ClassVar[Mapping[str, str]] = {
        "access_key_id": "AKIAFAKEFAKEFAKEFAKE",
        "secret_access_key": "fake-secret",
        "region": "eu-west-1",
    }

    def __init__(
        self,
        *,
        credentials: Mapping[str, str] = CREDENTIALS,
        identities: Iterable[str] | None = None,
        is_sandbox: bool = False,
        visible_after_s: float = 0.0,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.credentials = credentials
        self.identities = None if identities is None else frozenset(identities)
        self.is_sandbox = is_sandbox
        self.visible_after_s = visible_after_s
        #: Every message that was taken, one for each recipient of those that do not see each other.
        self.sent: list[SentEmail] = []
        self.suppressed: set[str] = set()
        self.templates: dict[str, dict[str, str]] = {"welcome": {"Subject": "Welcome", "Text": "Hello {{name}}"}}
        self.configuration_sets = {"main"}
        #: What was told of which message, for whom.
        self.happened: list[tuple[str, str, str]] = []
        region = credentials["region"]
        self.topic = Topic(f"arn:aws:sns:{region}:123456789012:email-events", region=region)

    # What it answers.

    def operation(self, request: FakeRequest) -> str:
        """Return the operation's name in the contract, or `unknown`."""
        theirs = {name: path for (method, name), path in _PATHS.items() if method == request.method}
        return next((name for name, path in theirs.items() if path.fullmatch(request.path)), "unknown")

    def answer(self, request: FakeRequest) -> FakeReply:
        """Look at the signature, then at the limits, then serve."""
        serve: Callable[[FakeRequest], Any] | None = {
            "SendEmail": self._send,
            "SendBulkEmail": self._send_bulk,
            "CreateEmailTemplate": self._create_template,
            "GetMessageInsights": self._insights,
            "GetAccount": lambda _: self._account(),
            "PutSuppressedDestination": self._suppress,
        }.get(self.operation(request))
        try:
            self._check_signature(request)
            if serve is None:
                return _failure(404, "UnknownOperationException", "The action or operation requested is invalid.")
            self._check_limits(self.operation(request))
            return FakeReply.json(200, serve(request))
        except Refusal as refusal:
            reply = _failure(refusal.status, refusal.code, str(refusal))
            return msgspec.structs.replace(reply, headers=(*reply.headers, *self.faults.retry_after()))
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            return _failure(400, "BadRequestException", f"The request cannot be read: {type(error).__name__}.")

    def error(self, status: int) -> FakeReply:
        """Return the vendor's error with this status."""
        return _failure(status, *_ERRORS.get(status, ("InternalFailure", "Something went wrong on our side.")))

    def forget(self) -> None:
        """Drop every message, and write to everybody again."""
        self.sent.clear()
        self.suppressed.clear()
        self.happened.clear()

    def sent_twice(self) -> list[tuple[str, str]]:
        """Return each call and recipient for which more than one message was taken."""
        counts = Counter((each.reference or each.id, who) for each in self.sent for who in each.recipients)
        return [pair for pair, count in counts.items() if count > 1]

    def _check_signature(self, request: FakeRequest) -> None:
        keys = self.credentials
        try:
            verified = verify_v4(
                request.method,
                quote(request.path, safe="/~").encode(),
                urlencode(request.query, quote_via=quote).encode(),
                [(name.encode(), value.encode("latin-1")) for name, value in request.headers.pairs],
                secrets=[Secret(keys["secret_access_key"])],
                now=self.clock.wall(),
                body=request.body,
            )
        except SignatureError as error:
            raise Refusal(403, "InvalidSignatureException", error.message) from None
        if verified.access_key_id != keys["access_key_id"]:
            raise Refusal(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
        if (verified.service, verified.region) != ("ses", keys["region"]):
            raise Refusal(403, "InvalidSignatureException", "Credential should be scoped to a valid region.")

    def _check_limits(self, operation: str) -> None:
        if self.faults.is_throttled:
            raise Refusal(429, "TooManyRequestsException", "Maximum sending rate exceeded.")
        if self.faults.is_quota_exhausted and operation.startswith("Send"):
            raise Refusal(429, "TooManyRequestsException", "Daily message quota exceeded.")

    def _send(self, request: FakeRequest) -> dict[str, Any]:
        asked: dict[str, Any] = msgspec.json.decode(request.body)
        tags = {each["Name"]: each["Value"] for each in asked.get("EmailTags", ())}
        return {"MessageId": self._take(request, asked, asked["Content"], asked.get("Destination", {}), tags).id}

    def _send_bulk(self, request: FakeRequest) -> dict[str, Any]:
        """Take a message for each entry; what is wrong with one of them does not keep the others."""
        asked: dict[str, Any] = msgspec.json.decode(request.body)
        if len(asked["BulkEmailEntries"]) > _MOST_RECIPIENTS:
            raise Refusal(400, "BadRequestException", "Too many entries.")
        tags = {each["Name"]: each["Value"] for each in asked.get("DefaultEmailTags", ())}
        results = []
        for entry in asked["BulkEmailEntries"]:
            own = entry.get("ReplacementEmailContent", {}).get("ReplacementTemplate", {})
            template = dict(asked["DefaultContent"]["Template"])
            template["TemplateData"] = own.get("ReplacementTemplateData", template.get("TemplateData", "{}"))
            try:
                taken = self._take(request, asked, {"Template": template}, entry["Destination"], tags)
                results.append({"Status": "SUCCESS", "MessageId": taken.id})
            except Refusal as refusal:
                results.append({"Status": refusal.bulk_status, "Error": str(refusal)})
        return {"BulkEmailEntryResults": results}

    def _take(
        self,
        request: FakeRequest,
        asked: Mapping[str, Any],
        content: Mapping[str, Any],
        destination: Mapping[str, list[str]],
        tags: Mapping[str, str],
    ) -> SentEmail:
        """Check a message and take it."""
        name = asked.get("ConfigurationSetName")
        if name is not None and name not in self.configuration_sets:
            raise Refusal(404, "NotFoundException", f"Configuration set <{name}> does not exist.")
        if "Template" in content:
            content = {"Simple": rendered(content["Template"], self.templates)}
        random = self.random.getrandbits(96)
        email = read_content(
            content,
            id=f"0102{random:024x}-000000",
            at=self.clock.wall(),
            sender=asked.get("FromEmailAddress", ""),
            destination=destination,
            tags=tags,
            configuration_set=name,
        )
        if not 0 < len(email.recipients) <= _MOST_RECIPIENTS:
            raise Refusal(400, "BadRequestException", "Recipient count is not between 1 and 50.")
        if len(request.body) > _LONGEST:
            raise Refusal(400, "MessageRejected", "Message length is more than 41943040 bytes long.")
        checked = (email.sender_address, *(email.recipients if self.is_sandbox else ()))
        if strange := [each for each in checked if not self._is_verified(each)]:
            sentence = "Email address is not verified. The following identities failed the check in region"
            region = self.credentials["region"].upper()
            raise Refusal(400, "MessageRejected", f"{sentence} {region}: {', '.join(strange)}")
        self.sent.append(email)
        return email

    def _is_verified(self, address: str) -> bool:
        domain = address.rpartition("@")[2]
        return self.identities is None or bool({address, domain} & self.identities)

    def _create_template(self, request: FakeRequest) -> dict[str, Any]:
        asked: dict[str, Any] = msgspec.json.decode(request.body)
        if asked["TemplateName"] in self.templates:
            raise Refusal(400, "AlreadyExistsException", "The template exists already.")
        self.templates[asked["TemplateName"]] = asked["TemplateContent"]
        return {}

    def _suppress(self, request: FakeRequest) -> dict[str, Any]:
        self.suppressed.add(msgspec.json.decode(request.body)["EmailAddress"])
        return {}

    def _account(self) -> dict[str, Any]:
        quota = {"Max24HourSend": 200.0, "MaxSendRate": 1.0, "SentLast24Hours": float(len(self.sent))}
        return {"ProductionAccessEnabled": not self.is_sandbox, "SendingEnabled": True, "SendQuota": quota}

    def _insights(self, request: FakeRequest) -> dict[str, Any]:
        identifier = request.path.split("/")[4]
        now = self.clock.wall()
        shown = (each for each in self.sent if each.id == identifier and each.at + self.visible_after_s <= now)
        email = next(shown, None)
        if email is None:
            raise Refusal(404, "NotFoundException", "Message id does not exist.")
        events = {
            who: [{"Timestamp": email.at, "Type": "SEND"}]
            + [
                {"Timestamp": now, "Type": re.sub(r"(?<=[a-z])\s?(?=[A-Z])", "_", kind).upper()}
                for kind, other, whom in self.happened
                if (other, whom) == (identifier, who)
            ]
            for who in email.recipients
        }
        return {
            "MessageId": identifier,
            "FromEmailAddress": email.sender,
            "Subject": email.subject,
            "EmailTags": [{"Name": name, "Value": value} for name, value in email.tags.items()],
            "Insights": [{"Destination": who, "Events": told} for who, told in events.items()],
        }

    # What it tells of its own accord.

    def notice(self, kind: str, email: SentEmail, recipient: str) -> bytes:
        """Return the signed notification that tells what became of a message."""
        self.happened.append((kind, email.id, recipient))
        now = self.clock.wall()
        at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        section, detail, people = _TOLD[kind]
        own: dict[str, Any] = {**detail, "timestamp": at}
        if people:
            own[people] = [recipient if kind == "Delivery" else {"emailAddress": recipient, "status": "5.1.1"}]
        event = {
            "eventType": kind,
            "mail": {
                "timestamp": at,
                "source": email.sender,
                "messageId": email.id,
                "destination": list(email.recipients),
                "tags": {name: [value] for name, value in email.tags.items()},
            },
            section: own,
        }
        return self.topic.wrap(event, identifier=f"{self.random.getrandbits(128):032x}", now=now)

    async def tell(self, url: str, kind: str, email: SentEmail, recipient: str | None = None) -> int:
        """Send a notice to a URL; return the status of the answer. Raise `ConnectionError` where there is none."""
        body = self.notice(kind, email, recipient or email.recipients[0])
        headers = (("content-type", "text/plain; charset=UTF-8"), ("x-amz-sns-message-type", "Notification"))
        return await post_notice(url, headers, body)


def _failure(status: int, code: str, message: str) -> FakeReply:
    return FakeReply.json(status, {"message": message}, headers=(("x-amzn-ErrorType", f"{code}:"),))
