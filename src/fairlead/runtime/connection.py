"""A live connection: a provider with credentials, its sockets, and the state of its strategies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead import errors
from fairlead.config.settings import Connection as ConnectionSettings
from fairlead.model.exchange import Transport
from fairlead.model.secret import Secret
from fairlead.observe.events import ConnectionPaused
from fairlead.resilience.breaker import Breaker, State, Ticket
from fairlead.resilience.concurrency import Concurrency
from fairlead.resilience.ewma import Ewma
from fairlead.resilience.health import Condition, Health
from fairlead.resilience.pause import REFUSED, Leave, Pause
from fairlead.resilience.rate import RateLimit
from fairlead.resilience.retry import Retry
from fairlead.runtime.ports import Ports
from fairlead.runtime.usage import Usage
from fairlead.spec.batch import BatchRule
from fairlead.spec.mapping import ResponseMapping
from fairlead.spec.outcomes import Verdict, Wait
from fairlead.spec.provider import Provider
from fairlead.spec.quota import seconds_to_reset
from fairlead.spec.watch import Watch
from fairlead.transport.http import HttpOptions

# How long a vendor is left alone that throttles without saying for how long: the shortest window vendors publish.
_UNSAID_PAUSE_S = 1.0
# However long a vendor asks for, it is tried again once a day.
_LONGEST_PAUSE_S = 86_400.0
# How long an attempt waits in line here while another vendor could serve it.
_PATIENCE_S = 1.0


class Lease(msgspec.Struct, frozen=True):
    """Leave for one attempt, to be settled once."""

    ticket: Ticket
    leave: Leave


class BatchPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How single reads become one request. Without a `window_s` they do only where several are asked for at once."""

    window_s: float | None = None
    max_size: int = 50
    rules: tuple[BatchRule, ...] = ()


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a connection that are not the state of a strategy. Times are in seconds."""

    attempt_s: float
    quota_reset_s: float | None
    #: The longest that the vendor's terms, and its permission, let an answer be kept.
    cache_max_age_s: float
    max_answer_bytes: int = 10 * 1024 * 1024
    batch: BatchPolicy = BatchPolicy()
    #: What a request costs, in the unit of the configuration.
    cost: float | None = None
    #: It is probed in the background while it is not well; else a call is let go now and then to find out.
    is_probed: bool = False
    #: It is a gateway like ours, and is told what is left of the deadline.
    passes_deadline: bool = False


class Blueprint(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection was made of: where this is the same, so is the connection."""

    settings: ConnectionSettings
    options: HttpOptions
    credentials: Mapping[str, Secret]


