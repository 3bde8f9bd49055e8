"""How an exchange broke off, in the words of the outcome table, and a reason for people."""

from __future__ import annotations

import ssl

from fairlead.model.exchange import Broken
from fairlead.model.outcome import Failure, Phase
from fairlead.transport.dial import NoAddress
from fairlead.transport.guard import AddressBlocked
from fairlead.transport.proxy import ProxyRefused


class BrokenOff(Exception):  # noqa: N818  # a fact about the exchange
    """The exchange on a connection is over before its answer was complete."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.value)
        self.failure = failure


#: All that an exchange may end with.
ENDINGS = (BrokenOff, TimeoutError, NoAddress, ProxyRefused, OSError)


def broken(error: Exception, phase: Phase, where: str) -> Broken:
    """Return what the caller is told: the failure, how far it got, and the host, with a reason where one is known."""
    reason = _reason(error)
    return Broken(_failure(error), phase, f"{where} ({reason})" if reason else where)


def _failure(error: Exception) -> Failure:
    match error:
        case BrokenOff():
            return error.failure
        case ProxyRefused():
            return Failure.REFUSED
        case NoAddress():
            return Failure.DNS
        case TimeoutError():
            return Failure.TIMEOUT
        case AddressBlocked():
            return Failure.BLOCKED
        case ConnectionResetError() | BrokenPipeError() | ssl.SSLEOFError():
            return Failure.RESET
        case ssl.SSLError():
            return Failure.TLS
    return Failure.REFUSED


def _reason(error: Exception) -> str:
    """Say why, where that is known and not said by the failure itself."""
    if isinstance(error, BrokenOff | TimeoutError):
        return ""
    if isinstance(error, NoAddress):
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return str(getattr(error, "strerror", None) or error)
