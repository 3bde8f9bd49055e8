"""A visit to a stand-in for a mail server: the conversation of RFC 5321, and everything that goes wrong in it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from collections.abc import Mapping, Sequence
from enum import StrEnum
from random import Random
from typing import Protocol

import msgspec

from fairlead.model.ports import Clock
from fairlead.testing.exchange import Books
from fairlead.testing.faults import Fault, Faults

#: Longer messages are refused (RFC 1870).
LONGEST = 30 * 1024 * 1024
#: What LOGIN asks for, in base64.
_USER, _PASSWORD = "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"  # the question, not the answer


class Step(StrEnum):
    """Where in the conversation something may go wrong: at a command, or before or after the final dot."""

    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    #: In the middle of the message.
    CONTENT = "content"
    #: The message has come whole.
    DOT = "dot"
    RSET = "rset"
    NOOP = "noop"


class Then(StrEnum):
    """What the server does once there was trouble."""

    GO_ON = "go_on"
    HANG_UP = "hang_up"
    #: Say nothing more, and keep the connection.
    HANG = "hang"


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong at a step: another reply than the right one, or none (empty).

    At `DOT`, a message is taken unless the reply refuses it: without a reply it is taken, and the answer lost.
    """

    reply: str = ""
    then: Then = Then.GO_ON


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the server has taken upon itself."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    user: str | None = None
    is_secret: bool = True


class _Over(Exception):  # noqa: N818  # a fact about the connection
    """The conversation is at its end."""


class House(Protocol):
    """Whom a client visits."""

    books: Books
    clock: Clock
    random: Random
    credentials: Mapping[str, str] | None
    is_plain: bool
    is_tls_first: bool
    troubles: dict[Step, Trouble]
    ways_in: Sequence[str]
    sent: list[Taken]

    @property
    def faults(self) -> Faults:
        """How it misbehaves."""
        ...

    def draw(self) -> Fault:
        """Decide what happens to the next transaction."""
        ...

    def says_to(self, sender: str, recipient: str) -> str:
        """Return the reply to a recipient."""
        ...

    def lets_in(self, user: str, password: str) -> bool:
        """Whether the credentials are good."""
        ...


