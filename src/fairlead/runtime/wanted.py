"""A call as its facade describes it, and what its caller may add."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Required, TypeAlias, TypedDict

import msgspec

from fairlead.model.call import Call
from fairlead.runtime.caching import Keeping, Reply
from fairlead.runtime.connection import Connection
from fairlead.runtime.join import Join
from fairlead.runtime.pipeline import Begin
from fairlead.runtime.record import Record
from fairlead.runtime.routing import Routing
from fairlead.runtime.trail import Trail


class CallOptions(TypedDict, total=False):
    """What every call may be given. `deadline_s` bounds all of it, in seconds; tenants never share an answer.

    `sticky_key` is what a route with the strategy `sticky` goes by: a user, a session. The connections that `drill`
    names are treated as failed, to rehearse what happens then; such a call goes past the cache.
    """

    deadline_s: float
    tenant: str | None
    correlation_id: str | None
    #: `background` for work that nobody waits for: what is `interactive` goes first wherever there is a line.
    priority: Literal["interactive", "background"]
    sticky_key: str | None
    drill: Sequence[str]


class LaterOptions(CallOptions, total=False):
    """What a call in the background is given: it returns a `BackgroundCall` once that is durable."""

    background: Required[Literal[True]]
    #: Not before then: a time with its zone, or seconds since 1970.
    run_at: float | dt.datetime


class BackgroundOptions(CallOptions, total=False):
    """What a call may be given that somebody waits for, or nobody."""

    background: bool
    run_at: float | dt.datetime


class LedgerOptions(BackgroundOptions, total=False):
    """All that a call may be given, with the key: see `docs/explanation/ledger.md`."""

    #: One key is one call, for each tenant.
    idempotency_key: str | None


class KeyedOptions(CallOptions, total=False):
    """What a call may be given that acts, and that somebody waits for. See `docs/explanation/ledger.md`."""

    #: One key is one call, for each tenant.
    idempotency_key: str | None


class KeyedLater(LaterOptions, total=False):
    """What a call is given that acts, in the background."""

    idempotency_key: str | None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A call as its facade describes it. Without `keeping` it is neither kept nor shared; with `join` it may be joined.

    Unless it `may_wait`, it fails when nobody can serve at once. `record` is how it is written down, where it can be.
    """

    operation: str
    candidates: Sequence[Connection]
    begin: Begin
    deadline_s: float
    keeping: Keeping | None = None
    join: Join | None = None
    may_wait: bool = True
    routing: Routing = Routing()
    record: Callable[[], Record] | None = None
    #: It acts by its declaration: it has a row in the ledger also without a key.
    is_kept: bool = False


#: How an answer is found.
Find: TypeAlias = Callable[[Wanted, Call, Trail], Awaitable[Reply]]
