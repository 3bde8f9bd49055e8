"""Every setting there is, with its default. `docs/reference/settings.md` documents each; a test keeps it so."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every group of settings."""


class Timeouts(Group, frozen=True):
    """How long each part of one attempt may take, in seconds."""

    connect_s: Seconds = 5.0
    read_s: Seconds = 10.0
    attempt_s: Seconds = 15.0


class Retry(Group, frozen=True):
    """How often one connection is tried, and the bounds of the backoff between tries."""

    max_attempts: Count = 3
    base_s: Seconds = 0.1
    cap_s: Seconds = 5.0


class Breaker(Group, frozen=True):
    """When a connection that fails is left alone: at `failure_share` of the last `window` attempts."""

    window: Count = 20
    min_attempts: Count = 5
    failure_share: Share = 0.5
    open_s: Seconds = 5.0
    max_open_s: Seconds = 60.0
    probes: Count = 1


class Concurrency(Group, frozen=True):
    """How many requests may be under way at one connection, and how many may queue for it."""

    limit: Count = 50
    queue: Annotated[int, msgspec.Meta(ge=0)] = 100


class Rate(Group, frozen=True):
    """At most `requests` in every `per_s` seconds, in place of the plan's own limit."""

    requests: Count
    per_s: Seconds = 1.0


class Auth(Group, frozen=True):
    """How a connection without a provider signs: `bearer`, `basic`, or a `key` in a header or the query."""

    scheme: Literal["bearer", "basic", "key", "none"] = "none"
    header: str | None = None
    query: str | None = None


class Connection(Group, frozen=True):
    """A provider, or any HTTP API by its `base_url`, with credentials and policy."""

    provider: str | None = None
    base_url: str | None = None
    credentials: dict[str, str] = {}
    auth: Auth = Auth()
    plan: str | None = None
    #: Reach loopback and private addresses, as stand-ins and internal services need it.
    allow_private: bool = False
    #: A file of certificates to trust instead of the system's.
    ca_file: str | None = None
    #: The vendor has agreed that its answers are kept, where its terms ask for that.
    cache_permitted: bool = False
    #: Seconds from an exhausted quota to the next try, in place of the vendor's own reset.
    quota_reset_s: Seconds | None = None
    max_answer_bytes: Count = 10 * 1024 * 1024
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    concurrency: Concurrency | None = None
    rate: Rate | None = None


class Cache(Group, frozen=True):
    """How long an answer serves: fresh for `ttl_s`, and when every vendor fails for `stale_if_error_s`."""

    ttl_s: Annotated[float, msgspec.Meta(ge=0)] = 60.0
    stale_if_error_s: Annotated[float, msgspec.Meta(ge=0)] = 3600.0
    max_entries: Count = 10_000


class Route(Group, frozen=True):
    """The connections that serve a capability, in order, and what bounds a call to it."""

    connections: Annotated[list[str], msgspec.Meta(min_length=1)]
    deadline_s: Seconds = 30.0
    cache: Cache = Cache()


class Gateway(Group, frozen=True):
    """Where the gateway listens, and the keys it accepts."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    api_keys: list[str] = []


class Settings(Group, frozen=True):
    """A whole configuration."""

    connections: dict[str, Connection] = {}
    routes: dict[str, Route] = {}
    gateway: Gateway = Gateway()
    #: The deadline of a plain call that names none.
    deadline_s: Seconds = 30.0
