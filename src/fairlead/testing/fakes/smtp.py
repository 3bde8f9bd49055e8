"""A stand-in for a mail server: submission by RFC 6409, with STARTTLS, sign-in, books and everything that goes wrong.

Mail is taken on one port; what it took and the admin page are on another, by HTTP. Written from RFC 5321, RFC 3207, RFC
4954 and RFC 3463, on plain asyncio streams: it must be able to hang up at any word.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from fairlead.model.ports import Clock
from fairlead.testing.certificates import make_identity
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.faults import Fault, Faults
from fairlead.testing.mail_visit import Step, Taken, Trouble, Visit
from fairlead.testing.server import FakeServer

_HOST = "127.0.0.1"
#: Local part of a recipient -> what the server says to it. Whoever is greylisted is let in the second time.
_RECIPIENTS = {
    "unknown": "550 5.1.1 No such user here",
    "full": "452 4.2.2 The mailbox is full",
    "forbidden": "550 5.7.1 Not allowed to write to this address",
}
_GREYLISTED = "greylisted"


class SmtpFake(FakeServer):
    """A mail server that lets `credentials` in, and nobody else; None lets in everybody.

    Messages are taken after STARTTLS alone, unless it `is_plain`; where `is_tls_first`, TLS comes before the first
    word. `ca_file` is the authority to trust while it runs.
    """

    CREDENTIALS: ClassVar[Mapping[str, str]] = {"user": "fake-user", "password": "fake-password"}

    def __init__(
        self,
        *,
        credentials: Mapping[str, str] | None = CREDENTIALS,
        is_plain: bool = False,
        is_tls_first: bool = False,
        port: int = 0,
        faults: Faults | None = None,
        random: Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(faults=faults, random=random, clock=clock)
        self.credentials = credentials
        self.is_plain = is_plain
        self.is_tls_first = is_tls_first
        #: What goes wrong, by where; it does so until it is taken out.
        self.troubles: dict[Step, Trouble] = {}
        #: The ways to sign in that are offered.
        self.ways_in: Sequence[str] = ("PLAIN", "LOGIN")
        self.sent: list[Taken] = []
        #: Who was asked to come again later.
        self.greylist: set[tuple[str, str]] = set()
        #: Connections that were made so far.
        self.visits = 0
        self._mail_port = port
        self._door: asyncio.Server | None = None
        self._visitors: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._folder: TemporaryDirectory[str] | None = None
        self._tls: ssl.SSLContext | None = None

    # What is answered by HTTP, beside the admin page.

    def operation(self, request: FakeRequest) -> str:
        """Return `messages`, or `unknown`."""
        return "messages" if (request.method, request.path) == ("GET", "/messages") else "unknown"

    def answer(self, request: FakeRequest) -> FakeReply:
        """Return the messages that were taken."""
        if self.operation(request) == "unknown":
            return self.error(404)
        shown = [
            {"sender": each.sender, "recipients": each.recipients, "content": each.content.decode("utf-8", "replace")}
            for each in self.sent
        ]
        return FakeReply.json(200, shown)

    def error(self, status: int) -> FakeReply:
        """Return an error of the page."""
        return FakeReply.json(status, {"message": "There is GET /messages, and /_fake/."})

    def forget(self) -> None:
        """Drop what was taken, whom it knows, and what goes wrong."""
        self.sent.clear()
        self.greylist.clear()
        self.troubles.clear()

    # The life of the server.

    @property
    def url(self) -> str:
        """Where mail is taken; raise `RuntimeError` before the first start, when there is none."""
        if not self._mail_port:
            raise RuntimeError("The fake has no address before it is started.")
        return f"{'smtps' if self.is_tls_first else 'smtp'}://{_HOST}:{self._mail_port}"

    @property
    def admin_url(self) -> str:
        """Where the admin page is."""
        return super().url

    @property
    def ca_file(self) -> str:
        """The authority to trust."""
        if self._folder is None:
            raise RuntimeError("The fake has no certificate before it is started.")
        return str(Path(self._folder.name) / "ca.pem")

    @property
    def connection(self) -> dict[str, Any]:
        """The settings that lead a connection here."""
        return {**super().connection, "ca_file": self.ca_file}

    @property
    def connections(self) -> int:
        """How many connections are open for mail."""
        return len(self._visitors)

    async def start(self) -> None:
        """Listen; a second start does nothing. Raises `OSError` where the port is taken."""
        if self._door is not None:
            return
        tls = self._make_certificate()
        try:
            self._door = await asyncio.start_server(
                self._let_in, _HOST, self._mail_port, limit=64 * 1024, ssl=tls if self.is_tls_first else None
            )
        except OSError:
            self._drop_certificate()
            raise
        self._mail_port = self._door.sockets[0].getsockname()[1]
        await super().start()

    async def stop(self) -> None:
        """Close the listeners and every connection; a second stop does nothing."""
        await super().stop()
        door, self._door = self._door, None
        if door is None:
            return
        door.close()
        visitors = dict(self._visitors)
        for task, writer in visitors.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*visitors, return_exceptions=True)
        await door.wait_closed()
        self._drop_certificate()

    def _make_certificate(self) -> ssl.SSLContext:
        if self._tls is None:
            identity = make_identity(_HOST, "localhost", now=self.clock.wall())
            self._folder = TemporaryDirectory(prefix="fairlead-fake-")
            folder = Path(self._folder.name)
            (folder / "ca.pem").write_bytes(identity.authority)
            (folder / "own.pem").write_bytes(identity.key + identity.certificate)
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(folder / "own.pem")
        return self._tls

    def _drop_certificate(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
        self._folder = self._tls = None

    def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        task = asyncio.get_running_loop().create_task(Visit(self, reader, writer, self._tls).run())
        self._visitors[task] = writer
        task.add_done_callback(lambda done: self._visitors.pop(done, None))

    # What a visit asks.

    def draw(self) -> Fault:
        """Decide what happens to the next transaction, by the faults in force."""
        fault = self.faults.draw(self.random, age_s=self.clock.monotonic() - self._faults_since)
        if fault is not Fault.NONE:
            self.books.note_fault(fault)
        return fault

    def says_to(self, sender: str, recipient: str) -> str:
        """Return the reply to a recipient."""
        local = recipient.partition("@")[0].lower()
        if local == _GREYLISTED and (sender, recipient) not in self.greylist:
            self.greylist.add((sender, recipient))
            return "451 4.7.1 Greylisted, come again in some minutes"
        return _RECIPIENTS.get(local, "250 2.1.5 Fine")

    def lets_in(self, user: str, password: str) -> bool:
        """Whether the credentials are good."""
        return self.credentials is None or {"user": user, "password": password} == dict(self.credentials)