class Connection:
    """One vendor account. Everything here is synchronous, but for waiting in line."""

    def __init__(  # noqa: PLR0913  # assembled in one place, by name
        self,
        name: str,
        provider: Provider,
        *,
        credentials: Mapping[str, Secret],
        transport: Transport,
        policy: Policy,
        retry: Retry,
        breaker: Breaker,
        concurrency: Concurrency,
        rate: RateLimit | None,
        health: Health,
        ports: Ports,
        mappings: Mapping[str, ResponseMapping[Any]],
        made_of: Blueprint,
        usage: Usage,
    ) -> None:
        self.name = name
        self.made_of = made_of
        self.usage = usage
        self.provider = provider
        self.credentials = credentials
        self.transport = transport
        self.policy = policy
        self.retry = retry
        self.breaker = breaker
        self.concurrency = concurrency
        self.rate = rate
        self.health = health
        self.mappings = mappings
        self.pause = Pause()
        self.latency = Ewma()
        self.watch = Watch()
        self._trial_at: float | None = None
        self._ports = ports
        self._clock = ports.clock

    @property
    def cost(self) -> float:
        """What a request costs, in the unit of the configuration; 0 where nothing is said."""
        return self.policy.cost or 0.0

    @property
    def usual_s(self) -> float | None:
        """How long its answers took of late, in seconds; None where none is known."""
        return self.latency.mean_s

    def disown(self) -> None:
        """Know of no attempt that is under way, and of no socket: after a fork, they are the parent's."""
        self.usage.disown()
        self.transport.disown()
        self.breaker.disown()
        self.concurrency.disown()
        self.pause.disown()

    def takes_traffic(self, now: float) -> bool:
        """Whether a call should come here while others can serve: not while it is down, and in part while it recovers.

        Where no probe is sent, one call in a while is let go, to find out.
        """
        health = self.health
        if health.condition is not Condition.DOWN:
            self._trial_at = None
            return health.admits(now, self._ports.random)
        if self.policy.is_probed or (self._trial_at is not None and now < self._trial_at):
            return False
        is_time = self._trial_at is not None
        self._trial_at = health.next_probe_at(now, self._ports.random)
        return is_time

    async def admit(self, *, remaining_s: float, is_last: bool) -> Lease:
        """Take leave for one attempt, waiting in line if need be; raise `RejectedError` where there is none.

        The place under the concurrency limit is held until `leave_line`.
        """
        until = self._clock.monotonic() + remaining_s
        lease = self._ask_leave()
        has_place = False
        try:
            has_waited = await self._enter(remaining_s if is_last else min(remaining_s, _PATIENCE_S))
            has_place = True
            left_s = max(0.0, until - self._clock.monotonic())
            has_waited |= await self._take_turn(left_s if is_last else min(left_s, _PATIENCE_S))
        except BaseException:
            self.release(lease)
            if has_place:
                self.concurrency.release()
            raise
        if has_waited:
            lease = self._renew(lease, until)
        self.usage.enter()
        return lease

    def _ask_leave(self) -> Lease:
        """Ask pause and breaker."""
        now = self._clock.monotonic()
        leave = self.pause.admit(now)
        if leave == REFUSED:
            raise errors.PausedError(
                f"The vendor is left alone because of {self.pause.cause}.", retry_after_s=self.pause.retry_after_s(now)
            )
        ticket = self.breaker.admit(now)
        if ticket is None:
            self.pause.release(leave)
            # Who would have come here was not served. While it is down, each that is recorded counts as a probe.
            if self.breaker.state is State.OPEN and self.health.condition is not Condition.DOWN:
                self.health.record(is_good=False, seconds=0.0, now=now, cause=self.breaker.cause)
            raise errors.CircuitOpenError(
                f"The circuit is open because of {self.breaker.cause}.",
                retry_after_s=self.breaker.retry_after_s(now),
            )
        return Lease(ticket, leave)

    def _renew(self, lease: Lease, until: float) -> Lease:
        """Ask again after a wait: the time may be over, the vendor ill, or it may have asked to be left alone."""
        self.release(lease)
        try:
            if self._clock.monotonic() >= until:
                raise errors.DeadlineExceededError("The deadline passed while waiting for a turn at this connection.")
            return self._ask_leave()
        except errors.RejectedError:
            self.concurrency.release()
            raise

    def leave_line(self) -> None:
        """Give the place under the concurrency limit back."""
        self.concurrency.release()
        self.usage.leave()

    def release(self, lease: Lease) -> None:
        """Settle an attempt that says nothing about the vendor: cancelled, or never sent."""
        self.breaker.release(lease.ticket)
        self.pause.release(lease.leave)

    def settle(self, lease: Lease, verdict: Verdict, *, retry_after_s: float | None, seconds: float = 0.0) -> None:
        """Learn from an attempt's end; it took `seconds`."""
        now = self._clock.monotonic()
        code = verdict.error.code if verdict.error else None
        if verdict.error is None:
            self.breaker.record(lease.ticket, is_good=True, now=now)
            self.latency.record(seconds, now)
            self.health.record(is_good=True, seconds=seconds, now=now)
            self.pause.end(now)
            return
        if _counts_against_health(verdict):
            self.breaker.record(lease.ticket, is_good=False, now=now, cause=code)
            self.health.record(is_good=False, seconds=seconds, now=now, cause=code)
        elif verdict.error.is_request_fault:  # it looked at the request, so it serves
            self.breaker.note_answer(lease.ticket, now=now)
            self.health.record(is_good=True, seconds=seconds, now=now)
            self.pause.end(now)
        else:
            self.breaker.release(lease.ticket)
        pause_s = self._pause_for(verdict, retry_after_s)
        if pause_s is None:
            self.pause.release(lease.leave)
        else:
            pause_s = min(pause_s, _LONGEST_PAUSE_S)
            self.pause.begin(pause_s, code or "", now)
            self._ports.events.emit(ConnectionPaused(connection=self.name, seconds=pause_s, cause=code or ""))

    def _pause_for(self, verdict: Verdict, retry_after_s: float | None) -> float | None:
        if verdict.wait is Wait.QUOTA_RESET:
            return self.quota_wait_s()
        if verdict.wait is Wait.RETRY_AFTER and retry_after_s is not None:
            return retry_after_s
        return _UNSAID_PAUSE_S if verdict.error is errors.ThrottledError else None

    def busy_s(self) -> float:
        """Return the seconds until an attempt would be let go, as far as pause and rate limit tell."""
        now = self._clock.monotonic()
        return max(self.pause.retry_after_s(now), self.rate.retry_after_s(now) if self.rate else 0.0)

    def quota_wait_s(self) -> float | None:
        """Return the seconds until the vendor's quota starts anew, where that is known."""
        if self.policy.quota_reset_s is not None:
            return self.policy.quota_reset_s
        if self.provider.quota_reset is None:
            return None
        return seconds_to_reset(self.provider.quota_reset, now=self._clock.wall())

    async def _enter(self, patience_s: float) -> bool:
        """Take a place; return whether it had to be waited for."""
        if self.concurrency.admit():
            return False
        hint = "Raise the connection's concurrency.limit or concurrency.queue."
        if self.concurrency.is_full():
            raise errors.BulkheadFullError(hint=hint)
        if not await self.concurrency.wait(patience_s):
            raise errors.BulkheadFullError("No place came free in time at this connection.", hint=hint)
        return True

    async def _take_turn(self, longest_wait_s: float) -> bool:
        """Take a turn under the rate limit; return whether it had to be waited for."""
        if self.rate is None:
            return False
        now = self._clock.monotonic()
        wait = self.rate.admit(now, longest_wait_s=longest_wait_s)
        if wait is None:
            raise errors.RateLimitedError(
                retry_after_s=self.rate.retry_after_s(now),
                hint=f"Set the connection's plan ({', '.join(self.provider.plans)}) or its rate.",
            )
        if wait:
            try:
                await self._clock.sleep(wait)
            except BaseException:
                self.rate.give_back(now + wait)
                raise
        return wait > 0


def _counts_against_health(verdict: Verdict) -> bool:
    """Whether a failure says that the vendor is unwell, and not that the request, the key or the quota is at fault."""
    if verdict.error is None or issubclass(verdict.error, errors.AnswerTooLargeError | errors.RejectedError):
        return False
    if issubclass(verdict.error, errors.TransportError | errors.UnavailableError):
        return True
    return verdict.is_transient and issubclass(verdict.error, errors.UnexpectedAnswerError)
