"""We refused; nothing was sent."""

from __future__ import annotations

from fairlead.errors.root import FairleadError


class RejectedError(FairleadError):
    """Fairlead refused to send the request."""

    code = "rejected"


class CircuitOpenError(RejectedError):
    """The circuit is open: this connection failed too often just now."""

    code = "circuit_open"


class PausedError(RejectedError):
    """The vendor asked to be left alone for a while."""

    code = "paused"


class RateLimitedError(RejectedError):
    """The connection's own limit has no room before the deadline."""

    code = "rate_limited"


class BulkheadFullError(RejectedError):
    """Too many requests to this connection are under way, and the queue is full."""

    code = "bulkhead_full"


class DeadlineExceededError(RejectedError):
    """The deadline passed."""

    code = "deadline_exceeded"


class StateLostError(RejectedError):
    """The state that processes share is out of reach, and the settings refuse to go on without."""

    code = "state_lost"


class HostBlockedError(RejectedError):
    """The address is not one that this connection may reach."""

    code = "host_blocked"


class CallCancelledError(RejectedError):
    """The call was cancelled, or taken over by another process."""

    code = "call_cancelled"
    is_request_fault = True  # nobody wants it any more


class UnhealthyError(RejectedError):
    """The connection failed too often of late: others are asked first."""

    code = "unhealthy"


class DrillError(RejectedError):
    """The caller rehearses a failure of this connection."""

    code = "drill"
