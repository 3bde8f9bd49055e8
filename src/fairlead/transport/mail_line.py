"""One connection to a mail server (RFC 5321): greeting, TLS, sign-in, and transactions one after the other.

Until the final dot has left, a server must forget what it was given when the connection ends (RFC 5321 §4.1.1.10).
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import cast

from aiosmtplib import SMTPException, SMTPResponseException, SMTPTimeoutError
from aiosmtplib.auth import auth_login_encode, auth_plain_encode
from aiosmtplib.esmtp import parse_esmtp_extensions
from aiosmtplib.protocol import SMTPProtocol

from fairlead.model.mail import Mail, Reply, answer_mail
from fairlead.model.message import Response
from fairlead.model.outcome import Failure, Phase
from fairlead.transport.failures import BrokenOff

Note = Callable[[Phase], None]
Login = tuple[str, str]

_CHUNK = 64 * 1024
_SERVICE_CLOSES = 421


class Refused(Exception):  # noqa: N818  # a fact about the server
    """The server will not talk to us, or not to whoever we say we are."""

    def __init__(self, step: str, reply: Reply) -> None:
        super().__init__(str(reply))
        self.step = step
        self.reply = reply


class NotSecure(ssl.SSLError):  # it is our refusal, seen through the handshake's error
    """The connection cannot be made secret, and must be."""

    def __init__(self, reason: str) -> None:
        super().__init__(1, reason)


class Wire(SMTPProtocol):
    """The socket of a line. What it breaks off with are `BrokenOff` and `TimeoutError`."""

    def __init__(self, raw: socket.socket) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self._raw = raw

    @property
    def out(self) -> asyncio.WriteTransport | None:
        """What is written to, while there is something; uvloop's is one by its ways, and not by its class."""
        return cast("asyncio.WriteTransport | None", self.transport)

    async def ask(self, *words: bytes, until: float) -> Reply:
        """Send a command, or none, and read the reply."""
        try:
            async with asyncio.timeout_at(until):
                said = await (self.execute_command(*words) if words else self.read_response())
        except SMTPResponseException:
            raise BrokenOff(Failure.RESET) from None  # what came is no SMTP
        except SMTPTimeoutError:
            raise TimeoutError from None
        except SMTPException:
            raise BrokenOff(Failure.RESET) from None
        return Reply(said.code, said.message.encode("utf-8", "replace").decode())

    async def go_secret(self, tls: ssl.SSLContext, host: str, *, until: float) -> None:
        """Go on in TLS (RFC 3207)."""
        try:
            async with asyncio.timeout_at(until):
                await self.start_tls(tls, server_hostname=host)
        except SMTPResponseException as error:
            raise Refused("starttls", Reply(error.code, error.message)) from None
        except SMTPTimeoutError:
            raise TimeoutError from None
        except SMTPException:
            raise BrokenOff(Failure.RESET) from None

    async def pour(self, pieces: Iterator[bytes], patience: Callable[[], float]) -> None:
        """Write what is not answered; return when all of it is out of our hands."""
        if self.out is not None:
            self.out.set_write_buffer_limits(high=1, low=0)
        for piece in pieces:
            self.put(piece)
            try:
                async with asyncio.timeout_at(patience()):
                    await self._drain_helper()
            except ConnectionError:
                raise BrokenOff(Failure.RESET) from None

    def put(self, data: bytes) -> None:
        """Write; where the connection is already gone, nothing was."""
        try:
            self.write(data)
        except SMTPException:
            raise BrokenOff(Failure.RESET) from None

    def abandon(self) -> None:
        """Forget a connection of an event loop that is not there any more; nothing is said over it."""
        self._raw.close()


