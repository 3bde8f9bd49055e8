"""What answers say of the vendor's limits: a dozen ways to write the same four numbers, read into one shape.

Sources: draft-ietf-httpapi-ratelimit-headers-11 (2026-05-23) for `RateLimit` and `RateLimit-Policy`, its revision 7
for `limit=, remaining=, reset=`, its revisions 0 to 6 for `RateLimit-Limit` and its siblings; for the rest the
documentation of the vendors that `tests/unit/spec/test_limits.py` names. What is malformed is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import msgspec

from fairlead.model.headers import Headers
from fairlead.spec.fields import Bare, parse_items
from fairlead.spec.provider import LimitHeaders, Reset
from fairlead.spec.retry_after import parse_date, time_of_answer

_FAMILIES = tuple(
    LimitHeaders(
        limit=f"{prefix}-limit", remaining=f"{prefix}-remaining", used=f"{prefix}-used", reset=f"{prefix}-reset"
    )
    for prefix in ("x-ratelimit", "x-rate-limit", "ratelimit")
)
_NUMBER = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?")
_RATIO = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*/\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)")
#: As Go writes durations: `6m0s`, `1h2m3.5s`, `20ms`.
_DURATION = re.compile(
    r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m(?!s))?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)s)?(?:([0-9]{1,9})ms)?"
)
_DICTIONARY = re.compile(r"\b(limit|remaining|reset)\s*=\s*([0-9]{1,15})\b")
# Numbers from these on are dates: 2001 in seconds, 1973 in milliseconds.
_EPOCH = 1e9
_EPOCH_MS = 1e11
# No vendor's limit lasts longer than a year; a reset beyond is a mistake.
_LONGEST_S = 366 * 86_400.0
# The draft's quota units that count requests; others count what we cannot.
_REQUESTS = {"request", "requests"}


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one answer says of one limit; None where it does not say. Times are in seconds from the answer on."""

    name: str = ""
    limit: float | None = None
    remaining: float | None = None
    reset_s: float | None = None
    #: The length of the window, where a policy tells it.
    window_s: float | None = None
    #: It is of the plan's quota, in the vendor's points.
    is_quota: bool = False


def parse_limits(
    headers: Headers, declared: tuple[LimitHeaders, ...] = (), *, now: float, quota_reset_s: float | None = None
) -> tuple[Reading, ...]:
    """Return what an answer says of the vendor's limits, one reading for each.

    A reset that is a date is measured from the answer's own Date header, so that a wrong clock on either side does
    no harm; `now` (seconds since 1970) serves where there is none. Of `RateLimit` lists, which name their limits,
    all readings are returned; else of what the provider declares; else of the first family that is there.
    `quota_reset_s` completes readings of the quota that name no reset.
    """
    if not declared and not any("limit" in name for name in headers):
        return ()
    readings = [
        reading
        for each in declared
        if (reading := _reading(headers, each, now, quota_reset_s if each.is_quota else None))
    ]
    readings += _draft(headers)
    if not readings:
        found = next((reading for each in _FAMILIES if (reading := _reading(headers, each, now, None))), None)
        return (found,) if found else ()
    return tuple(readings)


def parse_reset(text: str, form: Reset, *, sent: float) -> float | None:
    """Return the seconds to a reset, given what the vendor's clock showed; None where it means nothing."""
    seconds = _reset(text.strip(), form, sent)
    if seconds is None:  # sent twice, by the vendor and by what stands before it: the later one holds
        each = [_reset(part.strip(), form, sent) for part in text.split(",")]
        seconds = max((part for part in each if part is not None), default=None)
    return None if seconds is None or seconds > _LONGEST_S else max(0.0, seconds)


def _reset(text: str, form: Reset, sent: float) -> float | None:  # one form a line
    if _NUMBER.fullmatch(text):
        number = float(text)
        if form is Reset.ANY:
            form = Reset.EPOCH_MS if number >= _EPOCH_MS else Reset.EPOCH if number >= _EPOCH else Reset.SECONDS
        match form:
            case Reset.EPOCH:
                return number - sent
            case Reset.EPOCH_MS:
                return number / 1000 - sent
            case Reset.MILLISECONDS:
                return number / 1000
        return number
    if form is not Reset.ANY or not text:
        return None
    duration = _DURATION.fullmatch(text)
    if duration:
        hours, minutes, seconds, milliseconds = (float(part or 0) for part in duration.groups())
        return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
    until = _iso_date(text) if "T" in text[8:12] else parse_date(text)
    return None if until is None else until - sent


def _iso_date(text: str) -> float | None:
    """Return the seconds since 1970 of a date as ISO 8601 writes it; without a zone it is no instant."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _reading(headers: Headers, each: LimitHeaders, now: float, quota_reset_s: float | None) -> Reading | None:
    limit = _least(headers, each.limit)
    remaining = _least(headers, each.remaining)
    used = _least(headers, each.used)
    ratio = _RATIO.fullmatch(headers.get(each.used_of_limit, "").strip()) if each.used_of_limit else None
    if ratio:
        used, limit = float(ratio[1]), float(ratio[2])
    if remaining is None and used is not None and limit is not None:
        remaining = max(0.0, limit - used)
    if limit is None and used is not None and remaining is not None:
        limit = used + remaining
    text = headers.get(each.reset, "") if each.reset else ""
    reset_s = parse_reset(text, each.reset_is, sent=time_of_answer(headers, now=now)) if text else quota_reset_s
    if limit is None and remaining is None and not text:
        return None
    return Reading(name=each.name, limit=limit, remaining=remaining, reset_s=reset_s, is_quota=each.is_quota)


def _least(headers: Headers, name: str | None) -> float | None:
    """Return a number; of several, as gateways add their own and early drafts their policies, the least."""
    text = headers.get(name, "") if name else ""
    parts = [part.partition(";")[0].strip() for part in text.split(",")]
    return min((float(part) for part in parts if _NUMBER.fullmatch(part)), default=None)


def _draft(headers: Headers) -> Iterator[Reading]:
    """Yield the readings of a `RateLimit` field, with what `RateLimit-Policy` says of the same limit."""
    text = headers.get("ratelimit", "")
    if not text:
        return
    policies = dict(parse_items(headers.get("ratelimit-policy", "")) or ())
    for name, parameters in parse_items(text) or ():
        policy = policies.get(name, {})
        remaining = _count(parameters.get("r"))
        if remaining is not None and policy.get("qu", "requests") in _REQUESTS:
            yield Reading(
                name=str(name),
                limit=_count(policy.get("q")),
                remaining=remaining,
                reset_s=_count(parameters.get("t")),
                window_s=_count(policy.get("w")) or None,
            )
    found = dict(_DICTIONARY.findall(text))
    if "remaining" in found:  # revision 7 of the draft
        limit, reset = found.get("limit"), found.get("reset")
        yield Reading(
            limit=float(limit) if limit else None,
            remaining=float(found["remaining"]),
            reset_s=float(reset) if reset and float(reset) <= _LONGEST_S else None,
        )


def _count(value: Bare | None) -> float | None:
    """Return a number that the draft calls a non-negative integer."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        return None
    return float(value)
