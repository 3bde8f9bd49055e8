"""A request that came in from a vendor, as it came, and what it is answered at once."""

from __future__ import annotations

import msgspec

from fairlead.model.headers import Headers, Pairs


class Incoming(msgspec.Struct, frozen=True):
    """One delivery, before anything about it is believed.

    `url` is the public one, as the vendor called it, with its query: some vendors sign it. `body` is raw: a signature
    is over these bytes, and over no other way to write the same.
    """

    method: str
    url: str
    headers: Headers
    body: bytes

    def __repr__(self) -> str:  # the query, the headers and the body may hold what is private
        return f"Incoming({self.method}, {len(self.body)} bytes)"


class Reply(msgspec.Struct, frozen=True):
    """An answer to the vendor."""

    status: int = 200
    headers: Pairs = ()
    body: bytes = b""
