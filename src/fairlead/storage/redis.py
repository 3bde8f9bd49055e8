"""Redis or Valkey: one connection for all that a process shares, which heals by itself.

Scripts are known by their hash and sent in full only where the server does not have them (after a restart, a flush or
a change of the server). Whatever is asked while the connection is down fails at once; nothing waits for it to heal.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha1
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from fairlead.errors import InvalidSettingError, StorageError
from fairlead.model.ports import Clock, Random
from fairlead.model.secret import Secret
from fairlead.storage.resp import RefusedError, Wire, load_parser

# How long name, address, TLS and greeting may take together.
_CONNECT_S = 5.0
# The waits between tries to connect: doubled from the first to the last, each shortened by chance.
_FIRST_WAIT_S = 0.1
_LAST_WAIT_S = 5.0


class RedisOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server is, and who we are to it."""

    host: str = "127.0.0.1"
    port: int = 6379
    database: int = 0
    user: str = "default"
    password: Secret | None = None
    tls: bool = False
    ca_file: str | None = None
    answer_s: float = 0.5

    @property
    def place(self) -> str:
        """The server for people: nothing in it is secret."""
        return f"{self.host}:{self.port}/{self.database}"


def parse_url(
    url: str, *, password: Secret | None = None, ca_file: str | None = None, answer_s: float = 0.5
) -> RedisOptions:
    """Read `redis://user@host:port/db`; raise `InvalidSettingError`, which never shows the URL."""
    hint = "Write it as redis://host:6379/0, or rediss:// for TLS."
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
        has_password = parts.password is not None
    except ValueError:
        raise InvalidSettingError("state.url is no URL.", hint=hint) from None
    if has_password:
        raise InvalidSettingError(
            "state.url holds a password.", hint='Take it out, and set state.password = "env:REDIS_PASSWORD".'
        )
    database = parts.path.strip("/") or "0"
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname or parts.query or parts.fragment:
        raise InvalidSettingError("state.url is no address of Redis or Valkey.", hint=hint)
    if not (database.isascii() and database.isdigit()):
        raise InvalidSettingError("state.url: the database after the host is a number.", hint=hint)
    if ca_file is not None and parts.scheme == "redis":
        raise InvalidSettingError("state.ca_file is set, but state.url does not use TLS.", hint="Write rediss://.")
    return RedisOptions(
        host=parts.hostname,
        port=port,
        database=int(database),
        user=unquote(parts.username) if parts.username else "default",
        password=password,
        tls=parts.scheme == "rediss",
        ca_file=ca_file,
        answer_s=answer_s,
    )


