"""Every setting there is, with its default. `docs/reference/settings.md` documents each; a test keeps it so."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

#: More than nothing, and at most a year.
Seconds = Annotated[float, msgspec.Meta(gt=0, le=31_536_000)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every group of settings."""


class Timeouts(Group, frozen=True):
    """How long each part of one attempt may take, in seconds."""

    #: Name, address and TLS.
    connect_s: Seconds = 5.0
    #: Between two pieces of the answer.
    read_s: Seconds = 10.0
    #: All of it.
    attempt_s: Seconds = 15.0


class Retry(Group, frozen=True):
    """How often one connection is tried, and the bounds of the backoff between tries."""

    #: Tries at one connection, the first included.
    max_attempts: Count = 3
    #: The longest wait before the second try; it doubles with each further one.
    base_s: Seconds = 0.1
    #: The longest wait of all.
    cap_s: Seconds = 5.0


class Breaker(Group, frozen=True):
    """When a connection that fails is left alone: at `failure_share` of the last `window` attempts."""

    #: How many of the last attempts count.
    window: Count = 20
    #: With fewer than these nothing is decided.
    min_attempts: Count = 5
    #: The share of failures at which it opens.
    failure_share: Share = 0.5
    #: How long it stays open; twice as long each time the vendor still fails.
    open_s: Seconds = 5.0
    #: The longest that it stays open.
    max_open_s: Seconds = 60.0
    #: How many attempts must go well before it closes again.
    probes: Count = 1


class Concurrency(Group, frozen=True):
    """How many requests may be under way at one connection, and how many may queue for it."""

    #: Requests under way at once.
    limit: Count = 50
    #: Requests that may wait for one of these places.
    queue: Annotated[int, msgspec.Meta(ge=0)] = 100


class Rate(Group, frozen=True):
    """At most `requests` in every `per_s` seconds, in place of the plan's own limit."""

    #: How many requests.
    requests: Count
    #: In how many seconds.
    per_s: Seconds = 1.0


class Auth(Group, frozen=True):
    """How a connection without a provider signs: `bearer`, `basic`, or a `key` in a header or the query."""

    #: How the credentials travel.
    scheme: Literal["bearer", "basic", "key", "none"] = "none"
    #: For `key`: the header it travels in.
    header: str | None = None
    #: For `key`: the query parameter it travels in.
    query: str | None = None


class Connection(Group, frozen=True):
    """A provider, or any HTTP API by its `base_url`, with credentials and policy."""

    #: The vendor, by the name of its file in `providers/`.
    provider: str | None = None
    #: Where the API is; needed without a provider, and else in place of the vendor's own address.
    base_url: str | None = None
    #: Name of each credential -> `env:NAME`, `file:/path`, or the value itself where it is no secret.
    credentials: dict[str, str] = {}
    #: For a connection without a provider.
    auth: Auth = Auth()
    #: The price plan, whose published limits are kept; the provider's smallest unless set.
    plan: str | None = None
    #: Reach loopback and private addresses, as stand-ins and internal services need it.
    allow_private: bool = False
    #: A file of certificates to trust instead of the system's.
    ca_file: str | None = None
    #: The vendor has agreed that its answers are kept, where its terms ask for that.
    cache_permitted: bool = False
    #: Seconds from an exhausted quota to the next try, in place of the vendor's own reset.
    quota_reset_s: Seconds | None = None
    #: Longer answers are dropped.
    max_answer_bytes: Count = 10 * 1024 * 1024
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    #: In place of what the plan allows.
    concurrency: Concurrency | None = None
    #: In place of what the plan allows.
    rate: Rate | None = None


class Cache(Group, frozen=True):
    """How long an answer serves: fresh for `ttl_s`, and when every vendor fails for `stale_if_error_s`."""

    #: How long an answer is fresh; 0 asks anew every time.
    ttl_s: Annotated[float, msgspec.Meta(ge=0)] = 60.0
    #: How long the last good answer may serve when every vendor fails.
    stale_if_error_s: Annotated[float, msgspec.Meta(ge=0)] = 3600.0
    #: The least recently used ones go first.
    max_entries: Count = 10_000


class Route(Group, frozen=True):
    """The connections that serve a capability, in order, and what bounds a call to it."""

    #: Names of connections: the first that can serve does.
    connections: Annotated[list[str], msgspec.Meta(min_length=1)]
    #: The time a call may take, all tries at all vendors included.
    deadline_s: Seconds = 30.0
    cache: Cache = Cache()


class Gateway(Group, frozen=True):
    """Where the gateway listens, and the keys it accepts."""

    #: The address to listen on.
    host: str = "127.0.0.1"
    #: 0 takes a free one.
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    #: `env:NAME` or `file:/path` of each key that callers may show; several allow rotation without a gap.
    api_keys: list[str] = []


class Settings(Group, frozen=True):
    """A whole configuration."""

    connections: dict[str, Connection] = {}
    #: Capability -> its route; without one, every connection that can serve it does, in the order of the file.
    routes: dict[str, Route] = {}
    gateway: Gateway = Gateway()
    #: The deadline of a plain call that names none.
    deadline_s: Seconds = 30.0