class Visit:
    """One connection of a client."""

    def __init__(
        self, house: House, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: ssl.SSLContext | None
    ) -> None:
        self._house = house
        self._reader, self._writer, self._tls = reader, writer, tls
        self._is_secret = house.is_tls_first
        self._user: str | None = None
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._fault = Fault.NONE

    async def run(self) -> None:
        """Talk until either side has had enough."""
        try:
            await self._say(Step.GREETING, "220 fake.test ESMTP at your service")
            while (line := await self._hear()) is not None:
                verb, _, rest = line.partition(" ")
                await self._answer(verb.upper(), rest)
        except (_Over, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
            pass  # the client left, as clients may, or was to be left
        finally:
            self._writer.transport.abort()

    async def _answer(self, verb: str, rest: str) -> None:
        match verb:
            case "EHLO" | "HELO":
                self._begin_anew()
                await self._say(Step.EHLO, self._offer())
            case "STARTTLS" if not self._is_secret:
                await self._go_secret()
            case "AUTH":
                await self._say(Step.AUTH, await self._sign_in(rest))
            case "MAIL":
                await self._mail(rest)
            case "RCPT":
                await self._rcpt(rest)
            case "DATA":
                await self._data()
            case "RSET":
                self._begin_anew()
                await self._say(Step.RSET, "250 2.0.0 Forgotten")
            case "NOOP":
                await self._say(Step.NOOP, "250 2.0.0 Nothing done")
            case "QUIT":
                await self._send("221 2.0.0 Goodbye")
                raise _Over
            case _:
                await self._send("502 5.5.1 Not known here")

    def _offer(self) -> str:
        offers = ["fake.test", f"SIZE {LONGEST}", "8BITMIME", "ENHANCEDSTATUSCODES"]
        if not self._is_secret and not self._house.is_plain:
            offers.append("STARTTLS")
        elif self._house.credentials is not None:
            offers.append(f"AUTH {' '.join(self._house.ways_in)}")
        return "\r\n".join([*(f"250-{each}" for each in offers[:-1]), f"250 {offers[-1]}"])

    async def _go_secret(self) -> None:
        await self._say(Step.STARTTLS, "220 2.0.0 Go ahead")
        if Step.STARTTLS in self._house.troubles or self._tls is None:
            return
        await self._writer.start_tls(self._tls)
        self._is_secret = True
        self._begin_anew()

    async def _sign_in(self, rest: str) -> str:
        way, _, shown = rest.partition(" ")
        if way.upper() not in self._house.ways_in or self._house.credentials is None:
            return "504 5.5.4 Another way, please"
        try:
            if way.upper() == "PLAIN":
                shown = shown or await self._ask("334 ")
                _, user, password = _decoded(shown).split("\0")
            else:
                user, password = _decoded(await self._ask(_USER)), _decoded(await self._ask(_PASSWORD))
        except (ValueError, binascii.Error):
            return "501 5.5.2 That is no base64 of credentials"
        if not self._house.lets_in(user, password):
            return "535 5.7.8 Wrong user or password"
        self._user = user
        return "235 2.7.0 Welcome"

    async def _mail(self, rest: str) -> None:
        house = self._house
        house.books.note_request("mail")
        self._fault = house.draw()
        address = _path(rest, "FROM:")
        if self._fault is Fault.DOWN:
            raise _Over
        if self._fault is Fault.HANG:
            await self._hang()
        refusals = (
            (not self._is_secret and not house.is_plain, "530 5.7.0 STARTTLS first"),
            (house.credentials is not None and self._user is None, "530 5.7.0 Sign in first"),
            (self._sender is not None, "503 5.5.1 One at a time"),
            (address is None, "501 5.1.7 That is no address"),
            (_size(rest) > LONGEST, "552 5.3.4 Longer than is taken here"),
            (house.faults.is_throttled, "450 4.7.0 Too many messages, slow down"),
            (house.faults.is_quota_exhausted, "452 4.3.1 No more today"),
            (self._fault is Fault.ERROR, "451 4.3.0 Something is broken here"),
        )
        said = next((text for is_so, text in refusals if is_so), "250 2.1.0 Fine")
        if (await self._say(Step.MAIL, said)).startswith("2"):
            self._sender, self._recipients = address, []

    async def _rcpt(self, rest: str) -> None:
        address = _path(rest, "TO:")
        if self._sender is None:
            said = "503 5.5.1 MAIL first"
        elif address is None:
            said = "501 5.1.3 That is no address"
        else:
            said = self._house.says_to(self._sender, address)
        if (await self._say(Step.RCPT, said)).startswith("2") and address:
            self._recipients.append(address)

    async def _data(self) -> None:
        if not self._recipients or self._sender is None:
            await self._say(Step.DATA, "503 5.5.1 RCPT first")
            return
        if not (await self._say(Step.DATA, "354 Go on, and end with a dot")).startswith("3"):
            return
        content = await self._content()
        trouble = self._house.troubles.get(Step.DOT, Trouble())
        taken = Taken(
            sender=self._sender,
            recipients=tuple(self._recipients),
            content=content,
            user=self._user,
            is_secret=self._is_secret,
        )
        if latency := self._house.faults.draw_latency(self._house.random):
            await self._house.clock.sleep(latency)
        if not trouble.reply or trouble.reply.startswith("2"):
            self._house.sent.append(taken)
        self._begin_anew()
        if self._fault in {Fault.RESET, Fault.LOST}:
            raise _Over
        said = f"250 2.0.0 Taken as {len(self._house.sent)}"
        if self._fault in {Fault.MALFORMED, Fault.WRONG_TYPE}:
            said = "<!doctype html><title>Please stand by</title>"
        said = await self._say(Step.DOT, said)
        self._house.books.note_reply(int(said[:3]) if said[:3].isdigit() else 0, self._fault)

    async def _content(self) -> bytes:
        """Read up to the final dot, and take back what made the message transparent (RFC 5321 §4.5.2)."""
        lines: list[bytes] = []
        while (line := await self._reader.readuntil(b"\r\n")) != b".\r\n":
            if Step.CONTENT in self._house.troubles:
                await self._say(Step.CONTENT, "")
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    def _begin_anew(self) -> None:
        self._sender, self._recipients = None, []

    # Words.

    async def _hear(self) -> str | None:
        line = await self._reader.readline()
        return line.decode("utf-8", "replace").rstrip("\r\n") if line.endswith(b"\n") else None

    async def _ask(self, text: str) -> str:
        await self._send(text)
        return await self._hear() or ""

    async def _say(self, step: Step, text: str) -> str:
        """Reply, unless something goes wrong here; return what was said."""
        trouble = self._house.troubles.get(step)
        if trouble is None:
            await self._send(text)
            return text
        if trouble.reply:
            await self._send(trouble.reply)
        if trouble.then is Then.HANG_UP:
            raise _Over
        if trouble.then is Then.HANG:
            await self._hang()
        if not trouble.reply and step is not Step.CONTENT:
            await self._send(text)
        return trouble.reply or text

    async def _hang(self) -> None:
        """Say nothing until the client leaves."""
        while await self._reader.read(64 * 1024):
            pass
        raise _Over

    async def _send(self, text: str) -> None:
        self._writer.write(f"{text}\r\n".encode())
        await self._writer.drain()


def _decoded(text: str) -> str:
    return base64.b64decode(text, validate=True).decode()


def _path(text: str, word: str) -> str | None:
    """Read `FROM:<address>`, and what may follow it."""
    path = text.strip()
    if not path.upper().startswith(f"{word}<") or ">" not in path:
        return None
    return path[len(word) + 1 : path.index(">")]


def _size(text: str) -> int:
    said = text.upper().rpartition(" SIZE=")[2]
    return int(said) if said.isdecimal() else 0
