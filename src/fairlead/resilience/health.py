"""How a vendor is, as its traffic and a few probes tell; and how it gets its traffic back.

`up` and `degraded` come from the attempts of the last `window_s` seconds: the share of good ones, and of slow ones.
Below `down_share` it is `down`, and gets no traffic. Then probes ask, each after `probe_s` give or take a jitter, so
that many processes do not ask together; `rise` good ones in a row, and it is trusted again by steps: the shares of
`ramp`, each for its part of `ramp_s`. A vendor that comes up with cold caches is not struck down again by everybody at
once.

A breaker says within seconds whether this attempt may go; this says over minutes how much should be sent there.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from math import inf

import msgspec

from fairlead.errors import InvalidSettingError
from fairlead.model.ports import Random
from fairlead.resilience.window import FAILED, SLOW, TimeWindow

# Shares are added up; ten tenths are one.
_ROUNDING = 1e-9


class Condition(StrEnum):
    """How a vendor is."""

    UP = "up"
    #: It serves, but fails or dawdles too often; or it was down, and is getting its traffic back.
    DEGRADED = "degraded"
    DOWN = "down"


# Python 3.11 looks the members of an enumeration up slowly.
_UP, _DEGRADED, _DOWN = Condition.UP, Condition.DEGRADED, Condition.DOWN

#: The cause where answers were good, but too slow.
SLOW_ANSWERS = "slow"

OnTurn = Callable[[Condition, Condition, str | None], None]


class HealthOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is well, and how it is found out. Raises `InvalidSettingError` for what cannot be."""

    #: The attempts of so many last seconds count.
    window_s: float = 60.0
    #: With fewer than these nothing is decided.
    min_attempts: int = 10
    #: Below this share of good attempts it is degraded.
    degraded_share: float = 0.95
    #: Below this one it is down.
    down_share: float = 0.5
    #: An attempt that takes as long is slow; none is unless set.
    slow_s: float | None = None
    #: At this share of slow attempts it is degraded.
    slow_share: float = 0.5
    #: Between two probes of one that is not up.
    probe_s: float = 15.0
    #: By how much of that a probe is early or late.
    probe_jitter: float = 0.2
    #: How many probes must be good, one after the other, before it gets traffic.
    rise: int = 2
    #: How long it takes to get all of it.
    ramp_s: float = 60.0
    #: The shares on the way, each for as long as the next.
    ramp: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5)

    def __post_init__(self) -> None:
        if not 0 <= self.down_share <= self.degraded_share <= 1:
            raise InvalidSettingError("health.down_share must not be above health.degraded_share; both are shares.")
        if min(self.window_s, inf if self.slow_s is None else self.slow_s, self.probe_s) <= 0 or self.ramp_s < 0:
            raise InvalidSettingError("health: window_s, slow_s and probe_s are times above 0, ramp_s one from 0.")
        if min(self.min_attempts, self.rise) < 1 or not (0 < self.slow_share <= 1 and 0 <= self.probe_jitter < 1):
            raise InvalidSettingError(
                "health: min_attempts and rise are 1 or more, slow_share and probe_jitter shares."
            )
        if not self.ramp or list(self.ramp) != sorted(self.ramp) or not 0 < self.ramp[0] <= self.ramp[-1] <= 1:
            raise InvalidSettingError("health.ramp must be shares above 0 that rise.")


class Health:
    """The state machine. `on_turn(before, after, cause)` is told of every change. The cause is the last failure's."""

    __slots__ = (
        "_credit",
        "_in_a_row",
        "_on_turn",
        "_options",
        "_ramp_began",
        "_slow_s",
        "_window",
        "cause",
        "condition",
    )

    def __init__(self, options: HealthOptions | None = None, *, on_turn: OnTurn | None = None) -> None:
        self._options = options = options or HealthOptions()
        self._slow_s = inf if options.slow_s is None else options.slow_s
        self._window = TimeWindow(options.window_s)
        self._on_turn = on_turn
        self._in_a_row = 0
        self._ramp_began: float | None = None
        self._credit = 0.0
        self.condition = _UP
        self.cause: str | None = None

    def record_good(self, seconds: float, now: float) -> None:
        """Learn from a good attempt; while it is up and quick, there is nothing to judge."""
        if self.condition is _UP and seconds < self._slow_s:
            self._window.add_good(now)
        else:
            self.record(is_good=True, seconds=seconds, now=now)

    def record(self, *, is_good: bool, seconds: float, now: float, cause: str | None = None) -> None:
        """Learn from an attempt, or from a probe. While it is down, each is a probe."""
        if not is_good:
            self.cause = cause
        if self.condition is _DOWN:
            self._in_a_row = self._in_a_row + 1 if is_good else 0
            if self._in_a_row >= self._options.rise:
                self._begin_ramp(now)
            return
        mark = 0 if is_good else FAILED
        if seconds >= self._slow_s:
            mark |= SLOW
            self.cause = cause or SLOW_ANSWERS
        self._window.add(mark, now)
        if mark or self.condition is not _UP:
            self._judge(now)

    def share(self, now: float) -> float:
        """Return the part of its traffic that it should get."""
        if self.condition is _DOWN:
            return 0.0
        if self._ramp_began is None:
            return 1.0
        options = self._options
        passed_s = now - self._ramp_began
        if passed_s < options.ramp_s:
            return options.ramp[int(passed_s / options.ramp_s * len(options.ramp))]
        self._judge(now)
        return 1.0

    def admits(self, now: float, random: Random | None = None) -> bool:
        """Whether this attempt is of the share: by chance, or else evenly, the first one among them."""
        if self.condition is _UP:
            return True
        share = self.share(now)
        if share in {0.0, 1.0}:
            return share == 1.0
        if random:
            return random() < share
        self._credit += share
        if self._credit < 1 - _ROUNDING:
            return False
        self._credit -= 1
        return True

    def next_probe_at(self, now: float, random: Random) -> float | None:
        """Return when to probe next; None for one that is up, whose traffic tells enough."""
        if self.condition is _UP:
            return None
        return now + self._options.probe_s * (1 + self._options.probe_jitter * (2 * random() - 1))

    def _begin_ramp(self, now: float) -> None:
        self._window.clear()
        self._ramp_began = now
        self._credit = 1.0 - self._options.ramp[0]
        self._turn(_DEGRADED)

    def _judge(self, now: float) -> None:
        window, options = self._window, self._options
        window.advance(now)
        is_ramp_over = self._ramp_began is not None and now - self._ramp_began >= options.ramp_s
        if is_ramp_over:
            self._ramp_began = None
        total = window.total
        if total >= options.min_attempts and total - window.failed < options.down_share * total:
            self._in_a_row = 0
            self._ramp_began = None
            self._turn(_DOWN)
        elif total >= options.min_attempts and (
            total - window.failed < options.degraded_share * total or window.slow >= options.slow_share * total
        ):
            self._turn(_DEGRADED)
        elif self._ramp_began is None and (is_ramp_over or total >= options.min_attempts):
            self._turn(_UP)

    def _turn(self, condition: Condition) -> None:
        before, self.condition = self.condition, condition
        if before is condition:
            return
        cause = self.cause
        if condition is _UP:
            self.cause = None
        if self._on_turn:
            self._on_turn(before, condition, cause)
