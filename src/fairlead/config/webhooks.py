"""The settings of webhooks; `docs/how-to/receive-webhooks.md` explains them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from fairlead.config.group import Count, Group, Seconds


class Forward(Group, frozen=True):
    """Hand events to an application of any language: each is a POST, repeated until it is answered with 2xx.

    The body is JSON: `type`, `timestamp`, and in `data` the event. It is signed by Standard Webhooks where there is a
    `secret`; `webhook-id` is the same for every try of one event, so that the application can tell repeats.
    """

    #: Which events: `payment.succeeded` for whoever sends it, `acme:invoice.paid` for a vendor's own; `*` for any.
    events: Annotated[list[str], msgspec.Meta(min_length=1)]
    #: The connection that leads to the application, with its base URL, its timeouts and its limits.
    connection: str
    #: Where it takes them.
    path: Annotated[str, msgspec.Meta(pattern="^/")] = "/"
    #: `env:NAME` or `file:/path` of the secret, as `whsec_` and base64.
    secret: str | None = None


class Webhooks(Group, frozen=True):
    """How deliveries of vendors are taken, and how their events are handled."""

    #: The address that vendors call, as `https://hooks.example.com`, where it is not the one that reaches the gateway.
    public_url: str | None = None
    #: A longer delivery is refused.
    max_body_bytes: Count = 1024 * 1024
    #: How long a delivery may take to come, in seconds.
    body_s: Seconds = 10.0
    #: How long a handler may take, in seconds.
    handler_s: Seconds = 300.0
    #: Events that are handled at the same time.
    at_once: Count = 32
    #: A process that is gone for so long loses its events to another one, in seconds.
    lease_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 30.0
    #: The seconds between the tries of a handler that fails; after the last one its event is dead.
    waits_s: tuple[Seconds, ...] = (5, 30, 120, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400)
    #: Events that are handed to applications over HTTP.
    forwards: list[Forward] = []
