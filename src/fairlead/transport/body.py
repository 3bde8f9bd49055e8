"""The body of a streamed answer, unpacked piece by piece, whatever its connection speaks."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

from fairlead.model.exchange import StreamEnded
from fairlead.model.headers import Pairs
from fairlead.model.outcome import Phase
from fairlead.transport.failures import ENDINGS, broken
from fairlead.transport.unpack import Unpacker

# The most that a packed piece is unpacked to at once.
_CHUNK = 64 * 1024


class UnpackedBody(ABC):
    """A `Body`. Each protocol says how it reads, and what becomes of the connection."""

    def __init__(self, unpacker: Unpacker, where: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._unpacker = unpacker
        self._where = where

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return itself: a body is read once."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece; raise `StreamEnded` where it breaks off."""
        unpacker = self._unpacker
        try:
            while True:
                if unpacker.has_rest:
                    piece = unpacker.feed(b"", _CHUNK)
                elif self._is_over():
                    raise StopAsyncIteration
                else:
                    packed = await self._read()
                    if packed is None:
                        unpacker.finish()
                        await self._finish()
                        raise StopAsyncIteration
                    piece = unpacker.feed(packed, _CHUNK)
                if piece:
                    return piece
        except ENDINGS as error:
            await self.aclose()
            raise StreamEnded(broken(error, Phase.RECEIVING, self._where)) from None
        except asyncio.CancelledError:
            await self.aclose()
            raise

    def taken(self) -> bytes | None:
        """Return all of it, and let go of it, where that takes no waiting; None where it may."""
        return None

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of it; what was not read is not read any more."""

    @abstractmethod
    def trailers(self) -> Pairs:
        """Return the fields that came after the body (RFC 9110 §6.5), once it is read."""

    @abstractmethod
    def _is_over(self) -> bool:
        """Whether the connection was let go of."""

    @abstractmethod
    async def _read(self) -> bytes | None:
        """Return the next piece as it was sent, or None where the body is whole; raise one of `ENDINGS`."""

    @abstractmethod
    async def _finish(self) -> None:
        """Let go of it once it is read to its end."""
