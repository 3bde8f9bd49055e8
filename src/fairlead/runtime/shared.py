"""What processes share, tied to their connections: one Redis, its loss and return, and who else is there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256

from fairlead import errors
from fairlead.config import settings as config
from fairlead.config.sources import Sources
from fairlead.model.call import Call
from fairlead.model.message import Request
from fairlead.observe.events import StorageBack, StorageLost
from fairlead.resilience.breaker import Hold
from fairlead.resilience.learned import UsedUp
from fairlead.resilience.shared_answers import SharedAnswers
from fairlead.resilience.shared_breaker import BreakerLink, SharedBreaker
from fairlead.resilience.shared_quota import SharedQuotas
from fairlead.resilience.shared_rate import SharedRate
from fairlead.runtime.connection import Connection
from fairlead.runtime.policy import Lease
from fairlead.runtime.ports import Ports
from fairlead.storage.breakers import Shared
from fairlead.storage.leases import Span
from fairlead.storage.redis import Redis, parse_url
from fairlead.storage.redis_answers import RedisAnswers
from fairlead.storage.redis_state import SILENT_S, RedisBreakers, RedisLeases, RedisProcesses, RedisQuotas, RedisSpent
from fairlead.storage.spent import Spent
from fairlead.vault.references import resolve

# A key by which names of credentials are made must not be found by trying.
_SHORTEST_KEY = 32


class SharedState:
    """The state that this process shares. Nothing is opened before the first call; `ensure` does that."""

    def __init__(self, redis: Redis, wanted: config.State, *, ports: Ports, cache_key: bytes | None = None) -> None:
        self._wanted = wanted
        #: What the names of kept answers are made with.
        self.cache_key = cache_key
        self._ports = ports
        self.redis = redis
        redis.on_up, redis.on_down = self._come_up, self._go_down
        self._leases = RedisLeases(redis, wanted.prefix)
        self._breakers = RedisBreakers(redis, wanted.prefix)
        self._processes = RedisProcesses(redis, wanted.prefix)
        self.quotas = SharedQuotas(RedisQuotas(redis, wanted.prefix), is_refusing=wanted.on_loss == "refuse")
        self.spent = RedisSpent(redis, wanted.prefix)
        self.spent.listen(self._hear_spent)
        answers = RedisAnswers(redis, wanted.prefix)
        self.answers = SharedAnswers(answers, start=self.ensure)
        answers.on_dropped = self.answers.hear_dropped
        self._connections: list[SharedConnection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._rates: list[SharedRate] = []
        self._links: list[BreakerLink] = []
        self._breakers.listen(self._hear)
        self._process = ports.ids()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heart: asyncio.Task[None] | None = None
        self._lost_at: float | None = None
        self._is_coming_up = False
        self._left_behind: list[object] = []
        #: How many processes share, as far as is known.
        self.processes = wanted.processes

    def rate(self, name: str, spans: Sequence[Span]) -> SharedRate:
        """Make the shared limit of a connection."""
        made = SharedRate(name, spans, self._leases, process=self._process, clock=self._ports.clock, start=self.ensure)
        self._rates.append(made)
        if self._lost_at is not None:
            self._part(made)
        return made

    def add(self, connection: SharedConnection) -> None:
        """Let a connection hear what others learn of its vendor's limits."""
        self._connections.append(connection)

    async def tell_what_is_spent(self, connection: SharedConnection) -> None:
        """Let a connection know what others were told before it was there."""
        for spent in await self.spent.learn(connection.name):
            connection.hear_spent(spent)

    def tell_spent(self, spent: Spent) -> None:
        """Tell the others, beside the call; where that fails, each learns it from its own next answer."""
        if self.redis.is_up:
            task = asyncio.get_running_loop().create_task(self._tell_spent(spent))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell_spent(self, spent: Spent) -> None:
        with suppress(errors.StorageError):  # who keeps the connection tells of it
            await self.spent.tell(spent)

    def _hear_spent(self, spent: Spent) -> None:
        for connection in self._connections:
            if connection.name == spent.key:
                connection.hear_spent(spent)

    def link(self, name: str, breaker: SharedBreaker) -> BreakerLink:
        """Tie the breaker of a connection to the others'."""
        made = BreakerLink(name, breaker, self._breakers, process=self._process, clock=self._ports.clock)
        self._links.append(made)
        return made

    async def forget(self, connection: SharedConnection, rate: SharedRate | None, link: BreakerLink) -> None:
        """Give back what one connection has leased, and tie its breaker to nobody."""
        self._connections = [each for each in self._connections if each is not connection]
        self._links = [each for each in self._links if each is not link]
        self._rates = [each for each in self._rates if each is not rate]
        await link.close()
        if rate is not None:
            await rate.close()

    @property
    def is_sharing(self) -> bool:
        """Whether the store is there, and everything that was there when it came is shared."""
        return self.redis.is_up and not self._is_coming_up

    @property
    def is_begun(self) -> bool:
        """Whether the store has been looked for in this event loop: then no call has to wait for it."""
        return self._loop is asyncio.get_running_loop() and (self.redis.has_tried or self._lost_at is not None)

    async def ensure(self) -> None:
        """Connect, where that has not begun in this event loop; wait for the first try as long as for an answer."""
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            if not self.redis.has_tried and self._lost_at is None:
                await self._first_try()
            return
        if self._loop is not None:
            self.disown()
        self._loop = loop
        self.redis.open()
        self._heart = loop.create_task(self._beat())
        await self._first_try()

    async def _first_try(self) -> None:
        if not await self.redis.wait_first_try(self._wanted.answer_s) and self._lost_at is None:
            self._go_down(f"no connection within {self._wanted.answer_s:g} s")

    async def close(self) -> None:
        """Give back what is leased, say goodbye, and close."""
        if self._loop is not asyncio.get_running_loop():
            return
        if self._tasks:
            await asyncio.wait(self._tasks)
        for link in self._links:
            await link.close()
        for rate in self._rates:
            await rate.close()
        if self._heart:
            self._heart.cancel()
            await asyncio.wait((self._heart,))
        with suppress(errors.StorageError):  # it will be missed in time
            await self._processes.leave(self._process)
        await self.redis.close()
        self._loop = self._heart = None

    def disown(self) -> None:
        """Begin anew, as another process: after a fork, or in another event loop."""
        self.redis.disown()
        self._process = self._ports.ids()
        self._loop = self._heart = self._lost_at = None
        self._left_behind += self._tasks
        self._tasks = set()
        for rate in self._rates:
            rate.disown(self._process)
        for link in self._links:
            link.disown(self._process)

    async def _come_up(self) -> None:
        """Share again; whatever fails here is another loss."""
        self._is_coming_up = True
        try:
            await self._share_again()
        finally:
            self._is_coming_up = False

    async def _share_again(self) -> None:
        await self._count()
        for link in self._links:
            await link.join()
        for connection in self._connections:
            await self.tell_what_is_spent(connection)
        await self.answers.heal()
        await self.quotas.heal()
        for rate in self._rates:
            await rate.share()
        if self._lost_at is not None:
            lost_s = self._ports.clock.monotonic() - self._lost_at
            self._lost_at = None
            self._ports.events.emit(StorageBack(store=self.redis.place, lost_s=lost_s))

    def _go_down(self, reason: str) -> None:
        """Have everything go on alone."""
        if self._lost_at is None:
            self._lost_at = self._ports.clock.monotonic()
            self._ports.events.emit(
                StorageLost(
                    store=self.redis.place, reason=reason, policy=self._wanted.on_loss, processes=self.processes
                )
            )
        elif not any(rate.is_shared for rate in self._rates) and all(link.breaker.is_alone for link in self._links):
            return
        self.quotas.processes = self.processes
        for link in self._links:
            link.part()
        for rate in self._rates:
            self._part(rate)

    def _part(self, rate: SharedRate) -> None:
        """Have a limit go on without the store, as the settings say."""
        if self._wanted.on_loss == "refuse":
            rate.refuse()
        else:
            rate.go_alone(self.processes)

    async def _beat(self) -> None:
        while True:
            await self._ports.clock.sleep(SILENT_S / 3)
            if self.redis.is_up:
                with suppress(errors.StorageError):  # the keeper of the connection has seen it too
                    await self._count()

    async def _count(self) -> None:
        self.processes = max(await self._processes.beat(self._process), self._wanted.processes)

    def _hear(self, shared: Shared) -> None:
        for link in self._links:
            link.hear(shared)


