"""The settings of the gateway's own door; `docs/reference/gateway.md` says how it answers."""

from __future__ import annotations

from typing import Annotated

import msgspec

from fairlead.config.group import Count, Group, Seconds


class Gateway(Group, frozen=True):
    """Where the gateway listens, the keys it accepts, and what callers may ask of it before they have shown one."""

    #: The address to listen on.
    host: str = "127.0.0.1"
    #: 0 takes a free one.
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    #: `env:NAME` or `file:/path` of each key that callers may show; several allow rotation without a gap.
    api_keys: list[str] = []
    #: The proxy keeps the body of a request up to this size, so that it can send it again; longer ones are passed on.
    replay_bytes: Annotated[int, msgspec.Meta(ge=0)] = 256 * 1024
    #: Connections of callers at once; one more is answered 503 and closed.
    max_connections: Count = 1_000
    #: How long the head of a request may take, and the first of a connection to begin; past it, 408 and closed.
    head_s: Seconds = 10.0
    #: How long the next piece of a request's body may take, while it is waited for; past it, likewise.
    body_s: Seconds = 30.0
    #: A connection over which nothing is asked for so long is closed.
    idle_s: Seconds = 60.0
