"""A file from a vendor: written as it comes, gone on with where it broke off, and checked at the end."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
from base64 import b64decode
from collections.abc import Callable
from contextlib import aclosing
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, Any

import msgspec

from fairlead.errors import ChecksumError, FileError, InvalidArgumentError, InvalidRequestError, TransportError
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response
from fairlead.runtime.transfer import PIECE, OnTransfer, Sender, Transfer, TransferProgress
from fairlead.runtime.wanted import CallOptions

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
# RFC 9530 §2, §3: the digest of this very body, or of the whole that a range is part of.
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]+):")


class _Part(msgspec.Struct, kw_only=True):
    """What is known of a file that is not whole, kept beside it."""

    #: A strong ETag or a date (RFC 9110 §13.1.5): what proves that the vendor still has the same.
    validator: str = ""
    total: int | None = None
    #: The digest that the vendor has announced.
    claimed: str | None = None


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
    if any(name.lower() in {"range", "if-range"} for name, _ in request.headers):
        raise InvalidArgumentError("A download asks for ranges itself.", hint="Read a part of a file by `stream`.")
    request = msgspec.structs.replace(request, is_streamed=True)
    part = _PartFile(target)
    stuck = 0
    try:
        await part.work(part.open)
        while True:
            before, error = part.size, None
            try:
                response = await sender.send(part.asking(request), **options)
            except InvalidRequestError as refusal:
                if refusal.status != 416 or not before:  # RFC 9110 §15.5.17: what we have is not the beginning of it
                    raise
                await part.work(part.restart)
                continue
            try:
                await _receive(response, part, on_progress)
            except TransportError as broken:
                error = broken
            if error is None and part.is_whole:
                break
            stuck = 0 if part.known.validator and part.size > before else stuck + 1
            if stuck >= sender.connection.retry.max_attempts:
                raise error or TransportError("The vendor sends the file in parts that lead nowhere.")
        digest = part.digest.hexdigest()
        _compare(digest, sha256, part.known.claimed, target)
        await part.work(part.finish)
    except ChecksumError:
        part.restart()
        raise
    finally:
        await part.work(part.close)
    return Transfer(size=part.size, sha256=digest, path=str(target), resumed=part.resumed, call=response.call)


async def _receive(response: Response, part: _PartFile, on_progress: OnTransfer | None) -> None:
    """Write what comes; raise `TransportError` where it breaks off."""
    stream: Any = response.stream
    if stream is None:  # 304: there is nothing to write
        raise InvalidArgumentError("A download cannot be conditional.", hint="Ask by `get` whether it has changed.")
    try:
        await part.work(part.begin, response)
        waiting: list[bytes] = []
        size = 0
        async with aclosing(aiter(stream)) as pieces:
            try:
                async for piece in pieces:
                    waiting.append(piece)
                    size += len(piece)
                    if size >= PIECE:
                        # Cancelled, it may be written still: what is taken out here is not written twice.
                        ready, waiting, size = b"".join(waiting), [], 0
                        await part.work(part.write, ready)
                        if on_progress:
                            on_progress(TransferProgress(done=part.size, total=part.known.total))
            finally:
                if waiting:
                    part.writing(part.write, b"".join(waiting))
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
        self._is_finished = False
        #: How often it was gone on with.
        self.resumed = 0
        self.digest = hashlib.sha256()
        self.size = 0
        self.known = _Part()

    async def work(self, do: Callable[..., None], *args: Any) -> None:
        """Do something with the file beside the event loop; raise `FileError` where it cannot be done."""
        await asyncio.to_thread(self.writing, do, *args)

    def writing(self, do: Callable[..., None], *args: Any) -> None:
        """Do something with the file; raise `FileError` where it cannot be done."""
        try:
            do(*args)
        except OSError as error:
            raise FileError(
                f"{self._target} cannot be written: {error.strerror or error}.",
                hint="Check its directory, the permissions and the space there; what has come is gone on with then.",
            ) from None

    def open(self) -> None:
        """Open it, and read what an earlier call has left."""
        if self._target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
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
        headers = response.headers
        found = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
        goes_on = self.size > 0 and response.status == 206
        if response.status == 206 and not (found and int(found[1]) == self.size and self._is_same(headers)):
            self.restart()
            raise TransportError("The vendor sent another part than was asked for.")
        self.resumed += goes_on
        if not goes_on:
            self.restart()
            self.known = _Part(validator=_validator(headers))
        length = headers.get("content-length", "")
        # A packed answer (RFC 9110 §8.4) is unpacked by now: its length and its digest are not the file's.
        if headers.get("content-encoding", "identity") == "identity":
            self.known.total = int(found[3]) if found and found[3] != "*" else int(length) if length.isdigit() else None
            said = headers.get("repr-digest") or (response.status != 206 and headers.get("content-digest")) or ""
            if digest := _DIGEST.search(said):
                self.known.claimed = b64decode(digest[1]).hex()
        self._notes.write_bytes(msgspec.json.encode(self.known))

    def _is_same(self, headers: Headers) -> bool:
        """Whether a part may be joined to what is there (RFC 9110 §15.3.7.3)."""
        tag, known = headers.get("etag", ""), self.known.validator
        return not (tag and known.startswith('"')) or tag == known

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, as far as is known: a vendor may send less than was asked for (§15.3.7)."""
        return self.known.total is None or self.size == self.known.total

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

    def finish(self) -> None:
        """Put it in its place, whole."""
        if self._file is not None:
            self._file.close()
        self._path.replace(self._target)
        self._notes.unlink(missing_ok=True)
        self._is_finished = True

    def close(self) -> None:
        """Close it; what is there may be gone on with."""
        if self._file is None:
            return
        try:
            self._file.close()
        finally:
            if not self.size and not self._is_finished:
                self._path.unlink(missing_ok=True)
                self._notes.unlink(missing_ok=True)

    def _note(self, data: bytes) -> None:
        self.digest.update(data)
        self.size += len(data)


def _validator(headers: Headers) -> str:
    """Return what tells that it is the same still, where the vendor knows ranges; weak ones do not (§13.1.5)."""
    if headers.get("accept-ranges", "").lower() == "none" or "content-encoding" in headers:
        return ""
    tag = headers.get("etag", "")
    if tag.startswith('"'):
        return tag
    changed = headers.get("last-modified", "")
    try:
        age = parsedate_to_datetime(headers.get("date", "")) - parsedate_to_datetime(changed)
    except ValueError:
        return ""
    return changed if age.total_seconds() >= 1 else ""  # §8.8.2.2: it may have changed twice in its second


def _compare(digest: str, wanted: str | None, claimed: str | None, target: Path) -> None:
    for whose, other in (("that was asked for", wanted), ("that the vendor announced", claimed)):
        if other is not None and other.lower() != digest:
            raise ChecksumError(
                f"What came for {target.name} has the SHA-256 {digest}, not the one {whose}.",
                hint="It was thrown away; download it again, and ask the vendor if it happens again.",
            )
