"""A live connection: a provider with credentials, its sockets, and the state of its strategies."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from fairlead import errors
from fairlead.model.call import Call
from fairlead.model.exchange import Broken, Transport
from fairlead.model.message import Request, Response
from fairlead.observe.events import ConnectionPaused
from fairlead.resilience.breaker import Hold, State
from fairlead.resilience.concurrency import Priority
from fairlead.resilience.ewma import Ewma
from fairlead.resilience.health import Condition
from fairlead.resilience.learned import Learned, UsedUp
from fairlead.resilience.pause import FREE, REFUSED, Pause
from fairlead.resilience.quota import Quota, Reservation, Spent
from fairlead.resilience.rate import RateLimit
from fairlead.runtime.policy import Blueprint, Lease, Policy, Strategies
from fairlead.runtime.ports import Ports
from fairlead.runtime.usage import Usage
from fairlead.spec.limits import Reading, parse_limits
from fairlead.spec.outcomes import Verdict, Wait
from fairlead.spec.provider import Provider
from fairlead.spec.quota import seconds_to_reset
from fairlead.spec.watch import Watch

# How long a vendor is left alone that throttles without saying for how long: the shortest window vendors publish.
_UNSAID_PAUSE_S = 1.0
# However long a vendor asks for, it is tried again once a day.
_LONGEST_PAUSE_S = 86_400.0
# Errors that say that the vendor did not count the request.
_FREE_OF_CHARGE = (errors.ThrottledError, errors.QuotaExhaustedError, errors.AuthenticationError)
#: How long an attempt waits in line here while another vendor could serve it.
PATIENCE_S = 1.0


class Connection:
    """One vendor account. Everything here is synchronous, but for waiting in line."""

    def __init__(
        self,
        name: str,
        provider: Provider,
        *,
        transport: Transport,
        usage: Usage,
        made_of: Blueprint,
        policy: Policy,
        strategies: Strategies,
        ports: Ports,
    ) -> None:
        self.name = name
        self.made_of = made_of
        self.usage = usage
        self.provider = provider
        self.credentials = made_of.credentials
        self.transport = transport
        self.policy = policy
        self.retry = strategies.retry
        self.budget = strategies.budget
        self.breaker = strategies.breaker
        self.concurrency = strategies.concurrency
        self.rate = strategies.rate
        self.learned = strategies.learned
        #: Whether the vendor has said something of its limits, so that they are kept.
        self.is_told = False
        self.quota = strategies.quota
        self.hedge = strategies.hedge
        self.chaos = strategies.chaos
        #: What is to be done to every request: with what it has already, and with a signature.
        self.adds_headers = bool(provider.fixed_headers)
        self.is_signed = provider.auth != ()
        #: Whether an attempt is one exchange, no more: most are.
        self.is_plain = strategies.hedge is None and strategies.chaos is None
        self.health = strategies.health
        self.mappings = policy.mappings
        self.pause = Pause()
        self.latency = Ewma()
        self.watch = Watch()
        self._trial_at: float | None = None
        #: What everybody is given while the breaker is closed: the same for all.
        self._usual = Lease(self.breaker.passes, FREE)
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

    def try_admit(self, now: float, call: Call, request: Request) -> Lease | None:  # noqa: ARG002  # lines ask what it costs
        """Take leave at once, where nothing stands against it; else `admit` waits for it, or says why not."""
        ticket = self.breaker.passes
        if not ticket or self.pause.is_on or self.quota is not None or not self.concurrency.admit():
            return None
        if self.rate is not None and self.rate.admit(now, 1.0, 0.0, call.is_background) is None:
            self.concurrency.release()
            return None
        self.usage.count += 1
        if ticket != self._usual.ticket:
            self._usual = Lease(ticket, FREE)
        return self._usual

    async def admit(self, call: Call, request: Request, *, remaining_s: float, is_last: bool) -> Lease:
        """Take leave for one attempt, waiting in line if need be; raise `RejectedError` where there is none.

        The place under the concurrency limit is held until `leave_line`.
        """
        until = self._clock.monotonic() + remaining_s
        patience_s = remaining_s if is_last else min(remaining_s, PATIENCE_S)
        is_background = call.is_background
        lease = self._ask_leave()
        has_place, turn, reserved = False, None, None
        try:
            has_waited = await self._enter(patience_s, is_background=is_background)
            has_place = True
            if self.quota is not None:
                reserved = await self._reserve(self.quota, request.cost, is_background=is_background)
            now = self._clock.monotonic()
            longest_s = min(patience_s, max(0.0, until - now))
            turn = now + await self._take_turn(longest_s, is_background=is_background)
            has_waited |= turn > now
            lease = self._renew(lease, until) if has_waited else lease
        except BaseException:
            self.release(lease)
            if has_place:
                self.concurrency.release()
            if self.rate is not None and turn is not None:
                self.rate.give_back(turn)
            if self.quota is not None and reserved is not None:
                await self.quota.give_back(reserved)
            raise
        self.usage.enter()
        return lease if reserved is None else Lease(lease.ticket, lease.leave, reserved)

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
        if self._clock.monotonic() >= until:
            raise errors.DeadlineExceededError("The deadline passed while waiting for a turn at this connection.")
        return self._ask_leave()

    async def _reserve(self, quota: Quota, cost: float, *, is_background: bool) -> Reservation:
        """Take what the attempt may cost from the vendor's quota; raise `RateLimitedError` where it is used up."""
        found = await quota.reserve(self._clock.wall(), cost, is_background=is_background)
        if isinstance(found, Spent):
            raise errors.RateLimitedError(
                f"The quota{f' {found.name!r}' if found.name else ''} of this connection has no {cost:g} left.",
                retry_after_s=found.retry_after_s,
                hint="Wait for the reset, take a larger plan, or set the connection's quota.",
            )
        return found

    async def hold(self, state: Hold | None) -> None:
        """Hold the circuit open or closed by hand; with None let it decide by itself again."""
        self.breaker.hold(state)

    def leave_line(self) -> None:
        """Give the place under the concurrency limit back."""
        self.concurrency.release()
        self.usage.leave()

    def release(self, lease: Lease) -> None:
        """Settle an attempt that says nothing about the vendor: cancelled, or never sent."""
        self.breaker.release(lease.ticket)
        self.pause.release(lease.leave)

    def forget(self, lease: Lease) -> None:
        """Settle an attempt whose caller has gone while it was under way."""
        self.release(lease)
        if self.learned is not None and self.is_told:
            self.learned.end()

    def note_limits(self, verdict: Verdict, answer: Response | Broken) -> None:
        """Learn from an answer what the vendor says is left of its limits."""
        learned = self.learned
        if learned is None:
            return
        readings = self._readings(answer) if isinstance(answer, Response) and answer.headers.pairs else ()
        if readings:
            self._keep_learned(learned, under_way=self.concurrency.limit - self.concurrency.free + 1)
            was_throttled = verdict.error is errors.ThrottledError
            used_up = learned.note(readings, self._clock.monotonic(), was_throttled=was_throttled)
            if used_up:
                self._tell_used_up(used_up)
        elif self.is_told:
            learned.end()

    def _keep_learned(self, learned: Learned, *, under_way: int) -> None:
        """Keep to what the vendor says, from the first time that it does."""
        if not self.is_told:
            self.is_told = True
            learned.expect(under_way)
            self.rate = self.rate or RateLimit()
            self.rate.join(learned)

    def _tell_used_up(self, used_up: Sequence[UsedUp]) -> None:
        """Tell the other processes, where there are any."""

    def _readings(self, answer: Response) -> tuple[Reading, ...]:
        """Return what an answer says of limits; mostly nothing, which is to cost next to nothing."""
        if not (self.provider.limits or "limit" in " ".join(answer.headers)):
            return ()
        return parse_limits(answer.headers, self.provider.limits, now=self._clock.wall())

    async def settle_quota(self, lease: Lease, verdict: Verdict, answer: Response | Broken) -> None:
        """Settle what was reserved, and believe the vendor where it says that less is left than we think.

        What was never sent costs nothing, nor does what was refused for want of a key, a turn or points.
        """
        assert self.quota is not None  # noqa: S101  # who calls has looked
        is_free = isinstance(answer, Broken) and not answer.phase.was_sent
        if lease.reserved is not None and (is_free or verdict.error in _FREE_OF_CHARGE):
            await self.quota.give_back(lease.reserved)
        if isinstance(answer, Response):
            now = self._clock.wall()
            for reading in self._readings(answer):
                if reading.is_quota and reading.remaining is not None:
                    await self.quota.note_left(now, reading.remaining)

    def settle_good(self, lease: Lease, seconds: float, now: float) -> None:
        """Learn from an attempt that was served."""
        self.breaker.record_good(lease.ticket, seconds, now)
        self.latency.record(seconds, now)
        self.health.record_good(seconds, now)
        if self.pause.is_on:
            self.pause.end(now)

    def settle(
        self, lease: Lease, verdict: Verdict, *, seconds: float, message: str, retry_after_s: float | None
    ) -> None:
        """Learn from an attempt that was not."""
        now = self._clock.monotonic()
        code = verdict.error.code if verdict.error else ""
        if _counts_against_health(verdict):
            self.breaker.record(lease.ticket, is_good=False, now=now, seconds=seconds, cause=code, message=message)
            self.health.record(is_good=False, seconds=seconds, now=now, cause=code)
        elif verdict.error is not None and verdict.error.is_request_fault:  # it looked at the request, so it serves
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
            self.pause.begin(pause_s, code, now)
            self._ports.events.emit(ConnectionPaused(connection=self.name, seconds=pause_s, cause=code))

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

    async def _enter(self, patience_s: float, *, is_background: bool) -> bool:
        """Take a place; return whether it had to be waited for."""
        if self.concurrency.admit():
            return False
        priority = Priority.BACKGROUND if is_background else Priority.INTERACTIVE
        hint = "Raise the connection's concurrency.limit or concurrency.queue."
        if self.concurrency.is_full(priority):
            raise errors.BulkheadFullError(hint=hint)
        if not await self.concurrency.wait(patience_s, priority):
            raise errors.BulkheadFullError("No place came free in time at this connection.", hint=hint)
        return True

    async def _take_turn(self, longest_wait_s: float, *, is_background: bool) -> float:
        """Take a turn under the rate limit; return how long it was waited for."""
        rate = self.rate
        if rate is None:
            return 0.0
        now = self._clock.monotonic()
        wait = rate.admit(now, longest_wait_s=longest_wait_s, is_background=is_background)
        if wait is None:
            retry_after_s = rate.retry_after_s(now, is_background=is_background)
            raise errors.RateLimitedError(
                retry_after_s=retry_after_s if retry_after_s < inf else None,
                hint=f"Set the connection's plan ({', '.join(self.provider.plans)}) or its rate.",
            )
        if wait:
            try:
                await self._clock.sleep(wait)
            except BaseException:
                rate.give_back(now + wait)
                raise
        return wait


def _counts_against_health(verdict: Verdict) -> bool:
    """Whether a failure says that the vendor is unwell, and not that the request, the key or the quota is at fault."""
    if verdict.error is None or issubclass(verdict.error, errors.AnswerTooLargeError | errors.RejectedError):
        return False
    if issubclass(verdict.error, errors.TransportError | errors.UnavailableError):
        return True
    return verdict.is_transient and issubclass(verdict.error, errors.UnexpectedAnswerError)
