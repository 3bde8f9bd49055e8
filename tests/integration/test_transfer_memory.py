"""However long a file is, the memory it takes on its way stays the same."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from file_vendor import client
from raw_server import Peer
from stages import http

PIECE = bytes(65_536)
LONG = 200 * 1024 * 1024
#: What is read, joined and written at once is one MB; some of each is there at the same time.
ENOUGH = 12_000_000


def sha256_of_zeros() -> str:
    digest = hashlib.sha256()
    for _ in range(LONG // len(PIECE)):
        digest.update(PIECE)
    return digest.hexdigest()


@contextmanager
def bounded(most: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 100_000 < peak < most


async def test_a_long_download(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LONG)
        for _ in range(LONG // len(PIECE)):
            await peer.send(PIECE)
        await peer.wait_for_end()

    async with client(script) as (fl, _):
        with bounded(ENOUGH):
            transfer = await fl.http("files").download("/file", tmp_path / "file")
    assert (transfer.size, transfer.sha256) == (LONG, sha256_of_zeros())
    assert (tmp_path / "file").stat().st_size == LONG


async def test_a_long_upload(tmp_path: Path) -> None:
    with (tmp_path / "source").open("wb") as file:
        file.truncate(LONG)
    came = 0

    async def script(peer: Peer) -> None:
        nonlocal came
        _, _, body = (await peer.read()).partition(b"\r\n\r\n")
        came = len(body)
        while came < LONG:
            came += len(await peer.read_some())
        await peer.send(http(201))
        await peer.wait_for_end()

    async with client(script) as (fl, _):
        with bounded(ENOUGH):
            transfer = await fl.http("files").upload("/file", tmp_path / "source")
    assert (transfer.size, transfer.sha256, came) == (LONG, sha256_of_zeros(), LONG)