class SharedConnection(Connection):
    """A connection whose limit and breaker are those of every process."""

    breaker: SharedBreaker
    _state: SharedState
    _link: BreakerLink
    _shared_rate: SharedRate | None = None

    def share(self, state: SharedState, spans: Sequence[Span]) -> None:
        """Share, under this connection's name."""
        assert isinstance(self.breaker, SharedBreaker)  # noqa: S101  # it was built to be shared
        self._state = state
        state.add(self)
        self._link = state.link(self.name, self.breaker)
        self._shared_rate = state.rate(self.name, spans) if spans else None

    @property
    def _is_new(self) -> bool:
        """Whether it was made, by a reload, when the store was there already, and does not share yet."""
        return self.breaker.is_alone and self._state.is_sharing

    async def _join(self) -> None:
        """Share what the others share; the breaker last, for by it we know that we do."""
        with suppress(errors.StorageError):  # it was lost this moment, and who keeps the connection says what holds
            if self._shared_rate is not None and not self._shared_rate.is_shared:
                await self._shared_rate.share()
            await self._state.tell_what_is_spent(self)
            await self._link.join()

    def hear_spent(self, spent: Spent) -> None:
        """Send nothing for as long as a limit is used up, which another process was told of."""
        if self.learned is not None:
            self._keep_learned(self.learned, under_way=self.concurrency.limit - self.concurrency.free)
            told = UsedUp(spent.name, spent.left_s, spent.fresh, spent.span_s)
            self.learned.hear(told, self._clock.monotonic())

    def _tell_used_up(self, used_up: Sequence[UsedUp]) -> None:
        for each in used_up:
            self._state.tell_spent(Spent(key=self.name, **each._asdict()))

    async def part(self) -> None:
        """Share no longer: another connection has this one's name now, or none has."""
        await self._state.forget(self, self._shared_rate, self._link)

    async def hold(self, state: Hold | None) -> None:
        """Hold the circuit by hand, for every process; while the store is lost, for this one until it is back."""
        await self._state.ensure()
        if self._is_new:
            await self._join()
        await super().hold(state)
        await self._link.close()

    def try_admit(self, now: float, call: Call, request: Request) -> Lease | None:
        """Take leave at once, where nothing stands against it and the store is there, or known not to be."""
        if not self._state.is_begun or self._is_new:
            return None
        lease = super().try_admit(now, call, request)
        if lease is None or self._shared_rate is None or self._shared_rate.admit():
            return lease
        if self.rate is not None:
            self.rate.give_back(now)
        self.leave_line()
        return None

    async def admit(self, call: Call, request: Request, *, remaining_s: float, is_last: bool) -> Lease:
        """Take leave for one attempt, as every connection does; the first waits until the store is there or not."""
        await self._state.ensure()
        if self._is_new:
            await self._join()
        await self._link.prepare()
        return await super().admit(call, request, remaining_s=remaining_s, is_last=is_last)

    async def _take_turn(self, longest_wait_s: float, *, is_background: bool) -> float:
        rate, waited_s = self._shared_rate, 0.0
        if rate is not None and not rate.admit():
            wait = await rate.take(longest_wait_s=0.0 if is_background else longest_wait_s)
            if wait is None:
                raise errors.RateLimitedError(
                    retry_after_s=rate.retry_after_s(),
                    hint=f"Set the connection's plan ({', '.join(self.provider.plans)}) or its rate.",
                )
            waited_s = wait
        return waited_s + await super()._take_turn(max(0.0, longest_wait_s - waited_s), is_background=is_background)


