"""Forms with files in them, as bytes: multipart/form-data (RFC 7578)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec


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
