"""Mail: a few connections to one server, TLS required, bounded in time.

Repeating is the pipeline's decision, so nothing here does. `docs/explanation/transport.md` says what is guarded.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import time
from collections.abc import Callable
from email.utils import formatdate
from uuid import uuid4

from fairlead.errors import InvalidArgumentError, InvalidSettingError
from fairlead.model.exchange import Broken
from fairlead.model.headers import Headers
from fairlead.model.mail import Mail, answer_mail
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Phase
from fairlead.transport.dial import Way, dial
from fairlead.transport.failures import ENDINGS, broken
from fairlead.transport.guard import SYSTEM, Network, anywhere
from fairlead.transport.http import HttpOptions
from fairlead.transport.mail_line import Login, MailLine, NotSecure, Refused, Wire
from fairlead.transport.origin import parse_origin
from fairlead.transport.tls import TlsOptions, load_tls, prepare_tls

#: A connection that was not used for so long is not worth the question whether it is still there.
_IDLE_S = 30.0
#: More than these are not kept when they have nothing to do: servers count them.
_MOST_IDLE = 4
#: RFC 8314 §3.3: where TLS comes before the first word.
_TLS_FIRST = 465


class MailTransport:
    """A pool of connections to one mail server. Raises `InvalidSettingError` for options that cannot work.

    `wall` is the date that a message gets as it leaves, in seconds since 1970; `ids` names one that has no name yet.
    """

    def __init__(
        self,
        options: HttpOptions,
        *,
        network: Network = SYSTEM,
        wall: Callable[[], float] = time.time,
        ids: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        if options.proxy is not None or options.http2 or options.follow_redirects:
            raise InvalidSettingError(
                "base_url leads to a mail server, and proxy, http2 or follow_redirects is set.", hint="Leave them out."
            )
        self._options = options
        self._network = network
        self._wall, self._ids = wall, ids
        self._origin = parse_origin(options.base_url)
        self._tls = prepare_tls(options.base_url, options.ca_file, options.tls)
        self._is_plain = options.tls.plain_on_loopback
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places = asyncio.Semaphore(options.pool)
        self._idle: list[MailLine] = []
        self._lines: set[MailLine] = set()
        self._disowned: list[MailLine] = []

    async def exchange(self, request: Request, *, timeout_s: float) -> Response | Broken:
        """Hand a message over, in at most `timeout_s`. What breaks off before the final dot counts as not sent.

        Raises `InvalidArgumentError` for a request that is no `Mail`. Cancelling closes the socket.
        """
        if not isinstance(request, Mail):
            raise InvalidArgumentError("This connection carries mail, and no requests.", hint="Send by fl.email.")
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._settle_in(loop)
        until = loop.time() + timeout_s
        reached = [Phase.QUEUED]
        line: MailLine | None = None
        try:
            line = await self._take(_login_of(request), until, reached.append)
            answer = await self._converse(line, request, until, reached.append)
        except Refused as refused:
            return answer_mail(refused.step, refused.reply)
        except ENDINGS as error:
            return broken(error, reached[-1], self._origin.url)
        finally:
            if line is not None:
                self._leave(line)
        return answer

    async def close(self) -> None:
        """Take leave of the server."""
        lines, idle = self._lines, self._idle
        self._lines, self._idle = set(), []
        for line in lines:
            line.is_kept = line in idle  # in the middle of something, no leave is taken
            line.close()
        if lines:
            await asyncio.sleep(0)  # in which the sockets are closed

    def disown(self) -> None:
        """Forget every socket without touching it; they are kept, as they would complain when they are collected."""
        self._disowned += self._lines
        self._lines, self._idle, self._loop = set(), [], None

    def _settle_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin anew in another event loop: the sockets of the old one are not ours to use."""
        for line in self._lines:
            line.abandon()
        self._disowned += self._lines
        self._loop = loop
        self._lines, self._idle = set(), []
        self._places = asyncio.Semaphore(self._options.pool)

    async def _converse(self, line: MailLine, mail: Mail, until: float, note: Callable[[Phase], None]) -> Response:
        try:
            if not mail.recipients:
                return await line.knock(until)
            named = mail.message_id or f"{self._ids()}@{mail.sender.rpartition('@')[2]}"
            mail = Mail.build(mail.sender, mail.recipients, mail.body, message_id=named)
            stamp = f"Date: {formatdate(self._wall())}\r\nMessage-ID: <{named}>\r\n"
            return await line.carry(mail, stamp.encode("ascii"), until, note)
        except BaseException:
            line.is_kept = False
            raise

    # Connections.

    async def _take(self, login: Login | None, until: float, note: Callable[[Phase], None]) -> MailLine:
        """Return a connection for one transaction, together with a place in the pool."""
        places = self._places
        async with asyncio.timeout_at(until):
            await places.acquire()
        line: MailLine | None = None
        try:
            note(Phase.CONNECTING)
            while self._idle:
                line = self._idle.pop()
                is_fresh = asyncio.get_running_loop().time() - line.moved_at < _IDLE_S
                if line.login == login and is_fresh and line.is_open and await line.reset(until):
                    line.place = places
                    return line
                self._drop(line)
            line = await self._connect(login, until, note)
        except BaseException:
            places.release()
            if line is not None:
                self._drop(line)
            raise
        line.place = places
        return line

    async def _connect(self, login: Login | None, until: float, note: Callable[[Phase], None]) -> MailLine:
        """Open a connection, up to the point where it takes a message: all of it within `connect_s`."""
        origin, loop = self._origin, asyncio.get_running_loop()
        until = min(until, loop.time() + self._options.connect_s)
        tls = None if self._is_plain else self._context()
        is_tls_first = origin.is_secure or origin.port == _TLS_FIRST
        way = Way(
            host=origin.host,
            port=origin.port,
            tls=tls if is_tls_first else None,
            resolve=self._network.resolve,
            may_reach=anywhere if self._options.allow_private else self._network.may_reach,
        )
        async with asyncio.timeout_at(until):
            carried, wire = await dial(way, Wire, note)
        line = MailLine(wire, read_s=self._options.read_s, login=login)
        self._lines.add(line)
        try:
            if self._is_plain:
                _require_loopback(str(carried.get_extra_info("peername")[0]))
            await line.open(None if is_tls_first else tls, origin.host.rstrip("."), until)
        except BaseException:
            self._drop(line)
            raise
        return line

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = load_tls(None, TlsOptions())
        return self._tls

    def _leave(self, line: MailLine) -> None:
        """Take a connection back, and its place with it."""
        place, line.place = line.place, None
        if place is not None:
            place.release()
        if line.is_open and len(self._idle) < _MOST_IDLE and line in self._lines:
            self._idle.append(line)
        else:
            self._drop(line)

    def _drop(self, line: MailLine) -> None:
        """Close a connection that will not serve again."""
        line.is_kept = False
        self._lines.discard(line)
        line.close()


def _login_of(mail: Mail) -> Login | None:
    """Return what signs in: the credentials are put into the headers, as into those of any request."""
    headers = Headers(mail.headers)
    return (headers["user"], headers.get("password", "")) if "user" in headers else None


def _require_loopback(address: str) -> None:
    """Raise for an address that is reached over a network, on which others listen."""
    found = ipaddress.ip_address(address.partition("%")[0])
    inner = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    if not (inner or found).is_loopback:
        raise NotSecure("the server is on another machine, where tls.plain_on_loopback does not hold")
