"""HTTP caching as a private cache does it: RFC 9111, RFC 5861 (stale answers) and RFC 8246 (`immutable`).

Functions of header fields and instants. Instants are seconds since 1970, everything else is seconds.
"""

from __future__ import annotations

import re
from math import inf

import msgspec

from fairlead.model.headers import Headers, Pairs
from fairlead.model.lives import Lives
from fairlead.spec.retry_after import parse_date

#: Statuses that a request for the whole of a thing is kept under: what was found, and what there is not.
FOUND = frozenset({200, 203, 204})
ABSENT = frozenset({404, 410})

# RFC 9111 §5.2: a token, and perhaps an argument, quoted or not. A quote that does not end swallows the rest.
_DIRECTIVE = re.compile(r'([^\s,;="]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)(?:"|$)|([^\s,;"]*)))?')
_SECONDS = re.compile(r"[0-9]+")
# RFC 9111 §1.2.2: larger ones count as this.
_LONGEST_S = 2.0**31
# RFC 9111 §4.2.2 leaves it open; nobody should guess for longer.
_LONGEST_GUESS_S = 86_400.0
# RFC 9111 §3.2: these belong to the message that brought them, or to the body that is kept.
_OF_THE_MESSAGE = frozenset({
    "connection", "content-encoding", "content-length", "content-range", "keep-alive", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip


class CacheControl(msgspec.Struct, frozen=True, kw_only=True):
    """The directives that matter to a private cache. What others may keep (`s-maxage`, `private`) is not among them.

    `no-cache` with field names counts as without (RFC 9111 §5.2.2.4 allows that).
    """

    no_store: bool = False
    no_cache: bool = False
    must_revalidate: bool = False
    must_understand: bool = False
    immutable: bool = False
    only_if_cached: bool = False
    max_age_s: float | None = None
    min_fresh_s: float | None = None
    max_stale_s: float | None = None
    stale_while_revalidate_s: float | None = None
    stale_if_error_s: float | None = None


def parse_cache_control(text: str) -> CacheControl:
    """Read the field. What is malformed, or said twice and differently, makes an answer older, never younger."""
    if not text:
        return _NOTHING_SAID
    said: dict[str, str | None] = {}
    for name, quoted, plain in _DIRECTIVE.findall(text):
        key, value = name.lower(), quoted or plain
        said[key] = value if said.get(key, value) == value else None

    def seconds(name: str, otherwise: float = 0.0) -> float | None:
        if name not in said:
            return None
        value = said[name]
        return min(float(value), _LONGEST_S) if value and _SECONDS.fullmatch(value) else otherwise

    return CacheControl(
        no_store="no-store" in said,
        no_cache="no-cache" in said,
        must_revalidate="must-revalidate" in said,
        must_understand="must-understand" in said,
        immutable="immutable" in said,
        only_if_cached="only-if-cached" in said,
        max_age_s=seconds("max-age"),
        min_fresh_s=seconds("min-fresh", inf),
        max_stale_s=seconds("max-stale", _LONGEST_S if said.get("max-stale") == "" else 0.0),
        stale_while_revalidate_s=seconds("stale-while-revalidate"),
        stale_if_error_s=seconds("stale-if-error"),
    )


_NOTHING_SAID = CacheControl()


def control_of(headers: Headers) -> CacheControl:
    """Return what a message says of caching."""
    return parse_cache_control(headers.get("cache-control", ""))


def may_store(status: int, headers: Headers) -> bool:
    """Whether an answer to a GET may be kept (RFC 9111 §3), as far as the answer has a say."""
    said = control_of(headers)
    if status not in FOUND | ABSENT or (said.no_store and not said.must_understand):
        return False
    return varies_on(headers) is not None


def varies_on(headers: Headers) -> tuple[str, ...] | None:
    """Return the fields of the request that chose this answer, in order; None where it suits no other (§4.1)."""
    names = {name.strip().lower() for name in headers.get("vary", "").split(",")} - {""}
    return None if "*" in names else tuple(sorted(names))


def initial_age_s(headers: Headers, *, now: float, delay_s: float) -> float:
    """Return how old an answer was when it arrived (RFC 9111 §4.2.3). `delay_s` is what the exchange took."""
    text = headers.get("age", "").split(",")[0].strip()
    told_s = min(float(text), _LONGEST_S) if _SECONDS.fullmatch(text) else 0.0
    sent = parse_date(headers.get("date", ""))
    apparent_s = 0.0 if sent is None else max(0.0, now - sent)
    return max(apparent_s, told_s + delay_s)


def lifetime_s(headers: Headers, *, now: float, guess_share: float = 0.0) -> float | None:
    """Return for how long an answer is fresh (RFC 9111 §4.2.1), or None where nothing says so.

    With a `guess_share`, that share of the time since it was modified serves where the vendor says nothing (§4.2.2).
    """
    said = control_of(headers)
    if said.max_age_s is not None:
        return said.max_age_s
    date = parse_date(headers.get("date", ""))
    sent = now if date is None else date
    if "expires" in headers:
        until = parse_date(headers["expires"])
        return 0.0 if until is None else max(0.0, until - sent)
    modified = parse_date(headers.get("last-modified", ""))
    if not guess_share or modified is None:
        return None
    return min(_LONGEST_GUESS_S, max(0.0, sent - modified) * guess_share)


def lives_of(headers: Headers, *, fresh_s: float | None, stale_if_error_s: float) -> Lives:
    """Return the ages that bound an answer's use, given how long it is fresh.

    `stale_if_error_s` serves where the vendor names none: RFC 9111 §4.2.4 lets a configuration grant that, but for
    answers that must be revalidated.
    """
    said = control_of(headers)
    fresh_s = 0.0 if said.no_cache or fresh_s is None else fresh_s
    if said.no_cache or said.must_revalidate:
        return Lives(fresh_s, fresh_s, fresh_s)
    in_need_s = stale_if_error_s if said.stale_if_error_s is None else said.stale_if_error_s
    return Lives(fresh_s, fresh_s + (said.stale_while_revalidate_s or 0.0), fresh_s + in_need_s)


def as_asked(kept: Lives, asked: CacheControl, headers: Headers) -> Lives:
    """Return the same ages for a request with directives of its own (RFC 9111 §5.2.1)."""
    if asked is _NOTHING_SAID:
        return kept
    if asked.no_cache:
        return Lives(0.0, 0.0, 0.0)
    said = control_of(headers)
    fresh_s, refresh_s, stale_s = kept.fresh_s, kept.refresh_s, kept.stale_s
    if asked.max_stale_s is not None and not (said.must_revalidate or said.no_cache):
        refresh_s = max(refresh_s, fresh_s + asked.max_stale_s)
        stale_s = max(stale_s, refresh_s)
    if asked.min_fresh_s is not None:
        fresh_s = max(0.0, fresh_s - asked.min_fresh_s)
        refresh_s = stale_s = fresh_s
    if asked.max_age_s is not None and not said.immutable:  # RFC 8246 §2: reloading does not ask for it again
        fresh_s = min(fresh_s, asked.max_age_s)
        if asked.max_stale_s is None:
            refresh_s, stale_s = min(refresh_s, asked.max_age_s), min(stale_s, asked.max_age_s)
    return Lives(fresh_s, refresh_s, stale_s)


def conditions(headers: Headers) -> Pairs:
    """Return the fields that ask whether an answer is still valid (RFC 9111 §4.3.1); none where it has no validator."""
    pairs = []
    if "etag" in headers:
        pairs.append(("if-none-match", headers["etag"]))
    if "last-modified" in headers:
        pairs.append(("if-modified-since", headers["last-modified"]))
    return tuple(pairs)


def confirms(kept: Headers, said: Headers) -> bool:
    """Whether a 304 is about the answer that is kept (RFC 9111 §4.3.4)."""
    if "etag" in said:
        ours, theirs = kept.get("etag", ""), said["etag"]
        return ours.removeprefix("W/") == theirs.removeprefix("W/") if theirs.startswith("W/") else ours == theirs
    return "last-modified" not in said or said["last-modified"] == kept.get("last-modified")


def freshened(kept: Headers, said: Headers) -> Headers:
    """Return the fields of a kept answer, brought up to date by a 304 (RFC 9111 §3.2)."""
    newer = tuple((name, value) for name, value in said.pairs if name.lower() not in _OF_THE_MESSAGE)
    replaced = {name.lower() for name, _ in newer} | {"age"}
    return Headers((*((name, value) for name, value in kept.pairs if name.lower() not in replaced), *newer))
