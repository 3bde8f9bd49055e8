"""Streams and files by the synchronous face, from a server in another thread."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from elsewhere import elsewhere
from fairlead import errors
from fairlead.config.read import parse_settings
from fairlead.runtime.transfer import TransferProgress
from fairlead.sync import Fairlead
from file_vendor import CONTENT, Said, config, play, rest, whole
from raw_server import RawServer, Script, serve

SHA256 = hashlib.sha256(CONTENT).hexdigest()


@contextmanager
def vendor(*answers: Said) -> Iterator[tuple[Fairlead, RawServer]]:
    with serving(play(answers)) as both:
        yield both


@contextmanager
def serving(script: Script) -> Iterator[tuple[Fairlead, RawServer]]:
    with (
        elsewhere(serve(script)) as server,
        Fairlead(parse_settings(config(server.url())), environment={}) as fl,
    ):
        yield fl, server


def test_a_stream_is_read_piece_by_piece() -> None:
    with vendor(whole()) as (fl, _), fl.http("files").stream("GET", "/file") as response:
        pieces = list(response.stream)
        assert response.status == 200
    assert b"".join(pieces) == CONTENT
    assert len(pieces) > 2


def test_a_stream_that_is_left_early_is_closed() -> None:
    with vendor(whole(), whole(b"second")) as (fl, server):
        with fl.http("files").stream("GET", "/file") as response:
            for _ in response.stream:
                break
        assert fl.http("files").get("/file").body == b"second"
        assert server.connections == 2


def test_a_stream_that_breaks_off_says_so() -> None:
    with (
        vendor(whole(cut=1000)) as (fl, _),
        fl.http("files").stream("GET", "/file") as response,
        pytest.raises(errors.ConnectionLostError),
    ):
        list(response.stream)


def test_a_file_is_downloaded_and_gone_on_with(tmp_path: Path) -> None:
    seen: list[TransferProgress] = []
    with vendor(whole(cut=1000), rest(1000)) as (fl, _):
        transfer = fl.http("files").download("/file", tmp_path / "file", sha256=SHA256, on_progress=seen.append)
    assert (transfer.size, transfer.resumed) == (len(CONTENT), 1)
    assert seen[-1].done == len(CONTENT)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_file_is_uploaded(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    with vendor(Said(201, b"{}")) as (fl, server):
        transfer = fl.http("files").upload("/file", tmp_path / "source")
    assert (transfer.size, transfer.sha256) == (len(CONTENT), SHA256)
    assert server.requests[0].endswith(b"\r\n\r\n" + CONTENT)
