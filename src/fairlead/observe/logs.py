"""Logs, from the event stream: one JSON line an event, joined by call and correlation id."""

from __future__ import annotations

import sys
from typing import TextIO

import msgspec
import structlog

from fairlead.observe.events import (
    AttemptFinished,
    CallFinished,
    ConfigReloaded,
    Event,
    JobEnded,
    WebhookReceived,
)

_USUAL = (CallFinished, AttemptFinished, ConfigReloaded, JobEnded, WebhookReceived)


class Logs:
    """A sink that writes one JSON line for each event. Events hold no secret, so lines hold none."""

    def __init__(self, stream: TextIO | None = None) -> None:
        wrapped = structlog.wrap_logger(
            structlog.PrintLogger(stream or sys.stderr),
            wrapper_class=structlog.BoundLogger,  # whatever the application has configured for its own
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(serializer=lambda line, **_: msgspec.json.encode(line).decode()),
            ],
        )
        self._log = wrapped.bind()  # what wraps it makes a logger anew for every line

    def __call__(self, event: Event) -> None:
        """Write one event: information where it went well, else a warning."""
        error = event.error if isinstance(event, CallFinished | JobEnded) else None
        if isinstance(event, AttemptFinished):
            error = event.attempt.error
        is_usual = isinstance(event, _USUAL)
        write = self._log.info if is_usual and not error else self._log.warning
        write(type(event).__name__, **msgspec.to_builtins(event))
