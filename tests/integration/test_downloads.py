"""Files from a vendor over real sockets: whole, checked, broken off and gone on with."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import resource
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.runtime.transfer import TransferProgress
from file_vendor import CONTENT, TAG, Asked, Said, asked, client, rest, vendor, whole
from raw_server import Peer

SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)
HALF = SIZE // 2
#: A date that proves something: the file had not changed for a day.
DATED = ("Last-Modified: Mon, 05 Jan 2026 10:00:00 GMT", "Date: Tue, 06 Jan 2026 10:00:00 GMT")


def digest(name: str, content: bytes) -> str:
    return f"{name}: sha-256=:{b64encode(hashlib.sha256(content).digest()).decode()}:"


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- Whole --------------------------------------------------------------------------------------------------------


async def test_a_file_arrives_whole_and_is_there_once_it_is(tmp_path: Path) -> None:
    seen: list[TransferProgress] = []
    target = tmp_path / "file"
    async with vendor(whole()) as (fl, server):

        def watch(progress: TransferProgress) -> None:
            assert not target.exists()
            seen.append(progress)

        transfer = await fl.http("files").download("/file", target, sha256=SHA256.upper(), on_progress=watch)
    assert target.read_bytes() == CONTENT
    assert (transfer.size, transfer.sha256, transfer.path, transfer.resumed) == (SIZE, SHA256, str(target), 0)
    assert transfer.call is not None
    assert transfer.call.served_by == "files"
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert len(seen) > 2
    assert (seen[-1].done, seen[-1].total) == (SIZE, SIZE)
    assert asked(server.requests[0]) == Asked(None, None)
    assert left(tmp_path) == ["file"]


async def test_an_older_file_is_replaced_and_an_empty_one_is_a_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"older")
    async with vendor(whole(b"")) as (fl, _):
        assert (await fl.http("files").download("/file", str(target))).size == 0
    assert target.read_bytes() == b""
    assert left(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        (SHA256, ()),
        (None, (digest("Repr-Digest", CONTENT),)),
        (None, (digest("Content-Digest", CONTENT),)),
        (None, ("Repr-Digest: md5=:AAAA:",)),
    ],
    ids=["asked for", "of the representation", "of the body", "of a kind we do not know"],
)
async def test_a_digest_that_fits_is_silent(tmp_path: Path, wanted: str | None, fields: tuple[str, ...]) -> None:
    async with vendor(whole(CONTENT, *fields)) as (fl, _):
        await fl.http("files").download("/file", tmp_path / "file", sha256=wanted)
    assert left(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("wanted", "fields", "whose"),
    [
        ("0" * 64, (), "asked for"),
        (None, (digest("Repr-Digest", b"else"),), "announced"),
        (None, (digest("Content-Digest", b"else"),), "announced"),
        (SHA256, (digest("Repr-Digest", b"else"),), "announced"),
    ],
)
async def test_what_does_not_fit_its_digest_is_thrown_away(
    tmp_path: Path, wanted: str | None, fields: tuple[str, ...], whose: str
) -> None:
    async with vendor(whole(CONTENT, f"ETag: {TAG}", *fields)) as (fl, _):
        with pytest.raises(errors.ChecksumError, match=whose):
            await fl.http("files").download("/file", tmp_path / "file", sha256=wanted)
    assert left(tmp_path) == []


async def test_what_comes_packed_all_the_same_is_unpacked_and_not_gone_on_with(tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT)
    fields = ("Content-Encoding: gzip", f"ETag: {TAG}", digest("Repr-Digest", packed))
    async with vendor(whole(packed, *fields, cut=len(packed) // 2), whole(packed, *fields)) as (fl, server):
        transfer = await fl.http("files").download("/file", tmp_path / "file", sha256=SHA256)
    assert (transfer.size, transfer.resumed) == (SIZE, 0)
    assert [asked(each) for each in server.requests] == [Asked(None, None)] * 2


async def test_a_refusal_leaves_nothing_behind(tmp_path: Path) -> None:
    async with vendor(Said(404, b"{}")) as (fl, _):
        with pytest.raises(errors.NotFoundError):
            await fl.http("files").download("/file", tmp_path / "file")
    assert left(tmp_path) == []


# --- Gone on with -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proof", [(f"ETag: {TAG}",), DATED], ids=["tag", "date"])
async def test_what_broke_off_is_gone_on_with_in_the_same_call(tmp_path: Path, proof: tuple[str, ...]) -> None:
    # A part need not repeat the date that was asked with (RFC 9110 §15.3.7).
    again = proof if len(proof) == 1 else ("X-Nothing: 1",)
    answers = (whole(CONTENT, *proof, cut=HALF), rest(HALF, *again, cut=1000), rest(HALF + 1000, *again))
    async with vendor(*answers) as (fl, server):
        transfer = await fl.http("files").download("/file", tmp_path / "file", sha256=SHA256)
    assert (transfer.resumed, transfer.size) == (2, SIZE)
    validator = proof[0].partition(": ")[2]
    assert [asked(each) for each in server.requests] == [
        Asked(None, None),
        Asked(f"bytes={HALF}-", validator),
        Asked(f"bytes={HALF + 1000}-", validator),
    ]
    assert (tmp_path / "file").read_bytes() == CONTENT


async def test_and_in_a_later_one_for_which_the_part_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "file"
    announced = (f"ETag: {TAG}", digest("Repr-Digest", CONTENT))
    broken = [rest(HALF, cut=0)] * 3
    async with vendor(whole(CONTENT, *announced, cut=HALF), *broken) as (fl, _):
        with pytest.raises(errors.ConnectionLostError):
            await fl.http("files").download("/file", target)
    assert left(tmp_path) == ["file.part", "file.part.json"]
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:HALF]
    async with vendor(rest(HALF)) as (fl, server):
        transfer = await fl.http("files").download("/file", target)
    assert (transfer.size, transfer.sha256, transfer.resumed) == (SIZE, SHA256, 1)
    assert asked(server.requests[0]) == Asked(f"bytes={HALF}-", TAG)
    assert (target.read_bytes(), left(tmp_path)) == (CONTENT, ["file"])


async def test_a_digest_announced_with_the_first_part_holds_for_the_whole(tmp_path: Path) -> None:
    announced = (f"ETag: {TAG}", digest("Repr-Digest", b"else"))
    async with vendor(whole(CONTENT, *announced, cut=HALF), rest(HALF)) as (fl, _):
        with pytest.raises(errors.ChecksumError):
            await fl.http("files").download("/file", tmp_path / "file")
    assert left(tmp_path) == []


async def test_a_vendor_may_send_less_than_was_asked_for(tmp_path: Path) -> None:
    answers = (whole(cut=1000), rest(1000, until=HALF), rest(HALF, until=SIZE - 1), rest(SIZE - 1))
    async with vendor(*answers) as (fl, _):
        transfer = await fl.http("files").download("/file", tmp_path / "file", sha256=SHA256)
    assert transfer.resumed == 3


CHANGED = bytes(reversed(CONTENT))


@pytest.mark.parametrize(
    ("answers", "content", "asks_for_rest"),
    [
        ([whole(cut=HALF), whole(CHANGED, 'ETag: "v2"')], CHANGED, [False, True]),
        ([whole(CONTENT, "X-No: proof", cut=HALF), whole(CONTENT, "X-No: proof")], CONTENT, [False, False]),
        ([whole(CONTENT, 'ETag: W/"v1"', cut=HALF), whole()], CONTENT, [False, False]),
        ([whole(CONTENT, DATED[0], cut=HALF), whole()], CONTENT, [False, False]),
        ([whole(CONTENT, DATED[0], f"Date: {DATED[0][15:]}", cut=HALF), whole()], CONTENT, [False, False]),
        ([whole(CONTENT, f"ETag: {TAG}", "Accept-Ranges: none", cut=HALF), whole()], CONTENT, [False, False]),
        ([whole(cut=HALF), whole()], CONTENT, [False, True]),
        ([whole(cut=HALF), Said(416, b""), whole(CHANGED)], CHANGED, [False, True, False]),
        ([whole(cut=HALF), rest(HALF, 'ETag: "v2"', content=CHANGED), whole(CHANGED)], CHANGED, [False, True, False]),
        ([whole(cut=HALF), rest(HALF - 1), whole()], CONTENT, [False, True, False]),
        ([whole(cut=HALF), Said(206, b"x", ()), whole()], CONTENT, [False, True, False]),
    ],
    ids=[
        "it has changed", "no proof", "a weak tag", "an undated date", "a date of this second", "no ranges",
        "it knows no ranges after all", "416", "a part of another", "another part", "some part",
    ],
)  # fmt: skip
async def test_where_it_cannot_be_gone_on_with_it_is_begun_anew(
    tmp_path: Path, answers: list[Said], content: bytes, asks_for_rest: list[bool]
) -> None:
    async with vendor(*answers) as (fl, server):
        transfer = await fl.http("files").download("/file", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content
    assert transfer.size == len(content)
    assert [asked(each).range is not None for each in server.requests] == asks_for_rest


async def test_it_is_not_begun_anew_for_ever(tmp_path: Path) -> None:
    growing = [whole(CONTENT, "X-No: proof", cut=1000 + at) for at in range(10)]
    async with vendor(*growing) as (fl, server):
        with pytest.raises(errors.ConnectionLostError):
            await fl.http("files").download("/file", tmp_path / "file")
        assert len(server.requests) == 3
    refusing = [whole(cut=HALF), Said(416, b""), Said(416, b"")]
    async with vendor(*refusing) as (fl, server):
        with pytest.raises(errors.InvalidRequestError):
            await fl.http("files").download("/file", tmp_path / "file")
        assert len(server.requests) == 3
    nothing = [rest(0, until=1)] + [rest(1, until=1)] * 10
    async with vendor(*nothing) as (fl, server):
        with pytest.raises(errors.TransportError, match="nowhere"):
            await fl.http("files").download("/other", tmp_path / "other")
        assert len(server.requests) == 4


async def test_a_vendor_that_is_gone_is_not_asked_for_ever(tmp_path: Path) -> None:
    async with vendor(whole(cut=HALF)) as (fl, server):
        with pytest.raises(errors.ConnectionLostError):
            await fl.http("files").download("/file", tmp_path / "file")
        assert len(server.requests) == 4
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:HALF]


async def test_one_that_is_cancelled_leaves_what_has_come_and_nothing_twice(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nETag: {TAG}\r\n\r\n"
        await peer.send(head.encode() + CONTENT[:-1])
        await peer.wait_for_end()

    target = tmp_path / "file"
    async with client(script) as (fl, server):
        has_some = asyncio.Event()
        loading = asyncio.ensure_future(
            fl.http("files").download("/file", target, on_progress=lambda _: has_some.set())
        )
        await has_some.wait()
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
        await server.has_ended.wait()
        assert fl.connections["files"].concurrency.free == 50
    part = (tmp_path / "file.part").read_bytes()
    assert 0 < len(part) < SIZE
    assert part == CONTENT[: len(part)]
    async with vendor(rest(len(part))) as (fl, _):
        await fl.http("files").download("/file", target, sha256=SHA256)


async def test_notes_that_cannot_be_read_are_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(b"whatever")
    for notes in (b"{", b"[]", json.dumps({"validator": 3}).encode()):
        (tmp_path / "file.part.json").write_bytes(notes)
        async with vendor(whole()) as (fl, server):
            await fl.http("files").download("/file", tmp_path / "file", sha256=SHA256)
        assert asked(server.requests[0]).range is None


# --- Where it is to go --------------------------------------------------------------------------------------------


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes, as on a disk that is full (`EFBIG` in place of `ENOSPC`)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_is_told_and_once_there_is_space_it_goes_on(tmp_path: Path) -> None:
    async with vendor(whole(), rest(HALF)) as (fl, server):
        with (
            small_disk(HALF),
            pytest.raises(errors.FileError, match="file cannot be written: File too large") as caught,
        ):
            await fl.http("files").download("/file", tmp_path / "file")
        assert (caught.value.code, "space" in caught.value.hint) == ("file", True)
        part = (tmp_path / "file.part").read_bytes()
        assert part == CONTENT[: len(part)]
        assert len(part) == HALF
        transfer = await fl.http("files").download("/file", tmp_path / "file", sha256=SHA256)
        assert (transfer.resumed, len(server.requests)) == (1, 2)
        assert fl.connections["files"].concurrency.free == 50


@pytest.mark.parametrize("place", ["missing/file", "folder", "note/file"])
async def test_a_target_that_cannot_be_written_is_told_before_anything_is_sent(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "note").write_bytes(b"a file where a directory should be")
    async with vendor(whole()) as (fl, server):
        with pytest.raises(errors.FileError, match=r"cannot be written: (No such file|Is a dir|Not a dir)"):
            await fl.http("files").download("/file", tmp_path / place)
        assert not server.requests
    assert left(tmp_path) == ["folder", "note"]


async def test_what_a_download_does_itself_cannot_be_asked_for(tmp_path: Path) -> None:
    async with vendor(Said(304, b"")) as (fl, server):
        for name in ("Range", "if-range"):
            with pytest.raises(errors.InvalidArgumentError, match="ranges itself"):
                await fl.http("files").download("/file", tmp_path / "file", headers={name: "bytes=1-2"})
        assert not server.requests
        with pytest.raises(errors.InvalidArgumentError, match="conditional"):
            await fl.http("files").download("/file", tmp_path / "file", headers={"If-None-Match": TAG})
    assert left(tmp_path) == []
