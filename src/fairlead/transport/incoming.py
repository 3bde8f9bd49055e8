"""What has come of an answer of HTTP/1.1, as its connection takes it in and its client reads it."""

from __future__ import annotations

from collections import deque

from fairlead.model.headers import Headers
from fairlead.model.outcome import Failure


class Incoming:
    """What has come of one answer."""

    __slots__ = (
        "chunks", "failure", "headers", "is_complete", "is_head_only", "is_invited", "is_streamed", "limit",
        "pairs", "size", "status", "trailing", "until_end",
    )  # fmt: skip

    def __init__(self, *, is_head_only: bool, is_streamed: bool, limit: int) -> None:
        self.is_head_only = is_head_only
        self.is_streamed = is_streamed
        self.limit = limit
        self.pairs: list[tuple[str, str]] = []
        self.trailing: list[tuple[str, str]] = []
        self.headers: Headers | None = None
        self.status = 0
        self.chunks: deque[bytes] = deque()
        self.size = 0
        self.is_complete = False
        #: The body ends with the connection.
        self.until_end = False
        #: The other side has said 100 (RFC 9110 §15.2.1).
        self.is_invited = False
        self.failure: Failure | None = None