class Script:
    """A Lua script, and its hash."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


class Redis:
    """The connection of this process. `open` begins, and keeps it; `close` ends it.

    `on_up` is awaited whenever a connection is made, and `on_down` is told why it broke or could not be made.
    Methods raise `StorageError` where there is no answer.
    """

    def __init__(
        self,
        options: RedisOptions,
        *,
        clock: Clock,
        random: Random,
        on_up: Callable[[], Awaitable[None]] | None = None,
        on_down: Callable[[str], None] | None = None,
    ) -> None:
        load_parser()
        self._options = options
        self._tls = _tls_context(options)
        self._clock = clock
        self._random = random
        self.on_up = on_up
        self.on_down = on_down
        self._channels: dict[str, Callable[[bytes], None]] = {}
        self._wire: Wire | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        #: What a fork left to the parent: never touched, and kept from being collected.
        self._left_behind: list[object] = []

    @property
    def place(self) -> str:
        """The server for people."""
        return self._options.place

    @property
    def is_up(self) -> bool:
        """Whether commands can be sent."""
        return self._wire is not None

    @property
    def has_tried(self) -> bool:
        """Whether the first try to connect is over."""
        return self._tried.is_set()

    def open(self) -> None:
        """Connect, and connect again whenever the connection breaks; needs a running event loop."""
        if self._keeper is None or self._keeper.done():
            self._tried = asyncio.Event()
            self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def wait_first_try(self, patience_s: float) -> bool:
        """Wait until the first try to connect has gone one way or the other; return whether there is a connection."""
        waiting = asyncio.ensure_future(self._tried.wait())
        await asyncio.wait((waiting,), timeout=patience_s)
        waiting.cancel()
        return self.is_up

    async def probe(self) -> str:
        """Connect once, run a script, and close; return the server's name and version, or raise `StorageError`."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                wire = await self._connect()
                try:
                    told = await self._greet(wire)
                    await wire.ask("EVAL", "return redis.call('TIME')", "0")
                finally:
                    wire.end("we closed it")
        except RefusedError as error:
            raise StorageError(f"It refuses scripts: {_word(error)}.", hint="Allow EVAL, EVALSHA.") from None
        except (OSError, TimeoutError) as error:
            raise StorageError(f"It cannot be reached: {_reason(error)}.", hint="Is it running there?") from None
        name, version = told.get(b"server", b"redis"), told.get(b"version", b"")
        return f"{name.decode()} {version.decode()}"

    async def close(self) -> None:
        """End the connection."""
        keeper, self._keeper = self._keeper, None
        if keeper:
            keeper.cancel()
            await asyncio.wait((keeper,))

    def disown(self) -> None:
        """Forget the connection without touching it: after a fork, it is the parent's."""
        self._left_behind += [self._wire, self._keeper, self._tried]
        self._wire = self._keeper = None

    def listen(self, channel: str, handler: Callable[[bytes], None]) -> None:
        """Have a handler called with what is published on a channel, from the next connection on."""
        self._channels[channel] = handler

    async def call(self, *parts: str | bytes | float) -> Any:
        """Send a command and return its answer."""
        try:
            return await self._ask(*parts)
        except RefusedError as error:
            raise StorageError(f"The store refused: {_word(error)}.") from None

    async def run(self, script: Script, keys: Sequence[str], *args: str | bytes | float) -> Any:
        """Run a script."""
        try:
            try:
                return await self._ask("EVALSHA", script.digest, len(keys), *keys, *args)
            except RefusedError as error:
                if _word(error) != "NOSCRIPT":
                    raise
            return await self._ask("EVAL", script.text, len(keys), *keys, *args)
        except RefusedError as error:
            reason = f"it refused a script: {_word(error)}"
            if self._wire:  # out of memory, read-only, still loading: to us it is as good as gone
                self._wire.end(reason)
            raise StorageError(f"The store is out of reach: {reason}.") from None

    async def _ask(self, *parts: str | bytes | float) -> Any:
        if self._wire is None:
            raise StorageError("The store is out of reach.")
        return await self._wire.ask(*parts)

    async def _keep(self) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            wire: Wire | None = None
            try:
                async with asyncio.timeout(_CONNECT_S):
                    wire = await self._connect()
                    await self._greet(wire)
                    self._wire = wire
                    if self.on_up:
                        await self.on_up()
                self._tried.set()
                wait_s = _FIRST_WAIT_S
                await wire.ended.wait()
                reason = wire.reason
            except Exception as error:  # noqa: BLE001  # whatever it is: it is lost, and who relies on it must hear
                reason = _reason(error)
            finally:
                self._wire = None
                if wire:
                    wire.end("we closed it")
            if self.on_down:
                self.on_down(reason)
            self._tried.set()
            await self._clock.sleep(wait_s * (0.5 + self._random() / 2))
            wait_s = min(_LAST_WAIT_S, wait_s * 2)

    async def _connect(self) -> Wire:
        options = self._options
        _, wire = await asyncio.get_running_loop().create_connection(
            lambda: Wire(answer_s=options.answer_s, on_push=self._hear),
            options.host,
            options.port,
            ssl=self._tls,
        )
        return wire

    async def _greet(self, wire: Wire) -> dict[bytes, Any]:
        """Say who we are, and ask for the channels; return what the server says of itself."""
        options = self._options
        login = ("AUTH", options.user, options.password.reveal()) if options.password else ()
        try:
            told: dict[bytes, Any] = await wire.ask("HELLO", "3", *login, "SETNAME", "fairlead")
            if options.database:
                await wire.ask("SELECT", str(options.database))
        except RefusedError as error:  # older servers repeat what they do not understand, the password too
            raise StorageError(
                f"The store does not let us in: {_word(error)}.",
                hint="Check state.password, and the user and database in state.url.",
            ) from None
        if self._channels:
            wire.tell("SUBSCRIBE", *self._channels)
            await wire.ask("PING")
        return told

    def _hear(self, channel: str, payload: bytes) -> None:
        handler = self._channels.get(channel)
        if handler:
            handler(payload)


def _tls_context(options: RedisOptions) -> ssl.SSLContext | None:
    if not options.tls:
        return None
    try:
        return ssl.create_default_context(cafile=options.ca_file)
    except (OSError, ssl.SSLError):
        raise InvalidSettingError(
            "state.ca_file cannot be read as certificates.", hint="Name a PEM file with the authority's certificate."
        ) from None


def _word(error: RefusedError) -> str:
    """Return the kind of a refusal, which stands before its words: these may repeat what was sent."""
    return next(iter(re.findall(r"^[A-Z]{2,20}\b", str(error))), "ERR")


def _reason(error: Exception) -> str:
    """Say why in words that hold no secret."""
    if isinstance(error, StorageError):
        return error.message.rstrip(".")
    if isinstance(error, TimeoutError):
        return f"no connection within {_CONNECT_S:g} s"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or type(error).__name__}"
    if isinstance(error, OSError):
        return f"no connection: {error.strerror or type(error).__name__}"
    return f"what it answers cannot be read ({type(error).__name__})"
