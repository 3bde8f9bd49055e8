"""Reads forms with files in them (RFC 7578), as a stand-in is sent them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from fairlead.testing.exchange import FakeRequest

_BOUNDARY = re.compile(r'multipart/form-data;.*boundary="?([^";]+)"?', re.IGNORECASE)
_NAME = re.compile(r'(?:^|[;\s])name="([^"]*)"')
_FILE_NAME = re.compile(r'filename="([^"]*)"')


class Part(NamedTuple):
    """One field; a file has a name of its own."""

    name: str
    content: bytes
    file_name: str | None = None
    type: str = "text/plain"

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode()


def read_form(request: FakeRequest) -> list[Part]:
    """Return the fields in their order; raise `ValueError` for what is no such form."""
    match = _BOUNDARY.match(request.headers.get("content-type", ""))
    if match is None:
        raise ValueError("This is no form with files.")
    pieces = (b"\r\n" + request.body).split(b"\r\n--" + match[1].encode())
    if len(pieces) < len(("before", "after")) or not pieces[-1].startswith(b"--"):
        raise ValueError("The form has no end.")
    return list(_parts(pieces[1:-1]))


def _parts(pieces: list[bytes]) -> Iterator[Part]:
    for piece in pieces:
        head, blank, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head.decode().split("\r\n"))
        }
        disposition = fields.get("content-disposition", "")
        name, file_name = _NAME.search(disposition), _FILE_NAME.search(disposition)
        if not blank or name is None:
            raise ValueError("A field of the form has no name.")
        yield Part(
            name=_plain(name[1]),
            content=content,
            file_name=_plain(file_name[1]) if file_name else None,
            type=fields.get("content-type", "text/plain"),
        )


def _plain(text: str) -> str:
    """Undo what browsers escape in a name (HTML Living Standard, 'Multipart form data')."""
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
