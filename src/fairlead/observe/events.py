"""What happens, as events. The class name and its fields are the documentation: sinks and users rely on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from fairlead.model.attempt import Attempt
from fairlead.model.call import CacheUse
from fairlead.model.outcome import Outcome
from fairlead.spec.drift import DriftKind


class CallFinished(msgspec.Struct, frozen=True, kw_only=True):
    """A call ended: with an answer (`error` is None), or with an error's code. Times are in seconds.

    `batch_id` is the call that asked for several at once, where this one was joined into it. `drilled` names the
    connections that were treated as failed, because the caller rehearsed it.
    """

    call_id: str
    correlation_id: str
    operation: str
    served_by: str | None
    cache: CacheUse
    error: str | None
    attempts: int
    total_s: float
    overhead_s: float
    batch_id: str | None = None
    drilled: tuple[str, ...] = ()


class AttemptFinished(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange ended, or was refused by us."""

    call_id: str
    operation: str
    attempt: Attempt


class BreakerChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A breaker opened, let probes through, or closed. `cause` is the code of the error that opened it."""

    connection: str
    before: str
    after: str
    cause: str | None


class HealthChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A connection turned `up`, `degraded` or `down`. `cause` is the code of the last error, or `slow`."""

    connection: str
    before: str
    after: str
    cause: str | None


class ConnectionPaused(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor asked to be left alone for some seconds: its quota is used up, or it throttles."""

    connection: str
    seconds: float
    cause: str


class DriftFound(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor's answer departs from its declared mapping: `renamed`, `missing`, `added` or `retyped`.

    `version` is the mapping's, or else the API's. `path` says where, with `[]` for every element of a list;
    `expected` and `found` are types, never values, and of a renamed field `found` is the place where it stands now.
    Told once for each connection, mapping, kind and path, and once more when it is no longer tolerated.
    """

    call_id: str
    connection: str
    operation: str
    mapping: str
    version: str
    kind: DriftKind
    path: str
    expected: str
    found: str
    is_tolerated: bool


class RetryDecided(msgspec.Struct, frozen=True, kw_only=True):
    """A request may be sent again to the same vendor after `wait_s` seconds, if the retry budget pays for it.

    `cause` is the code of the error. Where `is_paid` is false, the error is final: the vendor gets no more repeats than
    a share of what is asked.
    """

    call_id: str
    connection: str
    is_paid: bool
    wait_s: float
    cause: str


class Hedged(msgspec.Struct, frozen=True, kw_only=True):
    """A read took longer than almost all do, and was asked a second time after `after_s` seconds.

    `has_won` tells whether the second one was answered first.
    """

    call_id: str
    connection: str
    after_s: float
    has_won: bool


class ChaosApplied(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of chaos hit an attempt: `fault` names what it does, `delay_s` how much later the request left."""

    call_id: str
    connection: str
    fault: str
    delay_s: float


class ConfigReloaded(msgspec.Struct, frozen=True, kw_only=True):
    """New settings are in force. The fields name connections; what is in none of them goes on as before.

    `needs_restart` are settings that have changed and do not count before the next start.
    """

    source: str
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    needs_restart: tuple[str, ...] = ()


class ConfigRejected(msgspec.Struct, frozen=True, kw_only=True):
    """New settings were refused, and changed nothing. `error` is the code, `message` names the key and the rule."""

    source: str
    error: str
    message: str


class StorageLost(msgspec.Struct, frozen=True, kw_only=True):
    """The store of what processes share is out of reach: `reason` says why, in words without a secret.

    `policy` is what holds meanwhile, as `state.on_loss` says; `processes` is how many the limits are divided by.
    """

    store: str
    reason: str
    policy: str
    processes: int


class StorageBack(msgspec.Struct, frozen=True, kw_only=True):
    """The store answers again, and what is shared is shared again."""

    store: str
    lost_s: float


class CallSettled(msgspec.Struct, frozen=True, kw_only=True):
    """It was found out what became of a call whose outcome was unknown: `done`, `not_done`, or `unknown` for good.

    `evidence` says by what, `after_s` how long after the request had left. `unknown` is for a person to look at.
    """

    call_id: str
    operation: str
    connection: str
    outcome: Outcome
    evidence: str
    after_s: float


class CallUnrecorded(msgspec.Struct, frozen=True, kw_only=True):
    """A call ended, and the ledger could not be told: it will be settled as if its process had died."""

    call_id: str
    operation: str
    reason: str


class JobEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A turn of a job ended: `done`, `waiting` for the next one, `dead` or `cancelled`.

    `kind` is what does it, `source` whose it is, and `name` what. `failures` counts the turns that failed so far, and
    `error` is the last one's. It was due `waited_s` seconds before it was begun, and took `seconds`.
    """

    job_id: int
    kind: str
    source: str
    name: str
    state: str
    failures: int
    error: str | None
    seconds: float
    waited_s: float
    #: Something newer of its subject was done before.
    is_late: bool = False


class WorkStalled(msgspec.Struct, frozen=True, kw_only=True):
    """What is due cannot be begun or ended, as the store does not answer. Nothing is lost by it; told once."""

    store: str
    reason: str


class WebhookReceived(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery was verified, and is kept: `events` of it were new, and `repeated` ones were there already."""

    connection: str
    events: int
    repeated: int
    seconds: float


class WebhookRejected(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery was turned away. `reason` is one of those in the documentation; nothing of it was kept."""

    connection: str
    reason: str


Event: TypeAlias = (
    CallFinished
    | AttemptFinished
    | BreakerChanged
    | HealthChanged
    | ConnectionPaused
    | DriftFound
    | ConfigReloaded
    | ConfigRejected
    | RetryDecided
    | Hedged
    | ChaosApplied
    | StorageLost
    | StorageBack
    | CallSettled
    | CallUnrecorded
    | JobEnded
    | WorkStalled
    | WebhookReceived
    | WebhookRejected
)
Sink: TypeAlias = Callable[[Event], None]


class EventStream:
    """Hands every event to every sink, at once. A sink must be quick and must not raise."""

    __slots__ = ("sinks",)

    def __init__(self, sinks: tuple[Sink, ...] = ()) -> None:
        self.sinks = sinks

    def emit(self, event: Event) -> None:
        """Tell the sinks."""
        for sink in self.sinks:
            sink(event)
