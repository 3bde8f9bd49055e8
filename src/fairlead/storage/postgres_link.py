"""The connections to PostgreSQL of one event loop, and what its errors mean. They are made anew when they break.

Whatever waits is bounded: connecting, each statement, and the wait for a connection.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from importlib import import_module
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from fairlead.errors import FairleadError, InvalidArgumentError, InvalidSettingError, StorageError
from fairlead.model.secret import Secret

# How long name, address, TLS and log-in may take together; a statement; and the wait for a free connection.
CONNECT_S = 5.0
COMMAND_S = 10.0
_MOST_CONNECTIONS = 8
# One commit holds the work of so many callers at most.
_MOST_AT_ONCE = 512
# Two transactions that wait for each other are told apart by the server, which ends one: it may try again.
_TRIES = 3

# What the server says when it is not the statement that is at fault: classes, and single codes
# (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_ITS_FAULT = ("08", "28", "3D", "40", "53", "57", "58", "XX", "25006", "42501", "55P03", "55000", "F0", "3F")
_HINTS = {
    "28": "Check the user and the password, and pg_hba.conf of the server.",
    "3D": "Make the database, or name another.",
    "53": "The server is full: give it room, memory or connections. It goes on by itself.",
    "25006": "It is a standby, or was made read-only: name the server that can be written to.",
    "42501": "Allow this user to make and change tables in the schema.",
}
_HINT = "Is it running there? It goes on by itself."


class PostgresOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server is, and who we are to it. `ssl` is one of libpq's modes, as `prefer` or `verify-full`."""

    host: str
    port: int = 5432
    database: str = "postgres"
    user: str = "postgres"
    password: Secret | None = None
    ssl: str = "prefer"
    schema: str = "fairlead"

    @property
    def place(self) -> str:
        """The server for people: nothing in it is secret."""
        return f"{self.host}:{self.port}/{self.database}"


def parse_url(url: str, *, password: Secret | None = None, schema: str | None = None) -> PostgresOptions:
    """Read `postgresql://user@host:port/db?ssl=verify-full&schema=fairlead`; errors never show the URL."""
    hint = "Write it as postgresql://user@host:5432/database."
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
        has_password = parts.password is not None
        given = dict(pair.split("=", 1) for pair in parts.query.split("&") if pair)
    except ValueError:
        raise InvalidSettingError("The URL of the store cannot be read.", hint=hint) from None
    if has_password:
        raise InvalidSettingError("The URL of the store holds a password.", hint="Take it out, and give it by itself.")
    database = unquote(parts.path.strip("/"))
    if parts.scheme not in {"postgresql", "postgres"} or not parts.hostname or not database or parts.fragment:
        raise InvalidSettingError("The URL of the store is no address of PostgreSQL.", hint=hint)
    if unknown := given.keys() - {"ssl", "schema"}:
        raise InvalidSettingError(f"The URL of the store: {min(unknown)} means nothing.", hint="It knows ssl, schema.")
    wanted = schema or given.get("schema", "fairlead")
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,40}", wanted):
        raise InvalidSettingError(f"The schema {wanted!r} is no plain name.", hint="Use a-z, 0-9 and _, at most 41.")
    return PostgresOptions(
        host=parts.hostname,
        port=port,
        database=database,
        user=unquote(parts.username) if parts.username else "postgres",
        password=password,
        ssl=given.get("ssl", "prefer"),
        schema=wanted,
    )


def load_asyncpg() -> Any:
    """Return the driver; raise `InvalidSettingError` where it is missing."""
    try:
        return import_module("asyncpg")
    except ModuleNotFoundError:
        raise InvalidSettingError(
            "PostgreSQL is asked for, but the package asyncpg is missing.", hint="Run: pip install fairlead[postgres]"
        ) from None


def is_its_own(asyncpg: Any, error: BaseException) -> bool:
    """Whether the fault is in what was asked, and not with the server or the way to it."""
    if isinstance(error, asyncpg.PostgresError):
        return not (error.sqlstate or "XX").startswith(_ITS_FAULT)
    return isinstance(error, asyncpg.DataError | ValueError | TypeError | OverflowError | LookupError) or (
        isinstance(error, FairleadError) and not isinstance(error, StorageError)
    )


def explain(asyncpg: Any, error: BaseException, place: str) -> Exception:
    """Return the error to be raised. What it says is the server's first line, which shows no row and no password."""
    if isinstance(error, FairleadError):
        return error
    if is_its_own(asyncpg, error):
        return InvalidArgumentError(f"It cannot be written down: {_line(error)}.")
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        hint = next((text for code, text in _HINTS.items() if state.startswith(code)), _HINT)
        return StorageError(f"PostgreSQL at {place}: {_line(error)}.", hint=hint)
    if isinstance(error, TimeoutError):
        return StorageError(f"PostgreSQL at {place} did not answer in time.", hint=_HINT)
    if isinstance(error, OSError):
        return StorageError(f"PostgreSQL at {place}: no connection.", hint=_HINT)
    return StorageError(f"PostgreSQL at {place}: {_line(error)}.", hint=_HINT)


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


