"""The settings of the strategies that stand between a call and a vendor."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from fairlead.config.group import Count, Group, Seconds, Share


class Budget(Group, frozen=True):
    """How much of what is asked may be asked again, so that no vendor is buried in repeats when it is ill."""

    #: How many repeats a call earns.
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.2
    #: What is earned in a second at least, where there are few calls.
    floor_per_s: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    #: The most that is kept.
    burst: Annotated[float, msgspec.Meta(ge=0)] = 10.0


class Retry(Group, frozen=True):
    """How often one connection is tried, and the bounds of the backoff between tries."""

    #: Tries at one connection, the first included.
    max_attempts: Count = 3
    #: The longest wait before the second try; it doubles with each further one.
    base_s: Seconds = 0.1
    #: The longest wait of all.
    cap_s: Seconds = 5.0
    #: Shared by retries and hedges.
    budget: Budget = Budget()


class Breaker(Group, frozen=True):
    """When a connection that fails, or is too slow, is left alone: at a share of the last `window` attempts."""

    #: How many of the last attempts count.
    window: Count = 20
    #: The attempts of so many last seconds count instead, however many they are.
    window_s: Seconds | None = None
    #: With fewer than these nothing is decided.
    min_attempts: Count = 5
    #: The share of failures at which it opens.
    failure_share: Share = 0.5
    #: An attempt that takes as long is slow; none is unless set.
    slow_s: Seconds | None = None
    #: The share of slow attempts at which it opens.
    slow_share: Share = 0.5
    #: How long it stays open; twice as long each time the vendor still fails.
    open_s: Seconds = 5.0
    #: The longest that it stays open.
    max_open_s: Seconds = 60.0
    #: How many attempts must go well before it closes again.
    probes: Count = 1


class Health(Group, frozen=True):
    """When a connection is degraded or down, and how it gets its traffic back: see `docs/explanation/health.md`."""

    #: The attempts of so many last seconds count.
    window_s: Seconds = 60.0
    #: With fewer than these nothing is decided.
    min_attempts: Count = 10
    #: Below this share of good attempts it is degraded.
    degraded_share: Share = 0.95
    #: Below this one it is down.
    down_share: Share = 0.5
    #: An attempt that takes as long is slow; none is unless set.
    slow_s: Seconds | None = None
    #: At this share of slow attempts it is degraded.
    slow_share: Share = 0.5
    #: Send probes in the background while it is not well; unless set, where the provider's probe costs nothing.
    probes: bool | None = None
    #: Between two probes of one that is not up; where none are sent, between two calls that are let go to find out.
    probe_s: Seconds = 15.0
    #: How many probes must be good, one after the other, before it gets traffic.
    rise: Count = 2
    #: How long it takes to get all of it.
    ramp_s: Annotated[float, msgspec.Meta(ge=0)] = 60.0


class Adaptive(Group, frozen=True):
    """Let the limit follow the vendor: it grows while answers come as quickly as without a queue."""

    #: It never falls below.
    min_limit: Count = 1
    #: It never rises above.
    max_limit: Count = 200


class Concurrency(Group, frozen=True):
    """How many requests may be under way at one connection, and how many may queue for it."""

    #: Requests under way at once; where it is adaptive, at the start.
    limit: Count = 50
    #: Requests that may wait for one of these places; as many of those that run in the background.
    queue: Annotated[int, msgspec.Meta(ge=0)] = 100
    #: The longest that one waits; the deadline alone unless set.
    queue_s: Seconds | None = None
    #: Off unless set.
    adaptive: Adaptive | None = None


class Rate(Group, frozen=True):
    """At most `requests` in every `per_s` seconds, in place of the plan's own limit."""

    #: How many requests.
    requests: Count
    #: In how many seconds.
    per_s: Seconds = 1.0
    #: The vendor fills a bucket evenly, and this is what it holds; unless set, any window of `per_s` counts.
    burst: Count | None = None
    #: The share that background calls leave to the others.
    reserve: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    #: Each tenant, or each operation, has so much for itself, beside what all of them share.
    per: Literal["tenant", "operation"] | None = None
    #: A request counts as one, or as the points that its provider says it costs.
    counts: Literal["requests", "points"] = "requests"


class Quota(Group, frozen=True):
    """How many points the vendor allows, a day or a month or in any `rolling_s` seconds."""

    #: The points; a request costs one unless its provider says otherwise.
    points: Annotated[float, msgspec.Meta(gt=0)]
    #: When they start anew.
    reset: Literal["midnight_utc", "month_utc"] | None = None
    #: In place of a reset.
    rolling_s: Seconds | None = None
    #: The share that background calls leave to the others.
    reserve: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0


class Hedge(Group, frozen=True):
    """Ask a second time where a read takes longer than almost all do, and take what comes first."""

    #: The share of answers that are waited for first.
    share: Annotated[float, msgspec.Meta(ge=0.5, lt=1)] = 0.95
    #: Never sooner than this.
    min_s: Annotated[float, msgspec.Meta(ge=0)] = 0.02


class ChaosRule(Group, frozen=True):
    """What goes wrong, for whom, and when. Exactly one of `delay_s`, `error`, `lose_answer` and `corrupt` is set."""

    #: The connection; all of them unless set.
    connection: str | None = None
    #: The operation, as `recipes.search`; all of them unless set.
    operation: str | None = None
    #: The share of attempts it hits.
    share: Share = 1.0
    #: The request leaves so much later.
    delay_s: Seconds | None = None
    #: The request does not leave, and this error comes of it.
    error: str | None = None
    #: The vendor acts, and its answer is dropped.
    lose_answer: bool = False
    #: The vendor acts, and the body of its answer is damaged.
    corrupt: Literal["truncated", "html", "empty"] | None = None
    #: From when on, in seconds since 1970.
    begins_at: float | None = None
    #: Until when, in seconds since 1970.
    ends_at: float | None = None


class Chaos(Group, frozen=True):
    """Trouble made on purpose, to see that a failover works. Whatever it touches says so."""

    #: Off unless it is switched on.
    is_on: bool = False
    #: Delays add up; of all else the first rule that hits decides.
    rules: list[ChaosRule] = []
