"""The values that deliveries are verified with, by the name of their credential."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from fairlead.errors import WebhookError, WebhookReason
from fairlead.model.secret import Secret

#: Name of a credential -> its values: the one in use, and while it is changed the other one.
Secrets: TypeAlias = Mapping[str, Sequence[Secret]]


def values_of(secrets: Secrets, field: str) -> tuple[str, ...]:
    """Return the values of one credential; raise `WebhookError` where there is none: nothing is taken on trust."""
    found = tuple(value for each in secrets.get(field, ()) if (value := each.reveal()))
    if not found:
        raise WebhookError.of(WebhookReason.NO_SECRET, hint=f"Set its credential {field}.")
    return found


def is_agreed(given: str, agreed: Iterable[str]) -> bool:
    """Whether a text is one of those agreed; each is compared, in constant time."""
    found = False
    for each in agreed:
        found |= hmac.compare_digest(given.encode(errors="replace"), each.encode(errors="replace"))
    return found


def unusable(field: str, wanted: str) -> WebhookError:
    """Return the error for a secret that cannot be one."""
    return WebhookError.of(WebhookReason.NO_SECRET, hint=f"Its credential {field} is not {wanted}.")