class Ask:
    """Something to be written, the future that waits for it, and what came of it."""

    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Any, future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None


class Link:
    """The pool of one event loop, and the one task that writes: all that came together is one transaction.

    `write(connection, asks)` does the work within a transaction, and fills in results or errors.
    """

    def __init__(
        self,
        options: PostgresOptions,
        *,
        prepare: Callable[[Any], Awaitable[None]],
        write: Callable[[Any, Sequence[Ask]], Awaitable[None]],
    ) -> None:
        self.asyncpg = load_asyncpg()
        self._options = options
        self._prepare = prepare
        self._write = write
        self._opening = asyncio.Lock()
        self._pool: Any = None
        self._handlers: Any = None
        self._asked: list[Ask] = []
        self._writer: asyncio.Task[None] | None = None

    async def pool(self) -> Any:
        """Return the pool, over tables of this version."""
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    connection = await self.connect()
                    try:
                        await self._prepare(connection)
                    finally:
                        await connection.close(timeout=CONNECT_S)
                    self._pool = await self.asyncpg.create_pool(
                        min_size=0, max_size=_MOST_CONNECTIONS, command_timeout=COMMAND_S, **self._address()
                    )
        return self._pool

    async def lend_to_handler(self) -> AbstractAsyncContextManager[Any]:
        """Return a connection for a transaction of the application, which may take its time: none of our own."""
        await self.pool()
        if self._handlers is None:
            self._handlers = await self.asyncpg.create_pool(
                min_size=0, max_size=_MOST_CONNECTIONS, command_timeout=COMMAND_S, **self._address()
            )
        lent: AbstractAsyncContextManager[Any] = self._handlers.acquire()  # bounded by the handler's own time
        return lent

    async def connect(self) -> Any:
        """Return a connection of its own."""
        return await self.asyncpg.connect(command_timeout=COMMAND_S, **self._address())

    def _address(self) -> dict[str, Any]:
        options = self._options
        return {
            "host": options.host,
            "port": options.port,
            "user": options.user,
            "database": options.database,
            "password": options.password.reveal() if options.password else None,
            "ssl": options.ssl,
            "timeout": CONNECT_S,
            "server_settings": {"application_name": "fairlead", "jit": "off", "lock_timeout": f"{COMMAND_S / 2:g}s"},
        }

    async def lend(self) -> AbstractAsyncContextManager[Any]:
        """Return a connection to be used for a while, as a context."""
        pool = await self.pool()
        lent: AbstractAsyncContextManager[Any] = pool.acquire(timeout=COMMAND_S)
        return lent

    async def run(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        """Do something on a connection of the pool, again where the server ended it in favour of another."""
        for last in (False, False, True):
            try:
                async with await self.lend() as connection:
                    return await work(connection)
            except Exception as error:  # noqa: BLE001  # whatever it is: those who asked are told in our own words
                if last or not self._is_deadlock(error):
                    raise explain(self.asyncpg, error, self._options.place) from None
        raise AssertionError("unreachable")

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell in our own words what goes wrong within."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # whatever it is
            raise explain(self.asyncpg, error, self._options.place) from None

    def _is_deadlock(self, error: BaseException) -> bool:
        return isinstance(error, self.asyncpg.DeadlockDetectedError | self.asyncpg.SerializationError)

    def ask(self, work: Any) -> asyncio.Future[Any]:
        """Have something written with whatever else is; return what is to come of it."""
        future = asyncio.get_running_loop().create_future()
        self._asked.append(Ask(work, future))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._work())
        return future

    async def _work(self) -> None:
        await asyncio.sleep(0)  # whoever was woken together asks together
        while self._asked:
            asks, self._asked = self._asked[:_MOST_AT_ONCE], self._asked[_MOST_AT_ONCE:]
            asks = [each for each in asks if not each.future.cancelled()]
            if asks:
                await self._write_all(asks)
            for each in asks:
                if each.future.done():
                    continue
                if each.error is not None:
                    each.future.set_exception(each.error)
                else:
                    each.future.set_result(each.result)
            await asyncio.sleep(0)

    async def _write_all(self, asks: Sequence[Ask]) -> None:
        try:
            await self.run(lambda connection: self._write(connection, asks))
        except FairleadError as error:
            if isinstance(error, StorageError) or len(asks) == 1:
                for each in asks:
                    each.error = type(error)(error.message, hint=error.hint)
                return
            for each in asks:  # one of them is at fault: it must not take the others with it
                await self._write_all([each])

    async def close(self) -> None:
        """Finish what is under way, and close the connections."""
        while self._writer and not self._writer.done():
            await asyncio.wait((self._writer,))
        pools, self._pool, self._handlers = (self._pool, self._handlers), None, None
        for pool in pools:
            if pool is not None:
                try:
                    await asyncio.wait_for(pool.close(), CONNECT_S)
                except TimeoutError:
                    pool.terminate()
