"""The settings of what is kept; `docs/explanation/caching.md` explains them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from fairlead.config.group import Age, Count, Group


class CachedOperation(Group, frozen=True):
    """How long the answers of one operation serve, where that differs from the route's."""

    #: In place of the route's.
    ttl_s: Age | None = None
    #: In place of the route's.
    stale_while_revalidate_s: Age | None = None
    #: In place of the route's.
    stale_if_error_s: Age | None = None
    #: In place of the route's.
    negative_ttl_s: Age | None = None


class Cache(Group, frozen=True):
    """Up to which age an answer serves. Every age counts from when it came; see `docs/explanation/caching.md`."""

    #: As good as new; 0 asks anew every time.
    ttl_s: Age = 60.0
    #: Served at once while a fresh one is fetched in the background; must be more than `ttl_s`. 0 never does that.
    stale_while_revalidate_s: Age = 0.0
    #: Served when every vendor fails.
    stale_if_error_s: Age = 3600.0
    #: For so long a vendor that has not got a thing is not asked for it again; 0 asks.
    negative_ttl_s: Age = 0.0
    #: The least recently used ones go first.
    max_entries: Count = 10_000
    #: About so much memory; the least recently used ones go first.
    max_bytes: Count = 64 * 1024 * 1024
    #: Kept where `state.url` says, for all processes, in place of this one's memory; needs `state.cache_key`.
    shared: bool = False
    #: Operation, as `fetch` -> its own ages.
    operations: dict[str, CachedOperation] = {}


class HttpCache(Group, frozen=True):
    """Keep the answers to plain GETs as HTTP says (RFC 9111); see `docs/explanation/caching.md`. Off unless set."""

    #: For so long a 404 or 410 is kept that does not say so itself.
    negative_ttl_s: Age = 0.0
    #: Past its freshness, an answer serves for so long when the vendor fails, unless it says otherwise itself.
    stale_if_error_s: Age = 0.0
    #: An answer that the vendor can confirm is kept for so long in order to ask.
    validate_s: Age = 86_400.0
    #: An answer without a word of caching is fresh for this share of the time since it was modified; 0 does not guess.
    guess_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    #: The least recently used ones go first.
    max_entries: Count = 1_000
    #: About so much memory; the least recently used ones go first.
    max_bytes: Count = 64 * 1024 * 1024
    #: Kept where `state.url` says, for all processes, in place of this one's memory; needs `state.cache_key`.
    shared: bool = False
