"""A vendor of one file, which plays a script of answers; and a Fairlead to get it, or to send one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

from fairlead import Fairlead
from fairlead.config.read import parse_settings
from raw_server import Peer, RawServer, Script, let_the_client_read, serve

#: Nobody waits longer.
PATIENCE_S = 20.0
#: More than is written to disk in one go.
CONTENT = bytes(range(256)) * 12_000
TAG = '"v1"'


class Said(NamedTuple):
    """One answer: what of its body is sent (all of it, unless `cut`), and how it ends."""

    status: int = 200
    body: bytes = CONTENT
    fields: tuple[str, ...] = (f"ETag: {TAG}",)
    cut: int | None = None


class Asked(NamedTuple):
    """What of a request says which part is wanted."""

    range: str | None
    if_range: str | None


def whole(content: bytes = CONTENT, *fields: str, cut: int | None = None) -> Said:
    return Said(200, content, fields or (f"ETag: {TAG}",), cut)


def rest(begin: int, *fields: str, content: bytes = CONTENT, until: int | None = None, cut: int | None = None) -> Said:
    """Answer with the part from `begin` on."""
    end = len(content) if until is None else until
    place = f"Content-Range: bytes {begin}-{end - 1}/{len(content)}"
    return Said(206, content[begin:end], (place, *(fields or (f"ETag: {TAG}",))), cut)


def asked(request: bytes) -> Asked:
    """Read which part a request wants."""

    def field(name: bytes) -> str | None:
        found = re.search(rb"(?i)\r\n" + name + rb": ([^\r]*)", request)
        return found[1].decode() if found else None

    return Asked(field(b"range"), field(b"if-range"))


def play(answers: Iterable[Said]) -> Script:
    """Give one answer after the other, whatever is asked; an answer that is cut ends its connection."""
    waiting = iter(answers)

    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            said = next(waiting)
            head = [f"HTTP/1.1 {said.status} Whatever", f"Content-Length: {len(said.body)}", *said.fields]
            await peer.send("\r\n".join([*head, "", ""]).encode() + said.body[: said.cut])
            if said.cut is not None:
                await let_the_client_read()
                peer.close()
                return

    return script


@asynccontextmanager
async def vendor(*answers: Said, settings: str = "") -> AsyncIterator[tuple[Fairlead, RawServer]]:
    """Serve the answers, to a connection `files`."""
    async with client(play(answers), settings) as both:
        yield both


@asynccontextmanager
async def client(script: Script, settings: str = "") -> AsyncIterator[tuple[Fairlead, RawServer]]:
    async with (
        asyncio.timeout(PATIENCE_S),
        serve(script) as server,
        Fairlead(parse_settings(config(server.url(), settings)), environment={}) as fl,
    ):
        yield fl, server


def config(url: str, settings: str = "") -> str:
    """Return what a connection `files` to the vendor needs."""
    return f"""
[connections.files]
base_url = "{url}"
allow_private = true
retry = {{ max_attempts = 3, base_s = 0.001, cap_s = 0.001 }}
{settings}
"""
