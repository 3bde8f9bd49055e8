"""What a server says, in HTTP/1.1 and in HTTP/2: the scripts of the stages."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import hpack
from h2.errors import ErrorCodes
from hyperframe.frame import ContinuationFrame, HeadersFrame

import raw_server
from h2_server import H2Peer, H2Script
from raw_server import Peer, Script, let_the_client_read

#: The head of an answer whose body comes in chunks.
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_HALF = b'{"done":'


class Talk(NamedTuple):
    """One conversation in both protocols; None where one of them knows no such thing."""

    http1: Script | None
    http2: H2Script | None = None


def http(status: int, body: bytes = b"{}", *fields: str) -> bytes:
    """Build an answer of HTTP/1.1."""
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Content-Type: application/json", *fields]
    return "\r\n".join([*head, "", ""]).encode() + body


def saying(status: int, body: bytes = b"{}", *fields: str) -> Talk:
    """Answer every request alike, until the client closes."""

    async def http2(peer: H2Peer) -> None:
        while True:
            stream = await peer.read_request()
            await peer.send_head(stream, status, [("content-type", "application/json"), *_pairs(fields)])
            await peer.send_body(stream, body)

    return Talk(raw_server.reply(http(status, body, *fields)), http2)


def _pairs(fields: Iterable[str]) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, _, value in (field.partition(": ") for field in fields)]


# --- Before a request ---------------------------------------------------------------------------------------------


async def reset_at_hello(peer: Peer) -> None:
    await peer.read()
    peer.reset()


async def close_at_hello(peer: Peer) -> None:
    await peer.read()
    peer.close()


async def speak_plainly(peer: Peer) -> None:
    await peer.read()
    await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


# --- After it -----------------------------------------------------------------------------------------------------


async def _ignore(peer: H2Peer) -> None:
    await peer.wait_for_end()


async def _reset_after_request(peer: Peer) -> None:
    await peer.read_request()
    peer.reset()


async def _reset_after_request_2(peer: H2Peer) -> None:
    await peer.read_request()
    peer.reset()


async def _close_after_request(peer: Peer) -> None:
    await peer.read_request()


async def _close_after_request_2(peer: H2Peer) -> None:
    await peer.read_request()


async def _half(peer: H2Peer) -> None:
    stream = await peer.read_request()
    await peer.send_head(stream, 200, [("content-length", "100")])
    await peer.send_body(stream, _HALF, is_all=False)


async def _half_and_reset(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + _HALF)
    await let_the_client_read()
    peer.reset()


async def _half_and_reset_2(peer: H2Peer) -> None:
    await _half(peer)
    await let_the_client_read()
    peer.reset()


async def _half_and_stall(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + _HALF)
    await peer.wait_for_end()


async def _half_and_stall_2(peer: H2Peer) -> None:
    await _half(peer)
    await peer.wait_for_end()


async def _half_and_no_more(peer: H2Peer) -> None:
    stream = await peer.read_request()
    await peer.send_head(stream, 200, [("content-length", "100")])
    await peer.send_body(stream, _HALF, is_all=False)
    await peer.refuse(stream, ErrorCodes.INTERNAL_ERROR)
    await peer.wait_for_end()


async def claim_two_gigabytes(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000000\r\n\r\n")
    await peer.wait_for_end()


async def _claim_two_gigabytes_2(peer: H2Peer) -> None:
    stream = await peer.read_request()
    await peer.send_head(stream, 200, [("content-length", "2000000000")], is_all=stream.fields[":method"] == "HEAD")
    await peer.wait_for_end()


async def _stream_on_and_on(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(CHUNKED)
    for _ in range(10_000):  # ends when the client hangs up
        await peer.send(b"2000\r\n" + b" " * 0x2000 + b"\r\n")


async def _stream_on_and_on_2(peer: H2Peer) -> None:
    stream = await peer.read_request()
    await peer.send_head(stream, 200)
    while stream.number not in peer.resets:
        await peer.send_body(stream, b" " * 0x2000, is_all=False)
    await peer.wait_for_end()


@cache
def bomb() -> bytes:
    """Pack 50 MB into 50 kB, well below the limit."""
    return gzip.compress(bytes(50_000_000))


async def _drop_a_bomb(peer: Peer) -> None:
    await raw_server.reply_once(http(200, bomb(), "Content-Encoding: gzip"))(peer)
    await peer.wait_for_end()


async def _drop_a_bomb_2(peer: H2Peer) -> None:
    stream = await peer.read_request()
    await peer.send_head(stream, 200, [("content-encoding", "gzip")])
    await peer.send_body(stream, bomb())
    await peer.wait_for_end()


async def _head_without_end(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 1_000_000 + b"\r\nContent-Length: 2\r\n\r\n{}")
    await peer.wait_for_end()


async def _many_fields(peer: Peer) -> None:
    await peer.read_request()
    fields = b"".join(b"X-Field-%d: %s\r\n" % (number, b"a" * 90) for number in range(10_000))
    await peer.send(b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: 2\r\n\r\n{}")
    await peer.wait_for_end()


async def _head_without_end_2(peer: H2Peer) -> None:
    """Begin it, and never come to the end: whoever waits for that waits, and remembers."""
    stream = await peer.read_request()
    packed = hpack.Encoder().encode([(":status", "200"), ("x-long", "a" * 1_000_000)], huffman=False)
    await peer.send_raw(HeadersFrame(stream.number, packed[:0x4000]).serialize())
    for begin in range(0x4000, 0x14000, 0x4000):
        await peer.send_raw(ContinuationFrame(stream.number, packed[begin : begin + 0x4000]).serialize())
    await peer.wait_for_end()


async def _many_fields_2(peer: H2Peer) -> None:
    stream = await peer.read_request()
    await peer.send_head(stream, 200, [(f"x-field-{number}", "a" * 90) for number in range(10_000)])
    await peer.wait_for_end()


async def _not_http_2(peer: H2Peer) -> None:
    await peer.read_request()
    await peer.send_raw(b"SSH-2.0-OpenSSH_9.6\r\n")
    await peer.wait_for_end()


async def _shut_our_ears(peer: Peer) -> None:
    await peer.stay_deaf()


async def _shut_our_ears_2(peer: H2Peer) -> None:
    await peer.stay_deaf()


# --- What only HTTP/2 can say -------------------------------------------------------------------------------------


async def _refuse(peer: H2Peer) -> None:
    while True:
        await peer.refuse(await peer.read_request(), ErrorCodes.REFUSED_STREAM)


async def _go_away(peer: H2Peer) -> None:
    await peer.read_request()
    await peer.go_away(last=0)
    await peer.wait_for_end()


async def _give_up(peer: H2Peer) -> None:
    await peer.refuse(await peer.read_request(), ErrorCodes.INTERNAL_ERROR)
    await peer.wait_for_end()


FINE = saying(200)
QUIET = Talk(raw_server.ignore, _ignore)
RESET = Talk(_reset_after_request, _reset_after_request_2)
HANG_UP = Talk(_close_after_request, _close_after_request_2)
HALF = Talk(raw_server.reply_once(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + _HALF), _half)
HALF_CHUNK = Talk(raw_server.reply_once(CHUNKED + b"20\r\n" + _HALF))
HALF_AND_RESET = Talk(_half_and_reset, _half_and_reset_2)
HALF_AND_STALL = Talk(_half_and_stall, _half_and_stall_2)
HALF_AND_NO_MORE = Talk(None, _half_and_no_more)
TWO_GIGABYTES = Talk(claim_two_gigabytes, _claim_two_gigabytes_2)
ON_AND_ON = Talk(_stream_on_and_on, _stream_on_and_on_2)
BOMB = Talk(_drop_a_bomb, _drop_a_bomb_2)
LONG_FIELD = Talk(_head_without_end, _head_without_end_2)
MANY_FIELDS = Talk(_many_fields, _many_fields_2)
NOT_HTTP = Talk(raw_server.reply_once(b"SSH-2.0-OpenSSH_9.6\r\n"), _not_http_2)
DEAF = Talk(_shut_our_ears, _shut_our_ears_2)
REFUSED_STREAM = Talk(None, _refuse)
GONE_AWAY = Talk(None, _go_away)
GIVEN_UP = Talk(None, _give_up)
