"""What a connection is made of: its strategies, its numbers, and the settings that both come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.config.settings import Connection as ConnectionSettings
from fairlead.model.secret import Secret
from fairlead.resilience.breaker import Breaker, Ticket
from fairlead.resilience.budget import Budget
from fairlead.resilience.chaos import Chaos
from fairlead.resilience.concurrency import Concurrency
from fairlead.resilience.health import Health
from fairlead.resilience.hedge import Hedge
from fairlead.resilience.learned import Learned
from fairlead.resilience.pause import Leave
from fairlead.resilience.quota import Quota, Reservation
from fairlead.resilience.rate import RateLimit
from fairlead.resilience.retry import Retry
from fairlead.spec.batch import BatchRule
from fairlead.spec.mapping import ResponseMapping
from fairlead.transport.http import HttpOptions


class Lease(msgspec.Struct, frozen=True):
    """Leave for one attempt, to be settled once. `reserved` is what it may cost of the quota."""

    ticket: Ticket
    leave: Leave
    reserved: Reservation | None = None


class Strategies(msgspec.Struct, frozen=True, kw_only=True):
    """What stands between a call and the vendor; what is None is not asked."""

    health: Health
    retry: Retry
    budget: Budget
    breaker: Breaker
    concurrency: Concurrency
    rate: RateLimit | None = None
    #: What answers say of the vendor's limits: one more window, once they say something.
    learned: Learned | None = None
    quota: Quota | None = None
    hedge: Hedge | None = None
    chaos: Chaos | None = None


class Lining(msgspec.Struct, frozen=True, kw_only=True):
    """How calls stand in a connection's line: by which key, and whether each counts as one or as what it costs."""

    per: str = "tenant"
    counts_points: bool = False


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
    mappings: Mapping[str, ResponseMapping[Any]] = {}
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
    chaos: Chaos | None = None
    #: Further values of the credentials that deliveries are verified with.
    webhook_secrets: Mapping[str, tuple[Secret, ...]] = {}
