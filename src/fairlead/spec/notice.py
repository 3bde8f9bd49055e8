"""Reading what a vendor sent of its own accord: only what is asked for, and never more than it can bear."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from fairlead.errors import InvalidArgumentError, WebhookError, WebhookReason
from fairlead.model.money import Money
from fairlead.spec.multipart import FormPart, read_form

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


def parse_parts(body: bytes) -> list[FormPart]:
    """Read every field of a form, with files or without; raise `WebhookError` for what cannot be read."""
    if not body.startswith(b"--"):
        return [FormPart(name=name, content=text.encode()) for name, text in form_pairs(body)]
    try:
        return read_form(body)
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


def money(minor: int | None, currency: str | None) -> Money | None:
    """Return an amount in the smallest unit; None where it, or a currency that ISO 4217 knows, is not told."""
    return None if minor is None or not currency or len(currency) != len("EUR") else Money(minor, currency.upper())


def decimal_money(amount: str | None, currency: str | None) -> Money | None:
    """Return an amount written as a decimal; None where it, or its currency, is not told, or cannot be."""
    try:
        return Money.of(amount, currency) if amount and currency else None
    except InvalidArgumentError:
        return None


def content_key(body: bytes | msgspec.Raw) -> str:
    """Return what tells repeats apart where the vendor has no id for its events: the same content is the same event."""
    return f"sha256:{hashlib.sha256(bytes(body)).hexdigest()}"


def only(texts: Sequence[str] | None) -> str | None:
    """Return the only one of several; of more than one, or of none, None."""
    return texts[0] if texts and len(texts) == 1 else None


def _malformed() -> WebhookError:
    return WebhookError.of(WebhookReason.MALFORMED)


def text_named(pairs: Any, name: str) -> str | None:
    """Return one of the texts that the application sent along, by its name; None for what is none.

    Vendors give them back as an object, as an object of lists, or as a list of `{name, value}`.
    """
    if isinstance(pairs, list):
        found = next((each.get("value") for each in pairs if isinstance(each, dict) and each.get("name") == name), None)
    else:
        found = pairs.get(name) if isinstance(pairs, dict) else None
    if isinstance(found, list):
        found = found[0] if found else None
    return found if isinstance(found, str) else None