def open_state(wanted: config.State, *, source: str, sources: Sources, ports: Ports) -> SharedState | None:
    """Build what is shared, or None where nothing is; raise `ConfigError` naming the file and the key."""
    if wanted.url is None:
        for key in ("password", "ca_file", "cache_key"):
            if getattr(wanted, key) is not None:
                raise errors.InvalidSettingError(
                    f"{source}: state.{key} is set, but state.url is not.", hint="Set state.url, or take it out."
                )
        return None
    password = None
    if wanted.password is not None:
        password = resolve(wanted.password, sources, where=f"{source}: state.password")
    try:
        options = parse_url(wanted.url, password=password, ca_file=wanted.ca_file, answer_s=wanted.answer_s)
        redis = Redis(options, clock=ports.clock, random=ports.random)
    except errors.InvalidSettingError as error:  # it names the setting
        raise errors.InvalidSettingError(f"{source}: {error.message}", hint=error.hint) from None
    return SharedState(redis, wanted, ports=ports, cache_key=_cache_key(wanted, source, sources))


def _cache_key(wanted: config.State, source: str, sources: Sources) -> bytes | None:
    if wanted.cache_key is None:
        return None
    secret = resolve(wanted.cache_key, sources, where=f"{source}: state.cache_key").reveal()
    if len(secret) < _SHORTEST_KEY:
        raise errors.InvalidSettingError(
            f"{source}: state.cache_key is shorter than {_SHORTEST_KEY} characters.", hint="Use `openssl rand -hex 32`."
        )
    return sha256(secret.encode()).digest()
