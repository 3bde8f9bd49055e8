"""Logs, from the event stream: one JSON line an event, joined by call and correlation id."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from fairlead.observe.events import (
    AttemptFinished,
    CallFinished,
    ConfigReloaded,
    Event,
    JobEnded,
    WebhookReceived,
)


class Logs:
    """A sink that writes one JSON line for each event. Events hold no secret, so lines hold none.

    A line is the event's own JSON with its name, the level and the time behind it, and leaves in one write.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._encode = msgspec.json.Encoder().encode
        self._must_flush = not getattr(self._stream, "line_buffering", False)

    def __call__(self, event: Event) -> None:
        """Write one event: information where it went well, else a warning."""
        kind = type(event)
        if kind in {CallFinished, JobEnded}:
            is_usual = event.error is None  # type: ignore[union-attr]  # its class has been looked at
        elif kind is AttemptFinished:
            is_usual = event.attempt.error is None  # type: ignore[union-attr]  # likewise
        else:
            is_usual = kind in {ConfigReloaded, WebhookReceived}
        level = "info" if is_usual else "warning"
        told = self._encode(event)[:-1].decode()  # every event has fields
        at = self._encode(datetime.now(UTC)).decode()
        self._stream.write(f'{told},"event":"{kind.__name__}","level":"{level}","timestamp":{at}}}\n')
        if self._must_flush:
            self._stream.flush()
