"""A file to a vendor: sent as it is read, with its digest."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path

import msgspec

from fairlead.errors import InvalidArgumentError
from fairlead.model.headers import Pairs
from fairlead.model.message import Request
from fairlead.runtime.calls import CallOptions
from fairlead.runtime.transfer import PIECE, OnTransfer, Sender, Transfer, TransferProgress

# The deadline of an upload that names none.
_LONG: CallOptions = {"deadline_s": 3600.0}
# RFC 9530: the digest of a body.
_DIGESTS = {"content-digest", "repr-digest"}


async def upload(
    sender: Sender,
    request: Request,
    source: str | Path | bytes | AsyncIterable[bytes],
    *,
    on_progress: OnTransfer | None,
    options: CallOptions,
) -> Transfer:
    """Send a file as the body of a request; see `HttpFacade.upload`."""
    content = await _content(source, on_progress)
    headers = request.headers
    if content.known_digest and not _DIGESTS & {name.lower() for name, _ in headers}:
        headers = (*headers, ("content-digest", f"sha-256=:{b64encode(content.known_digest).decode()}:"))
    request = msgspec.structs.replace(request, content=content, headers=headers)
    response = await sender.send(request, **_LONG | options)
    return Transfer(size=content.sent, sha256=content.digest.hexdigest(), response=response, call=response.call)


async def _content(source: str | Path | bytes | AsyncIterable[bytes], on_progress: OnTransfer | None) -> _Source:
    if isinstance(source, bytes):
        return _Source(source, len(source), hashlib.sha256(source).digest(), on_progress)
    if isinstance(source, str | Path):
        try:
            digest, size = await asyncio.to_thread(_measure, Path(source))
        except OSError as error:
            raise InvalidArgumentError(
                f"{source} cannot be read: {error.strerror}.", hint="Check the path and its permissions."
            ) from None
        return _Source(Path(source), size, digest, on_progress)
    return _Source(source, None, None, on_progress)


def _measure(path: Path) -> tuple[bytes, int]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return digest.digest(), file.tell()


class _Source:
    """What is sent, as a `Content`. A file and bytes can be read again; a stream of the caller's cannot."""

    def __init__(
        self,
        source: Path | bytes | AsyncIterable[bytes],
        length: int | None,
        known_digest: bytes | None,
        on_progress: OnTransfer | None,
    ) -> None:
        self._source = source
        self.length = length
        self.known_digest = known_digest
        self._on_progress = on_progress
        self._is_begun = False
        self.digest = hashlib.sha256()
        self.sent = 0

    @property
    def is_spent(self) -> bool:
        """Whether it cannot be sent again."""
        return self._is_begun and not isinstance(self._source, Path | bytes)

    def trailers(self) -> Pairs:
        """Return none."""
        return ()

    async def open(self) -> AsyncIterator[bytes]:
        """Yield the pieces, and count them."""
        self._is_begun = True
        self.digest, self.sent = hashlib.sha256(), 0
        async for piece in self._pieces():
            self.digest.update(piece)
            self.sent += len(piece)
            yield piece
            if self._on_progress:
                self._on_progress(TransferProgress(done=self.sent, total=self.length))

    async def _pieces(self) -> AsyncIterator[bytes]:
        if isinstance(self._source, bytes):
            for begin in range(0, len(self._source), PIECE):
                yield self._source[begin : begin + PIECE]
        elif isinstance(self._source, Path):
            file = await asyncio.to_thread(self._source.open, "rb")
            try:
                while piece := await asyncio.to_thread(file.read, PIECE):
                    yield piece
            finally:
                await asyncio.to_thread(file.close)
        else:
            async for piece in self._source:
                yield piece
