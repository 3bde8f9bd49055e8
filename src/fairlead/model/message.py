"""One HTTP request and its response, as providers see them: plain values, no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from fairlead.errors import InvalidArgumentError
from fairlead.model.answer import Answer
from fairlead.model.headers import Headers, Pairs, checked_headers
from fairlead.model.outcome import Effect

QueryValue = str | int | float | bool | None
#: A mapping of names to values or lists of values, or pairs. (A mapping is invariant in its values: hence Any.)
Query = Mapping[str, Any] | Iterable[tuple[str, QueryValue]]

# RFC 3986 §3.3, and nothing that would end the path, or that some server reads as a slash.
_PATH = re.compile(r"/(?!/)[\x21\x22\x24-\x3e\x40-\x5b\x5d-\x7e]*")
_WAY_UP = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
#: What may be sent.
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP exchange that an operation wants.

    `path` is relative to the connection's base URL and starts with `/`. `cost` is what the request takes
    from the vendor's quota, in the vendor's own points. `shown_path` is the path before a credential became
    part of it; it alone may be shown.

    `content` is in place of `body` for one that is sent as it comes. With `is_streamed` the answer's body is not read,
    but handed on as a stream. With `is_raw` nothing is added to the headers, and the answer stays packed as it comes.
    """

    method: str
    path: str
    effect: Effect
    query: Pairs = ()
    #: A part of the query that is already encoded, and stands before the rest of it as it is.
    raw_query: str = ""
    headers: Pairs = ()
    body: bytes = b""
    idempotency_key: str | None = None
    cost: float = 1.0
    shown_path: str | None = None
    #: A `model.exchange.Content`.
    content: Any = None
    is_streamed: bool = False
    is_raw: bool = False

    def __repr__(self) -> str:  # query, headers and path may hold a credential
        return f"Request({self.method} {self.shown_path or self.path}, {self.effect})"

    @classmethod
    def get(
        cls,
        path: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        cost: float = 1.0,
    ) -> Request:
        """Build a read."""
        return build_request("GET", path, query=query, headers=headers, effect=Effect.READ, cost=cost)

    @classmethod
    def post(
        cls,
        path: str,
        *,
        json: Any = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        effect: Effect = Effect.ONCE,
        idempotency_key: str | None = None,
    ) -> Request:
        """Build a request that acts; `once` unless the caller knows better."""
        request = build_request("POST", path, json=json, query=query, headers=headers, effect=effect)
        return msgspec.structs.replace(request, idempotency_key=idempotency_key)


class Response(Answer, frozen=True, kw_only=True):
    """An answer: status, headers and body. `json()` decodes the body.

    Of a request that `is_streamed`, a good answer has a `stream` (a `model.exchange.Body`) in place of the body.
    """

    status: int
    headers: Headers
    body: bytes = b""
    stream: Any = None

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.body)} bytes)"

    def json(self) -> Any:
        """Decode the body as JSON; raise `ValueError` where it is none."""
        return msgspec.json.decode(self.body)

    @property
    def text(self) -> str:
        """The body as text; what is not UTF-8 is replaced."""
        return self.body.decode("utf-8", "replace")


def build_request(
    method: str,
    path: str,
    *,
    effect: Effect | None = None,
    json: Any = None,
    body: bytes = b"",
    query: Query | None = None,
    headers: Mapping[str, str] | None = None,
    cost: float = 1.0,
) -> Request:
    """Build a request from friendly arguments; raise `InvalidArgumentError` for what cannot be sent.

    Without an `effect`, safe methods (RFC 9110 §9.2.1) are reads and all others are `once`: that PUT and
    DELETE may be repeated is a promise of the method, and not always of the vendor.
    """
    if method not in METHODS:
        raise InvalidArgumentError(f"{method!r} is not a method.", hint=f"Use one of {', '.join(sorted(METHODS))}.")
    if not is_path(path):
        raise InvalidArgumentError(
            f"The path {path.partition('?')[0]!r} cannot be used.",
            hint="Start it with one '/', percent-encode what is not ASCII, leave out '.' and '..', and pass the query "
            "as `query=`.",
        )
    pairs = checked_headers(headers)
    if json is not None:
        body = msgspec.json.encode(json)
        pairs = (("content-type", "application/json"), *pairs)
    if effect is None:
        effect = Effect.READ if method in {"GET", "HEAD", "OPTIONS"} else Effect.ONCE
    return Request(method=method, path=path, effect=effect, query=_pairs(query), headers=pairs, body=body, cost=cost)


def is_path(path: str) -> bool:
    """Whether a path stays below the base URL: it names no host, no query, and no way up."""
    return _PATH.fullmatch(path) is not None and _WAY_UP.search(path) is None


def encode_query(pairs: Pairs) -> str:
    """Encode query pairs for a URL (RFC 3986 §2.1).

    A space is `%20`: every server reads that, and AWS's signature is over nothing else.
    """
    return urlencode(pairs, quote_via=quote)


def query_of(request: Request) -> str:
    """Return the whole query of a request, encoded; empty where it has none."""
    if not request.raw_query:
        return encode_query(request.query) if request.query else ""
    return f"{request.raw_query}&{encode_query(request.query)}" if request.query else request.raw_query


def _pairs(query: Query | None) -> Pairs:
    """Flatten a query: None is left out, a list repeats its name, booleans are lower-case."""
    items = query.items() if isinstance(query, Mapping) else query or ()
    pairs: list[tuple[str, str]] = []
    for name, value in items:
        values = value if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
        pairs.extend((name, _text(each)) for each in values if each is not None)
    try:
        "".join(text for pair in pairs for text in pair).encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError("The query has characters that are no text.", hint="Decode it as UTF-8.") from None
    return tuple(pairs)


def _text(value: QueryValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
