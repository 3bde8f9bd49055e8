"""The head of a request, as either client sends it: what is ours to say, and what the caller may not."""

from __future__ import annotations

from math import inf

from fairlead.errors import InvalidArgumentError
from fairlead.model.headers import Headers, Pairs
from fairlead.model.message import Request, query_of
from fairlead.transport.origin import Origin
from fairlead.transport.unpack import ACCEPTED

USER_AGENT = "fairlead"
#: What is about the connection, and not about the request (RFC 9110 §7.6.1, RFC 9112 §6): we say it ourselves.
CONNECTION_FIELDS = frozenset(
    {"connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
)
_USUAL: Pairs = (("accept", "*/*"), ("accept-encoding", ACCEPTED), ("user-agent", USER_AGENT))
#: Answers that have no body, whatever length they tell of (RFC 9110 §8.6).
BODILESS = frozenset({204, 304})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def fields_of(request: Request) -> list[tuple[str, str]]:
    """Return the fields of a request, names in lower case: the usual ones that the caller leaves out, and its own."""
    own = [(key, value) for name, value in request.headers if (key := name.lower()) not in CONNECTION_FIELDS]
    if request.is_raw:
        return own
    names = {name for name, _ in own}
    return [pair for pair in _USUAL if pair[0] not in names] + own


def refuse_breaks(text: str) -> None:
    """Raise `InvalidArgumentError` for what would begin another line, whoever has put it there."""
    if "\n" in text or "\r" in text or "\0" in text:
        raise InvalidArgumentError(
            "The request has a line break or NUL where none may be.", hint="Look at its path, query and headers."
        )


def says_length(request: Request) -> bool:
    """Whether a body, or that there is none, is worth a Content-Length (RFC 9110 §8.6)."""
    return bool(request.body) or request.content is not None or request.method in _WITH_BODY


def patience_s(headers: Headers, read_s: float) -> float:
    """Return how long the next piece of a stream may take. Server-sent events come when there is something to say."""
    return inf if headers.get("content-type", "").lower().startswith("text/event-stream") else read_s


def encode(text: str) -> bytes:
    """Return a field's bytes. What is not UTF-8 came from a socket, and leaves as it came."""
    return text.encode("utf-8", "surrogateescape")


def head_of(request: Request, origin: Origin) -> list[tuple[bytes, bytes]]:
    """Return the fields of a request as HTTP/2 has them (RFC 9113 §8.3.1)."""
    path, query = f"{origin.path}{request.path}", query_of(request)
    fields = [
        (":method", request.method),
        (":authority", origin.authority),
        (":scheme", origin.scheme),
        (":path", f"{path}?{query}" if query else path),
        *fields_of(request),
    ]
    length = len(request.body) if request.content is None else request.content.length
    if says_length(request) and length is not None:
        fields.append(("content-length", str(length)))
    refuse_breaks("".join([name + value for name, value in fields]))
    return [(encode(name), encode(value.strip(" \t"))) for name, value in fields]  # which RFC 9113 §8.2.1 demands
