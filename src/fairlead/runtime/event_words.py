"""Events by words: how the command line and the gateway, which have only text, ask for them and show them."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from fairlead.errors import InvalidArgumentError
from fairlead.model.suggest import suggest
from fairlead.runtime.event_desk import EventRecord

_TIME = "12h for so long ago (s, m, h, d, w), or a time as 2026-11-25T10:00:00Z"
#: Which events: what a list and a replay can be narrowed down by.
FILTERS: Mapping[str, str] = {
    "connection": "whose they are",
    "type": "the vendor's name for them, as invoice.paid",
    "state": "waiting, running, done, dead or cancelled",
    "subject": "the vendor's id of what they are about",
    "since": f"received at or after: {_TIME}",
    "until": f"received before: {_TIME}",
}
#: Which part of a list.
PLACES: Mapping[str, str] = {"before": "older than the event with this id", "limit": "how many, 50 unless set"}
#: A list is at most so long.
MOST_EVENTS = 1000
_MOST_HOURS = 24 * 366
_MOST_ID = 2**63 - 1
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])")


def parse_filter(words: Mapping[str, str], *, now: float) -> dict[str, Any]:
    """Return what `list` and `replay` are called with; raise `InvalidArgumentError` naming the word that is wrong."""
    found: dict[str, Any] = {}
    for name, text in words.items():
        if name not in FILTERS:
            raise InvalidArgumentError(f"{name!r} is no word for events.", hint=suggest(name, FILTERS))
        found[name] = parse_time(text, name, now=now) if name in {"since", "until"} else text
    return found


def parse_page(words: Mapping[str, str], *, now: float) -> dict[str, Any]:
    """Return what `list` is called with: a filter, and which part of what fits."""
    found = parse_filter({name: text for name, text in words.items() if name not in PLACES}, now=now)
    if "before" in words:
        found["before"] = parse_id(words["before"], "before")
    found["limit"] = _whole(words["limit"], "limit", MOST_EVENTS) if "limit" in words else 50
    return found


def parse_time(text: str, name: str, *, now: float) -> float:
    """Return seconds since 1970; a time without a zone is in UTC."""
    age = _AGE.fullmatch(text)
    if age:
        return now - float(age[1]) * _UNITS_S[age[2]]
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidArgumentError(f"{name}: {text!r} is no time.", hint=f"Write {_TIME}.") from None


def parse_id(text: str, name: str = "id") -> int:
    """Return the id of an event."""
    return _whole(text, name, _MOST_ID)


def parse_hours(text: str) -> int:
    """Return how many hours to look back."""
    return _whole(text, "hours", _MOST_HOURS)


def event_document(record: EventRecord) -> dict[str, Any]:
    """Return an event as JSON has it; what came is text where it can be, and else base64."""
    found: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(record, headers=None, body=None))
    del found["headers"], found["body"]
    if record.body is None:
        del found["neutral"]
        return found
    found["headers"] = record.headers
    try:
        return found | {"body": record.body.decode()}
    except UnicodeDecodeError:
        return found | {"body_base64": b64encode(record.body).decode()}


def _whole(text: str, name: str, most: int) -> int:
    if text.isdecimal() and text.isascii() and len(text) < 20 and 1 <= int(text) <= most:
        return int(text)
    raise InvalidArgumentError(f"{name}: {text!r} is no whole number from 1 to {most}.")
