"""A message as a vendor of email understood it, whether it came in parts, as MIME, or as a template's name."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.policy import default
from email.utils import parseaddr
from typing import Any

import msgspec

_BULK = {
    "MessageRejected": "MESSAGE_REJECTED",
    "NotFoundException": "TEMPLATE_NOT_FOUND",
    "BadRequestException": "INVALID_PARAMETER",
}


class Refusal(Exception):  # noqa: N818  # a fact about the request
    """The request is refused with this status and code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    @property
    def bulk_status(self) -> str:
        """The word for it among the results of several."""
        return _BULK.get(self.code, "FAILED")


class SentFile(msgspec.Struct, frozen=True):
    """A file of a message; one with a `content_id` is shown within its HTML."""

    name: str
    type: str
    content: bytes
    content_id: str | None = None


class SentEmail(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was taken, as its readers see it. `at` is in seconds since 1970."""

    id: str
    at: float
    sender: str
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    headers: Mapping[str, str] = {}
    files: tuple[SentFile, ...] = ()
    tags: Mapping[str, str] = {}
    configuration_set: str | None = None

    @property
    def sender_address(self) -> str:
        """The address it is from."""
        return parseaddr(self.sender)[1]

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses of everybody who gets it."""
        return tuple(parseaddr(each)[1] for each in (*self.to, *self.cc, *self.bcc))

    @property
    def reference(self) -> str | None:
        """The caller's own name for the call, where it travelled as a tag."""
        return self.tags.get("fairlead_call")


def read_content(content: Mapping[str, Any], *, destination: Mapping[str, list[str]], **known: Any) -> SentEmail:
    """Read a message from its parts or from MIME."""
    people = {name: destination.get(f"{name.title()}Addresses", ()) for name in ("to", "cc", "bcc")}
    known |= {name: tuple(str(make_header(decode_header(each))) for each in given) for name, given in people.items()}
    known["sender"] = str(make_header(decode_header(known["sender"])))
    if "Raw" in content:
        return _read_mime(b64decode(content["Raw"]["Data"], validate=True), known)
    simple = content["Simple"]
    bodies = simple["Body"]
    return SentEmail(
        **known,
        subject=simple["Subject"]["Data"],
        text=bodies["Text"]["Data"] if "Text" in bodies else None,
        html=bodies["Html"]["Data"] if "Html" in bodies else None,
        headers={each["Name"]: each["Value"] for each in simple.get("Headers", ())},
        files=tuple(
            SentFile(each["FileName"], each["ContentType"], b64decode(each["RawContent"]), each.get("ContentId"))
            for each in simple.get("Attachments", ())
        ),
    )


def _read_mime(written: bytes, known: dict[str, Any]) -> SentEmail:
    mime = message_from_bytes(written, policy=default)
    if mime["from"] is None:
        raise Refusal(400, "BadRequestException", "Missing required header 'From'.")
    if max(map(len, written.split(b"\r\n"))) > 1000:
        raise Refusal(400, "BadRequestException", "A line is too long.")
    plain, html = mime.get_body(("plain",)), mime.get_body(("html",))
    own = {
        "from",
        "to",
        "cc",
        "bcc",
        "reply-to",
        "subject",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
    }
    return SentEmail(
        **known,
        subject=str(mime["subject"] or ""),
        text=plain.get_content() if plain else None,
        html=html.get_content() if html else None,
        headers={name: str(value) for name, value in mime.items() if name.lower() not in own},
        files=tuple(_read_file(part) for part in mime.walk() if part.get_filename()),
    )


def _read_file(part: Message) -> SentFile:
    content = part.get_payload(decode=True)
    identifier = str(part["content-id"] or "").strip("<>")
    return SentFile(
        part.get_filename() or "",
        part.get_content_type(),
        content if isinstance(content, bytes) else b"",
        identifier or None,
    )


def rendered(template: Mapping[str, Any], kept: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Fill a template's `{{name}}` places; raise `Refusal` where it is not there."""
    name = template.get("TemplateName") or template.get("TemplateArn", "").rpartition("/")[2]
    if name and name not in kept:
        raise Refusal(404, "NotFoundException", f"Template {name} does not exist.")
    source = kept[name] if name else template["TemplateContent"]
    data: dict[str, Any] = msgspec.json.decode(template.get("TemplateData") or "{}")
    filled = {
        part: {"Data": re.sub(r"{{(\w+)}}", lambda place: str(data.get(place[1], "")), text)}
        for part, text in source.items()
    }
    extras = {each: template[each] for each in ("Headers", "Attachments") if each in template}
    bodies = {part: filled[part] for part in ("Text", "Html") if part in filled}
    return {"Subject": filled.get("Subject", {"Data": ""}), "Body": bodies, **extras}
