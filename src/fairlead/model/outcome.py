"""What is known about a request: how far it got, what it would do, and whether it did it."""

from enum import IntEnum, StrEnum


class Outcome(StrEnum):
    """Whether an attempt had its effect."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


class Effect(StrEnum):
    """What a repeat of the request would do."""

    #: Nothing: it only reads.
    READ = "read"
    #: The vendor makes the repeat harmless, by its idempotency key or by nature.
    IDEMPOTENT = "idempotent"
    #: A second effect.
    ONCE = "once"


class Phase(IntEnum):
    """How far one exchange got. From `SENDING` on, the vendor may have seen the request.

    What a mail server has seen counts from the final dot on: before that it must forget when the connection ends.
    """

    QUEUED = 0
    RESOLVING = 1
    CONNECTING = 2
    SENDING = 3
    WAITING = 4
    RECEIVING = 5
    ANSWERED = 6

    @property
    def was_sent(self) -> bool:
        """Whether any byte of the request may have left."""
        return self >= Phase.SENDING


class Failure(StrEnum):
    """How an exchange failed, as the transport saw it."""

    REFUSED = "refused"
    DNS = "dns"
    TLS = "tls"
    BLOCKED = "blocked"
    RESET = "reset"
    TIMEOUT = "timeout"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    PROTOCOL = "protocol"
    #: HTTP/2 lets a server say that it did not look at a request: REFUSED_STREAM, or GOAWAY with an earlier one.
    TURNED_AWAY = "turned_away"
    #: A complete answer with a good status, and a body that is not the JSON it should be.
    MALFORMED = "malformed"
    #: A complete and readable answer whose shape is not the vendor's contract.
    CHANGED = "changed"
