"""Whether a signature was made just now."""

from __future__ import annotations

import re

from fairlead.errors import WebhookError, WebhookReason

_SECONDS = re.compile("[0-9]{1,12}")


def parse_seconds(text: str) -> int:
    """Read whole seconds since 1970; raise `WebhookError` for anything else."""
    if not _SECONDS.fullmatch(text):
        raise WebhookError.of(WebhookReason.MALFORMED)
    return int(text)


def check_time(signed_at: float, tolerance_s: float | None, *, now: float) -> None:
    """Raise `WebhookError` where the signature is older than the tolerance, or that much ahead of our clock."""
    if tolerance_s is None:
        return
    if now - signed_at > tolerance_s:
        raise WebhookError.of(WebhookReason.STALE, hint="Compare the clock of this machine with the vendor's.")
    if signed_at - now > tolerance_s:
        raise WebhookError.of(WebhookReason.FUTURE, hint="Compare the clock of this machine with the vendor's.")
