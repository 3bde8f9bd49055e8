"""A file from a vendor: written as it comes, gone on with where it broke off, and checked at the end."""

from __future__ import annotations

import asyncio
import hashlib
import re
from base64 import b64decode
from contextlib import aclosing
from pathlib import Path
from typing import IO, Any

import msgspec

from fairlead.errors import ChecksumError, InvalidRequestError, TransportError
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response
from fairlead.runtime.calls import CallOptions
from fairlead.runtime.transfer import PIECE, OnTransfer, Sender, Transfer, TransferProgress

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
# RFC 9530 §2, §3: the digest of this very body, or of the whole that a range is part of.
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]+):")


class _Part(msgspec.Struct, kw_only=True):
    """What is known of a file that is not whole, kept beside it."""

    #: A strong ETag or a date (RFC 9110 §13.1.5): what proves that the vendor still has the same.
    validator: str = ""
    total: int | None = None


async def download(
    sender: Sender,
    request: Request,
    target: Path,
    *,
    sha256: str | None,
    on_progress: OnTransfer | None,
    options: CallOptions,
) -> Transfer:
    """Read the answer to a request into a file; see `HttpFacade.download`."""
    request = msgspec.structs.replace(request, is_streamed=True)
    part = _PartFile(target)
    await asyncio.to_thread(part.open)
    resumed = stuck = 0
    try:
        while True:
            before = part.size
            try:
                response = await sender.send(part.asking(request), **options)
                await _receive(response, part, on_progress)
                break
            except InvalidRequestError as error:
                if error.status != 416 or not before:  # RFC 9110 §15.5.17: what we have is not the beginning of it
                    raise
                await asyncio.to_thread(part.restart)
            except TransportError as error:
                stuck = 0 if part.size > before else stuck + 1
                if error.retry_after_s is None and (stuck >= sender.connection.retry.max_attempts or not part.size):
                    raise
            resumed += 1
        digest = part.digest.hexdigest()
        _compare(digest, sha256, part.claimed, target)
    except ChecksumError:
        await asyncio.to_thread(part.discard)
        raise
    finally:
        await asyncio.to_thread(part.close)
    await asyncio.to_thread(part.finish)
    return Transfer(size=part.size, sha256=digest, path=str(target), resumed=resumed, call=response.call)


async def _receive(response: Response, part: _PartFile, on_progress: OnTransfer | None) -> None:
    stream: Any = response.stream
    try:
        await asyncio.to_thread(part.begin, response)
        waiting: list[bytes] = []
        size = 0
        async with aclosing(aiter(stream)) as pieces:
            try:
                async for piece in pieces:
                    waiting.append(piece)
                    size += len(piece)
                    if size >= PIECE:
                        await asyncio.to_thread(part.write, b"".join(waiting))
                        waiting, size = [], 0
                        if on_progress:
                            on_progress(TransferProgress(done=part.size, total=part.known.total))
            finally:
                if waiting:
                    part.write(b"".join(waiting))
        if on_progress:
            on_progress(TransferProgress(done=part.size, total=part.known.total))
    finally:
        await stream.aclose()


class _PartFile:
    """A file that is not whole yet (`<name>.part`), and what is known of it (`<name>.part.json`)."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path = target.with_name(f"{target.name}.part")
        self._notes = target.with_name(f"{target.name}.part.json")
        self._file: IO[bytes] | None = None
        self.digest = hashlib.sha256()
        self.size = 0
        self.known = _Part()
        #: The digest that the vendor has announced.
        self.claimed: str | None = None

    def open(self) -> None:
        """Open it, and read what an earlier call has left."""
        try:
            self.known = msgspec.json.decode(self._notes.read_bytes(), type=_Part)
        except (OSError, msgspec.DecodeError):
            self.known = _Part()
        self._file = self._path.open("r+b" if self.known.validator and self._path.exists() else "w+b")
        while piece := self._file.read(PIECE):
            self._note(piece)

    def asking(self, request: Request) -> Request:
        """Return the request for what is missing (RFC 9110 §14.2, §13.1.5)."""
        if not (self.size and self.known.validator):
            return request
        more = (("range", f"bytes={self.size}-"), ("if-range", self.known.validator))
        return msgspec.structs.replace(request, headers=(*request.headers, *more))

    def begin(self, response: Response) -> None:
        """Take the head of an answer: it goes on where we are, or begins anew."""
        found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        goes_on = response.status == 206 and found is not None and int(found[1]) == self.size
        if response.status == 206 and not goes_on:
            raise TransportError("The vendor sent another part than was asked for.")
        if not goes_on and self.size:
            self.restart()
        length = response.headers.get("content-length", "")
        total = int(found[3]) if found and found[3] != "*" else int(length) if length.isdigit() else None
        self.known = _Part(validator=_validator(response.headers), total=total)
        self._notes.write_bytes(msgspec.json.encode(self.known))
        said = response.headers.get("repr-digest") or (not goes_on and response.headers.get("content-digest")) or ""
        digest = _DIGEST.search(said)
        self.claimed = b64decode(digest[1]).hex() if digest else None

    def write(self, data: bytes) -> None:
        """Add to it."""
        if self._file is not None:
            self._file.write(data)
            self._note(data)

    def restart(self) -> None:
        """Forget what is there."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
        self.digest, self.size, self.known = hashlib.sha256(), 0, _Part()

    def close(self) -> None:
        """Close it; what is there may be gone on with."""
        if self._file is not None:
            self._file.close()

    def finish(self) -> None:
        """Put it in its place, whole."""
        self._path.replace(self._target)
        self._notes.unlink(missing_ok=True)

    def discard(self) -> None:
        """Throw it away."""
        self.close()
        self._path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    def _note(self, data: bytes) -> None:
        self.digest.update(data)
        self.size += len(data)


def _validator(headers: Headers) -> str:
    """Return what tells that it is the same still, where the vendor knows ranges; weak tags do not (§13.1.5)."""
    if headers.get("accept-ranges", "").lower() == "none":
        return ""
    tag = headers.get("etag", "")
    return tag if tag.startswith('"') else headers.get("last-modified", "")


def _compare(digest: str, wanted: str | None, claimed: str | None, target: Path) -> None:
    for whose, other in (("that was asked for", wanted), ("that the vendor announced", claimed)):
        if other is not None and other.lower() != digest:
            raise ChecksumError(
                f"What came for {target.name} has the SHA-256 {digest}, not the one {whose}.",
                hint="It was thrown away; download it again, and ask the vendor if it happens again.",
            )
