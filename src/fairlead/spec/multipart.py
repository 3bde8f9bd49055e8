"""Forms with files in them, as bytes: multipart/form-data (RFC 7578)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import msgspec

# RFC 2046 §5.1.1: at most 70 characters, and two hyphens before them.
_LONGEST_BOUNDARY = 72
# More than any vendor's form has; to read more of them takes time that a stranger should not get.
_MOST_PARTS = 1000
_NAME = re.compile(r'(?:^|[;\s])name="([^"]*)"', re.IGNORECASE)
_FILE_NAME = re.compile(r'filename="([^"]*)"', re.IGNORECASE)


class FormFile(msgspec.Struct, frozen=True):
    """A file of a form."""

    field: str
    name: str
    type: str
    content: bytes


def build_form(fields: Sequence[tuple[str, str]], files: Sequence[FormFile] = ()) -> tuple[str, bytes]:
    """Return the content type and the body of a form; a name may stand in it more than once.

    The boundary is a digest of all that it separates, so that it cannot stand in it but by finding one's own digest;
    and so that the same form is the same bytes.
    """
    parts = [(_disposition(name), text.encode()) for name, text in fields]
    parts += [
        (f"{_disposition(each.field)}; filename={_quoted(each.name)}\r\nContent-Type: {each.type}", each.content)
        for each in files
    ]
    digest = hashlib.sha256()
    for head, content in parts:
        digest.update(f"{len(head)}:{len(content)}:{head}".encode() + content)
    boundary = digest.hexdigest()
    pieces = [f"--{boundary}\r\n{head}\r\n\r\n".encode() + content + b"\r\n" for head, content in parts]
    return f"multipart/form-data; boundary={boundary}", b"".join((*pieces, f"--{boundary}--\r\n".encode()))


def _disposition(field: str) -> str:
    return f"Content-Disposition: form-data; name={_quoted(field)}"


def _quoted(text: str) -> str:
    """Write a name as browsers do (HTML Living Standard, 'Multipart form data'): in UTF-8, with three escapes."""
    return '"' + text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A") + '"'


class FormPart(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a form that came in; one with a `file_name` is a file."""

    name: str
    content: bytes
    file_name: str | None = None
    type: str | None = None


def read_form(body: bytes) -> list[FormPart]:
    """Read a form by the boundary that it begins with; raise `ValueError` for what is none, or too large."""
    line, _, _ = body.partition(b"\r\n")
    if not line.startswith(b"--") or not 2 < len(line) <= _LONGEST_BOUNDARY:
        raise ValueError("It does not begin with a boundary.")
    pieces = (b"\r\n" + body).split(b"\r\n" + line, _MOST_PARTS + 1)
    if len(pieces) > _MOST_PARTS or not pieces[-1].startswith(b"--"):
        raise ValueError("It has no end.")
    return [_read_part(each) for each in pieces[1:-1]]


def _read_part(piece: bytes) -> FormPart:
    head, blank, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    lines = (line.partition(":") for line in head.decode().split("\r\n"))
    fields = {name.strip().lower(): value.strip() for name, _, value in lines}
    disposition = fields.get("content-disposition", "")
    name, file_name = _NAME.search(disposition), _FILE_NAME.search(disposition)
    if not blank or name is None:
        raise ValueError("A field has no name.")
    return FormPart(
        name=_unquoted(name[1]),
        content=content,
        file_name=_unquoted(file_name[1]) if file_name else None,
        type=fields.get("content-type"),
    )


def _unquoted(text: str) -> str:
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
