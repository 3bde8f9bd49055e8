"""Metrics of what came in, of what was done later, and of the stores that both need."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from fairlead.observe.events import Event, JobEnded, StorageBack, StorageLost, WebhookReceived, WebhookRejected


class WorkMetrics:
    """Counts jobs, webhooks and losses."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._jobs = Counter(
            "fairlead_jobs", "Turns of jobs, by how they ended.", ("kind", "source", "state"), registry=registry
        )
        self._waited = Histogram(
            "fairlead_job_wait_seconds", "How long jobs were due before they were begun.", ("kind",), registry=registry
        )
        self._webhooks = Counter(
            "fairlead_webhook_events", "Events of verified deliveries: `new` ones, and such as were there already.",
            ("connection", "result"), registry=registry,
        )  # fmt: skip
        self._rejected = Counter(
            "fairlead_webhook_rejects", "Deliveries that were turned away.", ("connection", "reason"), registry=registry
        )
        self._stores = Gauge(
            "fairlead_storage_up", "1 while the store answers, 0 while it is lost.", ("store",), registry=registry
        )
        # As in `Metrics`: what happens all the time is not looked up again.
        self._kept_jobs: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._kept_webhooks: dict[str, tuple[Counter, Counter]] = {}

    def __call__(self, event: Event) -> None:
        """Count one event."""
        match event:
            case JobEnded():
                place = (event.kind, event.source, event.state)
                if place not in self._kept_jobs:
                    self._kept_jobs[place] = (self._jobs.labels(*place), self._waited.labels(event.kind))
                turns, waited = self._kept_jobs[place]
                turns.inc()
                waited.observe(event.waited_s)
            case WebhookReceived():
                if event.connection not in self._kept_webhooks:
                    found = [self._webhooks.labels(event.connection, result) for result in ("new", "repeated")]
                    self._kept_webhooks[event.connection] = (found[0], found[1])
                new, repeated = self._kept_webhooks[event.connection]
                new.inc(event.events)
                repeated.inc(event.repeated)
            case WebhookRejected():
                self._rejected.labels(event.connection, event.reason).inc()
            case StorageLost():
                self._stores.labels(event.store).set(0)
            case StorageBack():
                self._stores.labels(event.store).set(1)
