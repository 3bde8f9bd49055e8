"""The process's side of a limit that many share: what it has leased, who waits, and what to ask the store for.

Pure: `take` is the common call, which spends what is in hand; what it may come to the caller hands to a
`LeaseStore` (see `storage/leases.py`) and back. Costs are in the vendor's points, times are monotonic seconds of this
process. Of the store's time only differences are used, and each is taken so that the way there and back can only make
a lease shorter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import ceil, inf

from fairlead.storage.leases import GRAIN, LONG, LONGEST_S, Ask, Grant, Report, Span

# Points are leased ahead for this share of what leases last at present, at the pace of late, and for so long at most:
# more would only be held from others.
_AHEAD = 0.4
_LONGEST_AHEAD_S = 0.25
# The time over which the pace is worked out.
_PACE_S = 0.05
# Of a lease ahead, this share is left when the next one is asked for.
_LOW = 0.5
# A lease must last for so many ways to the store and back, and this long: a turn of a busy event loop.
_WAYS = 3.0
_LEAST_S = 0.005
# Nothing is leased ahead where less than this is to be expected before even a long lease ends.
_LIKELY = 0.5
# How long an ask that was answered with nothing is not repeated for leases ahead.
_REST_S = 0.01


class Waiter:
    """A place in line. `is_ready` once it may go."""

    __slots__ = ("cost", "is_ready", "until")

    def __init__(self, cost: float, until: float) -> None:
        self.cost = cost
        self.until = until
        self.is_ready = False


class _Held:
    """A lease in hand."""

    __slots__ = ("ends", "last", "left", "low", "number", "reported", "spent", "starts", "told")

    def __init__(self, number: int, points: float, starts: float, ends: float) -> None:
        self.number = number
        self.left = points
        self.low = 0.0
        self.starts = starts
        self.ends = ends
        #: What was spent; what the store may have been told of that; and what it is known to know.
        self.spent = self.told = self.reported = 0.0
        self.last = starts


class LeasedLimit:
    """The state machine. `is_low` says that it is worth asking the store, even though nobody waits."""

    __slots__ = (
        "_asked_at",
        "_epoch",
        "_held",
        "_history",
        "_lasts_s",
        "_now_held",
        "_pace",
        "_process",
        "_rest_until",
        "_round_s",
        "_since",
        "_telling",
        "_unsaid",
        "_waiting",
        "is_low",
        "spans",
    )

    def __init__(self, process: str, spans: Sequence[Span]) -> None:
        self.spans = tuple(spans)
        self._process = process
        self._epoch = 0
        #: Leases, the first to end first; the one that is being spent is in `_now_held` too.
        self._held: deque[_Held] = deque()
        self._now_held: _Held | None = None
        self._waiting: deque[Waiter] = deque()
        #: What was spent lately: at what time, how much; and what of that the store was not told, for it was lost.
        self._history: deque[tuple[float, float]] = deque()
        self._unsaid: list[tuple[float, float]] = []
        self._telling: list[tuple[float, float]] = []
        self._asked_at = -inf
        self._round_s = 0.0
        #: Points a second of late, and when that was last worked out.
        self._pace = 0.0
        self._since = -inf
        self._rest_until = -inf
        #: How long the last lease was.
        self._lasts_s = self._long_s
        self.is_low = True

    def take(self, now: float, cost: float = 1.0) -> bool:
        """Spend what is in hand; return False where that does not do, or others wait already."""
        held = self._now_held
        if held is None or held.left < cost or now >= held.ends or self._waiting:
            held = None if self._waiting else self._choose(now, cost)
            if held is None:
                self.is_low = True
                return False
        held.left -= cost
        held.spent += cost
        held.last = now
        if held.left <= held.low:
            self.is_low = now >= self._rest_until
        return True

    def join(self, now: float, cost: float, *, patience_s: float = inf) -> Waiter:
        """Take a place in line, behind who waits already."""
        waiter = Waiter(cost, now + patience_s)
        self._waiting.append(waiter)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Give up a place in line, or leave to go that was not used."""
        if waiter.is_ready:
            self._unspend(waiter.cost)
        elif waiter in self._waiting:
            self._waiting.remove(waiter)

    def serve(self, now: float) -> list[Waiter]:
        """Let go whoever has waited long enough, in order; return them."""
        served = []
        while self._waiting:
            first = self._waiting[0]
            held = self._choose(now, first.cost)
            if held is None:
                break
            held.left -= first.cost
            held.spent += first.cost
            held.last = now
            first.is_ready = True
            served.append(self._waiting.popleft())
        return served

    def ask(self, now: float) -> Ask | None:
        """Return what to ask the store, or None where there is nothing to say. To be followed by `hear` or `fail`."""
        self.is_low = False
        self._measure(now)
        reports = self._reports(now)
        coming = sum(each.left for each in self._held if each.ends > now)
        waiting = sum(each.cost for each in self._waiting)
        # Leases are not put together for one call: who is first and has none needs one that is large enough.
        least = self._waiting[0].cost if self._waiting else 0.0
        wanted = max(least, waiting - coming)
        ahead = (
            ceil(self._pace * min(_AHEAD * self._lasts_s, _LONGEST_AHEAD_S))
            if self._pace * self._long_s >= _LIKELY
            else 0
        )
        if now < self._rest_until or coming - waiting > ahead * _LOW:
            ahead = 0
        if self._is_in_line(now):
            wanted = least = ahead = 0
        if not reports and not wanted and not ahead:
            return None
        self._asked_at = now
        return Ask(
            process=self._process,
            epoch=self._epoch,
            reports=reports,
            least=least,
            waiting=wanted,
            ahead=float(ahead),
            patience_s=max(0.0, self._waiting[0].until - now) if self._waiting else 0.0,
            least_s=_WAYS * self._round_s + _LEAST_S,
        )

    def hear(self, now: float, grant: Grant, ask: Ask) -> float | None:
        """Take the answer in; return the seconds to the turn of the first in line, where that is too far off."""
        self._round_s = max(self._round_s * 0.9, now - self._asked_at)
        if grant.epoch != ask.epoch and ask.epoch:
            self._tell_again(now, grant.epoch)
            return None
        self._epoch = grant.epoch
        self._note_reported(ask)
        if grant.points:
            # The store's instant of granting is between asking and hearing.
            starts = now + grant.starts_in_s if grant.starts_in_s else now
            held = _Held(grant.number, grant.points, starts, self._asked_at + grant.starts_in_s + grant.lasts_s)
            self._lasts_s = grant.lasts_s
            held.low = grant.points * _LOW if ask.ahead else 0.0
            self._held.append(held)
            self._held = deque(sorted(self._held, key=lambda each: each.ends))
            return None
        if ask.waiting:
            return grant.starts_in_s
        self._rest_until = now + _REST_S
        return None

    def fail(self) -> None:
        """Know that no answer comes. Whether the store counted is unknown; it forgets nothing by being told again."""
        self.is_low = True

    def wake_s(self, now: float) -> float:
        """Return the seconds until a lease begins or ends; `inf` where none does."""
        wake = inf
        for held in self._held:
            if held.starts > now:
                wake = min(wake, held.starts - now)
            elif held.ends > now:
                wake = min(wake, held.ends - now)
            else:
                return 0.0
        return wake

    @property
    def is_unsaid(self) -> bool:
        """Whether there is something spent without a lease that the store does not know of."""
        return bool(self._unsaid or self._telling)

    def needs_more(self, now: float) -> bool:
        """Whether to ask the store. While a turn in line is ahead, it is not asked for another: others have theirs."""
        if any(held.ends <= now for held in self._held):
            return True
        if self._is_in_line(now):
            return False
        return self.is_low or sum(each.cost for each in self._waiting) > self.in_hand

    @property
    def first(self) -> Waiter | None:
        """Who has waited longest."""
        return self._waiting[0] if self._waiting else None

    @property
    def in_hand(self) -> float:
        """The points in hand."""
        return sum(each.left for each in self._held)

    def history(self, now: float) -> list[tuple[float, float]]:
        """Return what was spent in the longest window up to now, oldest first: times and points."""
        spent = [(each.last, each.spent - each.reported) for each in self._held if each.spent > each.reported]
        since = now - max(each.per_s for each in self.spans)
        return sorted(entry for entry in (*self._history, *self._telling, *self._unsaid, *spent) if entry[0] > since)

    def spend_alone(self, now: float, cost: float) -> None:
        """Note what was spent without a lease, to report it when the store is back."""
        _append(self._unsaid, now, cost, self._grain_s)

    def drop_leases(self) -> None:
        """Use no lease any more: the store is lost. It counts them to their ends, unless it forgets."""
        for held in self._held:
            if held.spent > held.reported:
                _append(self._history, held.last, held.spent - held.reported, self._grain_s)
        self._held.clear()
        self._now_held = None
        self.is_low = True

    def resign(self, now: float) -> Ask | None:
        """Return the last ask: it gives back what is in hand, and wants nothing."""
        for held in self._held:
            held.ends = min(held.ends, now)
        reports = self._reports(now)
        return Ask(process=self._process, epoch=self._epoch, reports=reports) if reports else None

    def begin_anew(self, process: str) -> None:
        """Be another process, with nothing in hand and nobody in line: what was leased is the other one's."""
        self._process, self._epoch = process, 0
        self._held.clear()
        self._history.clear()
        self._unsaid.clear()
        self._telling.clear()
        self._waiting.clear()
        self._now_held = None
        self.is_low = True

    def take_line(self) -> list[Waiter]:
        """Send everybody who waits out of the line; return them."""
        line, self._waiting = list(self._waiting), deque()
        return line

    @property
    def _long_s(self) -> float:
        return min(LONG * min(each.per_s for each in self.spans), LONGEST_S)

    @property
    def _grain_s(self) -> float:
        return max(each.per_s for each in self.spans) * GRAIN

    def _is_in_line(self, now: float) -> bool:
        return any(held.starts > now for held in self._held)

    def _choose(self, now: float, cost: float) -> _Held | None:
        """Find a lease that has the cost; small rests of earlier ones stay for smaller calls."""
        self._now_held = next(
            (each for each in self._held if each.starts <= now < each.ends and each.left >= cost), None
        )
        return self._now_held

    def _unspend(self, cost: float) -> None:
        """Put back what was not used, where the store has not been told yet."""
        for held in reversed(self._held):
            if held.spent - held.told >= cost:
                held.spent -= cost
                held.left += cost
                return

    def _measure(self, now: float) -> None:
        """Work out the pace of late."""
        spent = sum(each.spent - each.reported for each in self._held) + sum(each.cost for each in self._waiting)
        passed = now - self._since
        if passed == inf:
            self._pace = 0.0
        elif passed > 0:
            self._pace += (spent / passed - self._pace) * passed / (passed + _PACE_S)
        self._since = now

    def _reports(self, now: float) -> tuple[Report, ...]:
        """Say what was spent of each lease since last, and give back those that are over or used up."""
        self._telling += self._unsaid
        self._unsaid = []
        reports = [Report(0, points, max(0.0, now - at), is_over=True) for at, points in self._telling]
        for held in self._held:
            is_over = held.ends <= now or (held.left <= 0 and held.starts <= now)
            if is_over or held.spent > held.reported:
                held.told = held.spent
                reports.append(Report(held.number, held.spent, max(0.0, now - held.last), is_over))
        return tuple(reports)

    def _note_reported(self, ask: Ask) -> None:
        by_number = {each.number: each for each in self._held}
        for at, points in self._telling:
            _append(self._history, at, points, self._grain_s)
        self._telling = []
        for report in ask.reports:
            held = by_number.get(report.number)
            if held is None:
                continue
            if report.spent > held.reported:
                _append(self._history, self._asked_at - report.age_s, report.spent - held.reported, self._grain_s)
                held.reported = report.spent
            if report.is_over:
                self._held.remove(held)
                if held is self._now_held:
                    self._now_held = None
        since = self._asked_at - max(each.per_s for each in self.spans)
        while self._history and self._history[0][0] <= since:
            self._history.popleft()

    def _tell_again(self, now: float, epoch: int) -> None:
        """Tell a store that has forgotten what was spent lately; of leases and of that it knows nothing."""
        self.drop_leases()
        self._unsaid = self.history(now)
        self._telling = []
        self._history.clear()
        self._epoch = epoch


def _append(
    entries: deque[tuple[float, float]] | list[tuple[float, float]], at: float, points: float, grain_s: float
) -> None:
    """Add to what was spent; what is close together is kept as one, at the later time."""
    if entries and 0 <= at - entries[-1][0] <= grain_s:
        entries[-1] = (at, entries[-1][1] + points)
    else:
        entries.append((at, points))
