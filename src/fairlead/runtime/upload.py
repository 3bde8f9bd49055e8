"""A file to a vendor: sent as it is read, with its digest."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from pathlib import Path
from typing import IO

import msgspec

from fairlead.errors import FileError, InvalidArgumentError
from fairlead.model.headers import Pairs
from fairlead.model.message import Request
from fairlead.model.outcome import Outcome
from fairlead.runtime.transfer import PIECE, OnTransfer, Sender, Transfer, TransferProgress
from fairlead.runtime.wanted import CallOptions

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

    async def open(self) -> AsyncGenerator[bytes, None]:
        """Yield the pieces, and count them. What has changed since it was measured is never sent whole: `FileError`."""
        self._is_begun = True
        self.digest, self.sent = hashlib.sha256(), 0
        async with aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                self.digest.update(piece)
                self.sent += len(piece)
                if self.sent == self.length and self.digest.digest() != self.known_digest:
                    raise _changed(self._source)
                yield piece
                if self._on_progress:
                    self._on_progress(TransferProgress(done=self.sent, total=self.length))
        if self.length is not None and self.sent < self.length:
            raise _changed(self._source)

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        if isinstance(self._source, bytes):
            for begin in range(0, len(self._source), PIECE):
                yield self._source[begin : begin + PIECE]
        elif isinstance(self._source, Path):
            # Opened and closed here: beside the event loop, a file of a call that is cancelled could be left open.
            try:
                file = self._source.open("rb")
            except OSError as error:
                raise _unreadable(self._source, error) from None
            with file:
                # Nobody waits for the end of the file once all of it is sent: the answer may be there by then.
                while (size := self._next_size()) and (piece := await _read(self._source, file, size)):
                    yield piece
        else:
            async for piece in self._source:
                yield piece

    def _next_size(self) -> int:
        """Return how much to read: of a file that has grown since, what was there when it was measured."""
        return PIECE if self.length is None else min(PIECE, self.length - self.sent)


async def _read(path: Path, file: IO[bytes], size: int) -> bytes:
    try:
        return await asyncio.to_thread(file.read, size)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> FileError:
    return FileError(
        f"{path} cannot be read any more: {error.strerror or error}.",
        hint="A part of it may have been sent.",
        outcome=Outcome.UNKNOWN,
    )


def _changed(source: object) -> FileError:
    return FileError(
        f"{source if isinstance(source, Path) else 'What was to be sent'} has changed while it was sent.",
        hint="A part of it was sent, and the rest was not. Send a copy that nobody writes to.",
        outcome=Outcome.UNKNOWN,
    )
