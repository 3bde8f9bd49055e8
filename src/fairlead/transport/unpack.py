"""Content codings (RFC 9110 §8.4.1), unpacked piece by piece and never further than asked: a bomb stays small."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from fairlead.model.outcome import Failure
from fairlead.transport.failures import BrokenOff

#: What we can unpack, as `Accept-Encoding` says it.
ACCEPTED = "gzip, deflate"


class Unpacker:
    """Unpacks one body; raises `BrokenOff` where it is not packed as its Content-Encoding says.

    A coding that was not asked for is passed on as it is.
    """

    def __init__(self, coding: str) -> None:
        self._coding = coding.strip().lower()
        self._inflate = zlib.decompressobj(wbits=31) if self._coding in {"gzip", "x-gzip"} else None
        self._has_begun = False
        self._rest = b""
        self._is_full = False

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to unpack."""
        return self._inflate is None and self._coding != "deflate"

    @property
    def has_rest(self) -> bool:
        """Whether some of what was fed did not fit, and waits to be unpacked."""
        return bool(self._rest) or self._is_full

    def unpack(self, packed: Iterable[bytes], limit: int) -> bytes:
        """Unpack a whole body; one that is longer than `limit` is `TOO_LARGE`."""
        if self.is_idle:
            return b"".join(packed)
        pieces: list[bytes] = []
        room = limit
        for piece in packed:
            pieces.append(self.feed(piece, room))
            room -= len(pieces[-1])
            if room < 0:
                raise BrokenOff(Failure.TOO_LARGE)
        self.finish()
        return b"".join(pieces)

    def feed(self, piece: bytes, room: int) -> bytes:
        """Unpack a piece, up to just past `room` bytes; what does not fit waits for the next."""
        if self._rest:
            piece, self._rest = self._rest + piece, b""
        if piece and not self._has_begun:
            self._has_begun = True
            if self._coding == "deflate":  # which some send with zlib's frame, as they should, and some without
                is_framed = piece[0] & 0x0F == 8
                self._inflate = zlib.decompressobj(wbits=15 if is_framed else -15)
        if self._inflate is None:
            return piece
        unpacked = b""
        try:
            while (piece or self._is_full) and len(unpacked) <= room:
                if self._inflate.eof:  # another member of the same file: RFC 1952 §2.2
                    self._inflate = zlib.decompressobj(wbits=31)
                space = room + 1 - len(unpacked)
                more = self._inflate.decompress(piece, space)
                self._is_full = len(more) == space and not self._inflate.eof  # the library may hold some back
                unpacked += more
                piece = self._inflate.unconsumed_tail or self._inflate.unused_data
        except zlib.error:
            raise BrokenOff(Failure.PROTOCOL) from None
        self._rest = piece
        return unpacked

    def finish(self) -> None:
        """Check that the body was whole."""
        if self._inflate is not None and self._has_begun and not self._inflate.eof:
            raise BrokenOff(Failure.PROTOCOL)
