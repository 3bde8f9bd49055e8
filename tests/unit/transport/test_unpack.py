from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.transport.failures import BrokenOff
from fairlead.transport.unpack import Unpacker

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "identity": bytes,
    "": bytes,
}


@given(coding=st.sampled_from(sorted(PACK)), content=st.binary(max_size=2000), size=st.integers(1, 50))
def test_what_was_packed_comes_out_whatever_the_pieces(coding: str, content: bytes, size: int) -> None:
    packed = PACK[coding](content)
    unpacker = Unpacker(coding)
    pieces = [packed[begin : begin + size] for begin in range(0, len(packed), size)]
    assert b"".join(unpacker.feed(piece, 10_000) for piece in pieces) == content
    unpacker.finish()


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("room", [0, 1, 999])
def test_no_more_comes_out_than_shows_that_it_is_too_much(coding: str, room: int) -> None:
    bomb = PACK[coding](bytes(10_000_000))
    assert len(Unpacker(coding).feed(bomb, room)) == room + 1


def test_many_small_members_are_no_way_around_it() -> None:
    assert len(Unpacker("gzip").feed(gzip.compress(bytes(100)) * 100, 500)) == 501


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_what_is_not_packed_as_it_says_is_refused(coding: str) -> None:
    with pytest.raises(BrokenOff):
        Unpacker(coding).feed(b"\xff\xffnot packed", 1000)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_so_is_what_ends_too_early(coding: str) -> None:
    unpacker = Unpacker(coding)
    unpacker.feed(PACK[coding](b"a" * 1000)[:-5], 10_000)
    with pytest.raises(BrokenOff):
        unpacker.finish()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity", "br"])
def test_nothing_is_nothing(coding: str) -> None:
    unpacker = Unpacker(coding)
    assert unpacker.feed(b"", 10) == b""
    unpacker.finish()


def test_a_coding_that_nobody_asked_for_is_passed_on() -> None:
    assert Unpacker("br").feed(b"whatever", 100) == b"whatever"
