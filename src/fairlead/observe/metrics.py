"""Metrics for Prometheus, from the event stream."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from fairlead.model.call import CacheUse
from fairlead.model.outcome import Outcome
from fairlead.observe.events import (
    AttemptFinished,
    BreakerChanged,
    CallFinished,
    ChaosApplied,
    ConfigRejected,
    ConfigReloaded,
    ConnectionPaused,
    DriftFound,
    Event,
    HealthChanged,
    Hedged,
    RetryDecided,
)
from fairlead.observe.work_metrics import WorkMetrics

_CONDITIONS = {"up": 0, "degraded": 1, "down": 2}
_BREAKER_STATES = {"closed": 0, "half_open": 1, "open": 2, "forced_open": 3, "forced_closed": 4}


class Metrics:
    """A sink that counts, and the text that Prometheus reads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = Counter(
            "fairlead_calls", "Calls of the application, by how they ended.",
            ("operation", "served_by", "cache", "error"), registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "fairlead_call_seconds", "How long calls took.", ("operation",), registry=self.registry
        )
        self._overhead = Histogram(
            "fairlead_overhead_seconds", "What Fairlead itself took.", ("operation",), registry=self.registry,
            buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0),
        )  # fmt: skip
        self._attempts = Counter(
            "fairlead_attempts", "Exchanges with vendors, and our refusals.", ("connection", "outcome", "error"),
            registry=self.registry,
        )  # fmt: skip
        self._breakers = Gauge(
            "fairlead_breaker_state",
            "0 closed, 1 half open, 2 open, 3 held open, 4 held closed.",
            ("connection",),
            registry=self.registry,
        )
        self._health = Gauge(
            "fairlead_connection_health", "0 up, 1 degraded, 2 down.", ("connection",), registry=self.registry
        )
        self._reloads = Counter(
            "fairlead_reloads", "New settings, by whether they were taken.", ("result",), registry=self.registry
        )
        self._pauses = Counter(
            "fairlead_pauses", "Times a vendor asked to be left alone.", ("connection", "cause"),
            registry=self.registry,
        )  # fmt: skip
        self._drift = Counter(
            "fairlead_drift", "Departures of vendors' answers from what was declared; each place counts once.",
            ("connection", "mapping", "kind", "tolerated"), registry=self.registry,
        )  # fmt: skip
        self._retries = Counter(
            "fairlead_retries", "Repeats that the retry budget paid for, or did not.",
            ("connection", "cause", "is_paid"), registry=self.registry,
        )  # fmt: skip
        self._hedges = Counter(
            "fairlead_hedges", "Reads asked a second time, by who was first.", ("connection", "has_won"),
            registry=self.registry,
        )  # fmt: skip
        self._chaos = Counter(
            "fairlead_chaos", "Attempts that were made to go wrong.", ("connection", "fault"), registry=self.registry
        )

        self._work = WorkMetrics(self.registry)
        # Finding a metric by its labels costs more than counting: those of what happens all the time are kept.
        self._kept_calls: dict[tuple[str, str | None, CacheUse, str | None], tuple[Counter, Histogram, Histogram]] = {}
        self._kept_attempts: dict[tuple[str, Outcome, str | None], Counter] = {}

    def __call__(self, event: Event) -> None:
        """Count one event."""
        match event:
            case CallFinished():
                labels = (event.operation, event.served_by, event.cache, event.error)
                calls, seconds, overhead = self._kept_calls.get(labels) or self._keep_calls(*labels)
                calls.inc()
                seconds.observe(event.total_s)
                overhead.observe(event.overhead_s)
            case AttemptFinished(attempt=attempt):
                about = (attempt.connection, attempt.outcome, attempt.error)
                (self._kept_attempts.get(about) or self._keep_attempts(*about)).inc()
            case _:
                self._count_change(event)

    def _keep_calls(
        self, operation: str, served_by: str | None, cache: CacheUse, error: str | None
    ) -> tuple[Counter, Histogram, Histogram]:
        found = self._kept_calls[operation, served_by, cache, error] = (
            self._calls.labels(operation, served_by or "", cache.value, error or ""),
            self._seconds.labels(operation),
            self._overhead.labels(operation),
        )
        return found

    def _keep_attempts(self, connection: str, outcome: Outcome, error: str | None) -> Counter:
        found = self._attempts.labels(connection, outcome.value, error or "")
        self._kept_attempts[connection, outcome, error] = found
        return found

    def _count_change(self, event: Event) -> None:
        """Count how something has changed."""
        match event:
            case BreakerChanged():
                self._breakers.labels(event.connection).set(_BREAKER_STATES[event.after])
            case HealthChanged():
                self._health.labels(event.connection).set(_CONDITIONS[event.after])
            case ConnectionPaused():
                self._pauses.labels(event.connection, event.cause).inc()
            case DriftFound():
                tolerated = str(event.is_tolerated).lower()
                self._drift.labels(event.connection, event.mapping, event.kind.value, tolerated).inc()
            case _:
                self._count_decision(event)

    def _count_decision(self, event: Event) -> None:
        """Count what was decided on the way, or about all of it."""
        match event:
            case ConfigReloaded():
                self._reloads.labels("reloaded").inc()
            case ConfigRejected():
                self._reloads.labels("rejected").inc()
            case RetryDecided():
                self._retries.labels(event.connection, event.cause, str(event.is_paid).lower()).inc()
            case Hedged():
                self._hedges.labels(event.connection, str(event.has_won).lower()).inc()
            case ChaosApplied():
                self._chaos.labels(event.connection, event.fault).inc()
            case _:
                self._work(event)

    def render(self) -> bytes:
        """Return the text of `/metrics`."""
        return generate_latest(self.registry)
