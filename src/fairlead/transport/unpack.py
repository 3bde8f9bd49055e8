"""Content codings (RFC 9110 §8.4.1), unpacked piece by piece and never further than asked: a bomb stays small."""

from __future__ import annotations

import zlib

#: What we can unpack, as `Accept-Encoding` says it.
ACCEPTED = "gzip, deflate"


class BadPacking(Exception):  # noqa: N818  # a fact about the answer
    """The body is not packed as its Content-Encoding says."""


class Unpacker:
    """Unpacks one body. A coding that was not asked for is passed on as it is."""

    def __init__(self, coding: str) -> None:
        self._coding = coding.strip().lower()
        self._inflate = zlib.decompressobj(wbits=31) if self._coding in {"gzip", "x-gzip"} else None
        self._has_begun = False

    def feed(self, piece: bytes, room: int) -> bytes:
        """Unpack a piece, up to just past `room` bytes; raise `BadPacking`."""
        if piece and not self._has_begun:
            self._has_begun = True
            if self._coding == "deflate":  # which some send with zlib's frame, as they should, and some without
                is_framed = piece[0] & 0x0F == 8
                self._inflate = zlib.decompressobj(wbits=15 if is_framed else -15)
        if self._inflate is None:
            return piece
        unpacked = b""
        try:
            while piece and len(unpacked) <= room:
                if self._inflate.eof:  # another member of the same file: RFC 1952 §2.2
                    self._inflate = zlib.decompressobj(wbits=31)
                unpacked += self._inflate.decompress(piece, room + 1 - len(unpacked))
                piece = self._inflate.unconsumed_tail or self._inflate.unused_data
        except zlib.error:
            raise BadPacking from None
        return unpacked

    def finish(self) -> None:
        """Check that the body was whole; raise `BadPacking`."""
        if self._inflate is not None and self._has_begun and not self._inflate.eof:
            raise BadPacking
