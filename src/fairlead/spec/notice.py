"""Reading what a vendor sent of its own accord: only what is asked for, and never more than it can bear."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from fairlead.errors import WebhookError, WebhookReason

T = TypeVar("T")

#: More fields than any vendor's form has; to read more of them takes time that a stranger should not get.
_MOST_FIELDS = 1000


def parse_json(body: bytes | msgspec.Raw, shape: type[T] | Any) -> T:
    """Read JSON as `shape`, whose unknown fields are skipped; raise `WebhookError` for what cannot be read.

    What is skipped is still JSON in UTF-8, and nested no deeper than the reader bears.
    """
    try:
        text = bytes(body).decode()
        found: T = msgspec.json.decode(text, type=shape)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise _malformed() from None  # the cause quotes a value
    return found


def parse_form(body: bytes) -> dict[str, str]:
    """Read a form (URL Living Standard §5.1); of a name sent twice, the first counts. Raise `WebhookError`."""
    return dict(reversed(form_pairs(body)))


def form_pairs(body: bytes) -> list[tuple[str, str]]:
    """Read every pair of a form, in its order; raise `WebhookError` for one that is too large, or no text."""
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:  # a UnicodeDecodeError is one
        raise _malformed() from None


def instant(text: str | None) -> float | None:
    """Read a time as RFC 3339 writes it, in seconds since 1970; None for what is none."""
    if not text:
        return None
    try:
        read = datetime.fromisoformat(text)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def position(seconds: float | None) -> int | None:
    """Return a time in whole microseconds, as `Notice.position` has it."""
    return None if seconds is None else round(seconds * 1_000_000)


def _malformed() -> WebhookError:
    return WebhookError.of(WebhookReason.MALFORMED)
