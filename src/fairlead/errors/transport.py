"""No usable answer came."""

from __future__ import annotations

from fairlead.errors.root import FairleadError


class TransportError(FairleadError):
    """No usable answer came."""

    code = "transport"


class ConnectError(TransportError):
    """No connection could be made; nothing was sent."""

    code = "connect"


class ConnectionLostError(TransportError):
    """The connection broke before the answer was complete."""

    code = "connection_lost"


class AttemptTimeoutError(TransportError):
    """The vendor was too slow."""

    code = "attempt_timeout"


class AnswerTooLargeError(TransportError):
    """The answer passed the size limit and was dropped."""

    code = "answer_too_large"


class ChecksumError(TransportError):
    """What came is not what was announced, or asked for."""

    code = "checksum"