class MailLine:
    """A connection, from its greeting to its end."""

    def __init__(self, wire: Wire, *, read_s: float, login: Login | None) -> None:
        self._wire = wire
        self._read_s = read_s
        self._loop = asyncio.get_running_loop()
        self._extensions: dict[str, str] = {}
        self._ways_in: list[str] = []
        self.login = login
        self.moved_at = self._loop.time()
        self.place: asyncio.Semaphore | None = None
        #: Whether it may serve again.
        self.is_kept = True

    @property
    def is_open(self) -> bool:
        """Whether the server may still be there."""
        return self.is_kept and self._wire.is_connected

    async def open(self, tls: ssl.SSLContext | None, host: str, until: float) -> None:
        """Say hello, go on in TLS where that is given, and sign in; raise `Refused` where the server will not."""
        await self._agree("greeting", until=until)
        await self._greet(until)
        if tls is not None:
            if "starttls" not in self._extensions:
                raise NotSecure("the server offers no STARTTLS")
            await self._wire.go_secret(tls, host, until=self._patience(until))
            await self._greet(until)  # RFC 3207 §4.2: what was said in the clear counts no more
        if self.login is not None:
            await self._sign_in(*self.login, until)

    async def reset(self, until: float) -> bool:
        """Begin anew between two transactions; return whether the server is still there."""
        try:
            return (await self._ask(b"RSET", until=until)).is_good
        except (BrokenOff, TimeoutError):
            return False

    async def knock(self, until: float) -> Response:
        """Ask for nothing."""
        return answer_mail("noop", await self._ask(b"NOOP", until=until))

    async def carry(self, mail: Mail, stamp: bytes, until: float, note: Note) -> Response:
        """Hand a message over; `stamp` are the header lines written as it leaves. `note` is told of the final dot."""
        content = _transparent(stamp + mail.body)
        size = (b"SIZE=%d" % len(content),) if "size" in self._extensions else ()
        reply = await self._ask(b"MAIL", b"FROM:<%b>" % mail.sender.encode("ascii"), *size, until=until)
        if not reply.is_good:
            return answer_mail("mail", reply)
        replies = {
            each: await self._ask(b"RCPT", b"TO:<%b>" % each.encode("ascii"), until=until) for each in mail.recipients
        }
        if not any(each.is_good for each in replies.values()):
            # Where one of them may go better later, the same may be sent again: nobody has it.
            worst = min(replies.values(), key=lambda each: each.code)
            return answer_mail("rcpt", worst, recipients=replies)
        reply = await self._ask(b"DATA", until=until)
        if reply.code != 354:
            if reply.is_good:
                raise BrokenOff(Failure.RESET)
            return answer_mail("data", reply, recipients=replies)
        await self._wire.pour(_cut(content), lambda: self._patience(until))
        self._wire.put(b".\r\n")
        note(Phase.WAITING)
        # All the time that is left: who gives up here does not know (RFC 5321 §4.5.3.2.6 asks for ten minutes).
        reply = await self._hear(until)
        return answer_mail("dot", reply, message_id=mail.message_id or "", recipients=replies)

    def close(self) -> None:
        """Take leave, and close."""
        if self.is_open:
            self._wire.put(b"QUIT\r\n")
        if self._wire.out is not None:
            self._wire.out.abort()  # a close would wait for the other side's word on TLS

    def abandon(self) -> None:
        """Forget it without touching the socket's other side: after a fork it is the parent's."""
        self.is_kept = False
        self._wire.abandon()

    # Commands.

    def _patience(self, until: float) -> float:
        return min(until, self._loop.time() + self._read_s)

    async def _ask(self, *words: bytes, until: float) -> Reply:
        reply = await self._wire.ask(*words, until=self._patience(until))
        return self._heed(reply)

    async def _hear(self, until: float) -> Reply:
        reply = self._heed(await self._wire.ask(until=until))
        if not reply.is_good and reply.code // 100 not in {4, 5}:
            raise BrokenOff(Failure.RESET)  # neither yes nor no
        return reply

    def _heed(self, reply: Reply) -> Reply:
        self.moved_at = self._loop.time()
        if reply.code == _SERVICE_CLOSES:
            self.is_kept = False
        return reply

    async def _agree(self, step: str, *words: bytes, until: float, code: int = 0) -> Reply:
        """Send a command that has to go well."""
        reply = await self._ask(*words, until=until)
        if reply.code != code if code else not reply.is_good:
            raise Refused(step, reply) if reply.code >= 400 else BrokenOff(Failure.RESET)
        return reply

    async def _greet(self, until: float) -> None:
        """Say who we are by our address: a host name says no more, and may not be known (RFC 5321 §4.1.3)."""
        own = str(self._wire.out.get_extra_info("sockname")[0]) if self._wire.out else ""
        name = f"[IPv6:{own.partition('%')[0]}]" if ":" in own else f"[{own}]"
        reply = await self._agree("ehlo", b"EHLO", name.encode(), until=until)
        self._extensions, self._ways_in = parse_esmtp_extensions(reply.text)

    async def _sign_in(self, user: str, password: str, until: float) -> None:
        """Show the credentials (RFC 4954)."""
        if "plain" in self._ways_in:
            await self._agree("auth", b"AUTH", b"PLAIN", auth_plain_encode(user, password), until=until, code=235)
        elif "login" in self._ways_in:
            shown_user, shown_password = auth_login_encode(user, password)
            await self._agree("auth", b"AUTH", b"LOGIN", until=until, code=334)
            await self._agree("auth", shown_user, until=until, code=334)
            await self._agree("auth", shown_password, until=until, code=235)
        else:
            raise Refused("auth", Reply(534, "5.7.9 The server offers neither PLAIN nor LOGIN."))


def _transparent(content: bytes) -> bytes:
    """End each line by CRLF and nothing else, and double a dot that begins one (RFC 5321 §4.5.2).

    A bare CR or LF before a dot is what some servers take for the end of the message, and others do not.
    """
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    lines = lines if lines.endswith(b"\r\n") else lines + b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", lines)


def _cut(content: bytes) -> Iterator[bytes]:
    for begin in range(0, len(content), _CHUNK):
        yield content[begin : begin + _CHUNK]
