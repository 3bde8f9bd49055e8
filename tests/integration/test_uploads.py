"""Files to a vendor over real sockets: as they are read, with their digest, and never a wrong one whole."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead.model.outcome import Effect, Outcome
from fairlead.runtime.transfer import PIECE, TransferProgress
from file_vendor import CONTENT, client
from raw_server import Peer, Script
from stages import http

SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)


def digest(content: bytes) -> bytes:
    return b"\r\ncontent-digest: sha-256=:" + b64encode(hashlib.sha256(content).digest()) + b":\r\n"


def taking(*answers: bytes) -> Script:
    """Take one whole request after the other, framed either way, and give one answer after the other."""
    waiting = iter(answers)

    async def script(peer: Peer) -> None:
        while True:
            head = await peer._reader.readuntil(b"\r\n\r\n")
            body = b""
            if b"transfer-encoding: chunked" in head.lower():
                while size := int(await peer._reader.readline(), 16):
                    body += (await peer._reader.readexactly(size + 2))[:-2]
                await peer._reader.readexactly(2)
            else:
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = await peer._reader.readexactly(length)
            peer.count(head + body)
            await peer.send(next(waiting))

    return script


def taken(request: bytes) -> tuple[bytes, bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    return head + b"\r\n", body


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


async def pieces() -> AsyncIterator[bytes]:
    for begin in range(0, SIZE, 500_000):
        yield CONTENT[begin : begin + 500_000]


# --- As it should be ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "pieces"])
async def test_a_source_of_every_kind_arrives(source: Path, kind: str) -> None:
    given: Any = {"path": source, "text": str(source), "bytes": CONTENT, "pieces": pieces()}[kind]
    seen: list[TransferProgress] = []
    async with client(taking(http(201, b'{"id": 7}'))) as (fl, server):
        transfer = await fl.http("files").upload("/file", given, on_progress=seen.append)
    head, body = taken(server.requests[0])
    assert head.startswith(b"PUT /file HTTP/1.1\r\n")
    assert body == CONTENT
    assert (transfer.size, transfer.sha256, transfer.path) == (SIZE, SHA256, None)
    assert transfer.response is not None
    assert (transfer.response.status, transfer.response.json()) == (201, {"id": 7})
    is_measured = kind != "pieces"
    assert (digest(CONTENT) in head) == is_measured
    assert (f"content-length: {SIZE}".encode() in head.lower()) == is_measured
    assert b"expect" not in head.lower()
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert len(seen) > 2
    assert (seen[-1].done, seen[-1].total) == (SIZE, SIZE if is_measured else None)


@pytest.mark.parametrize("given", [b"", "empty"])
async def test_a_source_may_be_empty(tmp_path: Path, given: bytes | str) -> None:
    (tmp_path / "empty").write_bytes(b"")
    async with client(taking(http(200))) as (fl, server):
        transfer = await fl.http("files").upload("/file", given if isinstance(given, bytes) else tmp_path / given)
    head, body = taken(server.requests[0])
    assert (body, transfer.size) == (b"", 0)
    assert b"content-length: 0" in head.lower()


async def test_method_headers_and_key_are_the_callers(source: Path) -> None:
    async with client(taking(http(200))) as (fl, server):
        await fl.http("files").upload(
            "/file", source, method="POST", headers={"Repr-Digest": "sha-256=:x:", "Content-Type": "a/b"},
            idempotency_key="mine",
        )  # fmt: skip
    head, _ = taken(server.requests[0])
    assert head.startswith(b"POST /file")
    assert b"content-digest" not in head.lower()
    assert b"\r\nidempotency-key: mine\r\n" in head.lower()
    assert b"\r\ncontent-type: a/b\r\n" in head.lower()


# --- Again --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["path", "bytes"])
async def test_where_nothing_was_done_it_is_read_and_sent_again(source: Path, kind: str) -> None:
    given: Any = {"path": source, "bytes": CONTENT}[kind]
    async with client(taking(http(429, b"{}", "Retry-After: 0"), http(200))) as (fl, server):
        transfer = await fl.http("files").upload("/file", given)
    assert [taken(each)[1] == CONTENT for each in server.requests] == [True, True]
    assert (transfer.size, transfer.sha256) == (SIZE, SHA256)


async def test_what_came_piece_by_piece_cannot_be(source: Path) -> None:
    async with client(taking(http(429), http(200))) as (fl, server):
        with pytest.raises(errors.ThrottledError):
            await fl.http("files").upload("/file", pieces())
        assert len(server.requests) == 1


async def test_in_doubt_it_is_not_sent_again_unless_that_harms_nothing(source: Path) -> None:
    async with client(taking(http(500), http(200))) as (fl, server):
        with pytest.raises(errors.OutcomeUnknownError):
            await fl.http("files").upload("/file", source)
        assert len(server.requests) == 1
    async with client(taking(http(500), http(200))) as (fl, server):
        await fl.http("files").upload("/file", source, effect=Effect.IDEMPOTENT)
        assert len(server.requests) == 2


# --- Refused ------------------------------------------------------------------------------------------------------


async def test_a_vendor_that_has_heard_enough_is_heard() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield bytes(100_000)

    async def script(peer: Peer) -> None:
        peer.count(await peer.read())
        await peer.send(http(413, b'{"message": "too long"}'))
        await peer.wait_for_end()

    async with client(script) as (fl, server):
        with pytest.raises(errors.InvalidRequestError, match="too long") as caught:
            await fl.http("files").upload("/file", endless())
        assert (caught.value.status, caught.value.outcome, len(server.requests)) == (413, Outcome.NOT_DONE, 1)
        so_far = sent
        await server.has_ended.wait()
        assert sent <= so_far + 1
        assert fl.connections["files"].concurrency.free == 50


# --- Sources that change ------------------------------------------------------------------------------------------


def never_whole(requests: list[bytes]) -> bool:
    return all(len(taken(each)[1]) < SIZE for each in requests)


async def hear(peer: Peer) -> None:
    """Take in whatever comes until the client ends it."""
    got = b""
    try:
        while data := await peer.read():
            got += data
    finally:
        peer.count(got)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_bytes(CONTENT[: PIECE + 5]), "has changed while it was sent"),
        (lambda path: path.write_bytes(b"x" * SIZE), "has changed while it was sent"),
        (lambda path: path.write_bytes(b""), "has changed while it was sent"),
    ],
    ids=["shrinks", "is written over", "is emptied"],
)
async def test_a_file_that_changes_while_it_is_sent_is_never_sent_whole(
    source: Path, change: Callable[[Path], object], said: str
) -> None:
    async with client(hear) as (fl, server):

        def watch(progress: TransferProgress) -> None:
            if progress.done == PIECE:
                change(source)

        with pytest.raises(errors.FileError, match=said) as caught:
            await fl.http("files").upload("/file", source, on_progress=watch)
        await server.has_ended.wait()
        assert (caught.value.outcome, caught.value.connection) == (Outcome.UNKNOWN, "files")
        assert never_whole(server.requests)
        assert fl.connections["files"].breaker.cause is None
        assert fl.connections["files"].concurrency.free == 50


async def test_of_a_file_that_grows_what_was_there_is_sent(source: Path) -> None:
    def grow(_: TransferProgress) -> None:
        with source.open("ab") as file:
            file.write(b"more")

    async with client(taking(http(200))) as (fl, server):
        transfer = await fl.http("files").upload("/file", source, on_progress=grow)
    assert (taken(server.requests[0])[1] == CONTENT, transfer.sha256) == (True, SHA256)


async def test_a_file_that_is_gone_is_told(source: Path, tmp_path: Path) -> None:
    answered = http(429, b"{}", "Retry-After: 0")
    async with client(taking(answered, answered)) as (fl, server):
        with pytest.raises(errors.InvalidArgumentError, match="No such file"):
            await fl.http("files").upload("/file", tmp_path / "nowhere")
        with pytest.raises(errors.InvalidArgumentError, match="Is a directory"):
            await fl.http("files").upload("/file", tmp_path)
        assert not server.requests

        def remove(progress: TransferProgress) -> None:
            if progress.done == SIZE:
                source.unlink()

        with pytest.raises(errors.FileError, match="cannot be read any more: No such file"):
            await fl.http("files").upload("/file", source, on_progress=remove)
        assert len(server.requests) == 1


@pytest.mark.parametrize("failure", [OSError(5, "what the disk says"), TimeoutError(), ValueError("odd")])
async def test_what_a_callers_source_raises_is_the_callers_and_not_the_vendors(failure: Exception) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"begun"
        raise failure

    async with client(hear) as (fl, server):
        with pytest.raises(type(failure)) as caught:
            await fl.http("files").upload("/file", failing())
        assert caught.value is failure
        await server.has_ended.wait()
        assert len(server.requests) == 1
        assert fl.connections["files"].breaker.cause is None
        assert fl.connections["files"].concurrency.free == 50


async def test_one_that_is_cancelled_leaves_nothing_open(source: Path) -> None:
    async with client(hear) as (fl, server):
        has_begun = asyncio.Event()
        sending = asyncio.ensure_future(fl.http("files").upload("/file", source, on_progress=lambda _: has_begun.set()))
        await has_begun.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await server.has_ended.wait()
        assert fl.connections["files"].concurrency.free == 50
