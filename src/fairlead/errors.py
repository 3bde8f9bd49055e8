"""Every error Fairlead raises, in one tree.

FairleadError
├── ConfigError                     the configuration cannot work; nothing was started
│   ├── ConfigFileError                 the file is missing or is not TOML
│   ├── UnknownSettingError             a key nobody knows, usually misspelt
│   ├── InvalidSettingError             a key with a value that cannot be
│   ├── MissingCredentialError          a connection lacks a credential its provider needs
│   └── UnresolvedReferenceError        an env: or file: reference leads nowhere
├── UsageError                      the call itself is wrong; nothing was sent
│   ├── InvalidArgumentError
│   ├── UnknownProviderError
│   ├── UnknownConnectionError
│   ├── UnknownRouteError
│   ├── SignatureError                  the caller did not sign it with a key that we know
│   └── UnsupportedFeatureError         this vendor lacks what was asked
├── RejectedError                   we refused; nothing was sent
│   ├── CircuitOpenError
│   ├── PausedError                     the vendor asked to be left alone for a while
│   ├── RateLimitedError
│   ├── BulkheadFullError
│   ├── DeadlineExceededError
│   ├── StateLostError                  the state that processes share is out of reach
│   ├── HostBlockedError
│   ├── UnhealthyError                  it failed too often of late, and others could serve
│   └── DrillError                      the caller wanted to see what happens without this connection
├── TransportError                  no usable answer came
│   ├── ConnectError                    name, address or TLS: nothing was sent
│   ├── ConnectionLostError             the connection broke
│   ├── AttemptTimeoutError             they were too slow
│   ├── AnswerTooLargeError             the answer passed the size limit
│   └── ChecksumError                   what came is not what was announced
├── ProviderError                   they answered, and the answer is no
│   ├── AuthenticationError
│   ├── ForbiddenError
│   ├── NotFoundError
│   ├── ConflictError
│   ├── InvalidRequestError
│   ├── ThrottledError
│   ├── QuotaExhaustedError
│   ├── UnavailableError
│   └── UnexpectedAnswerError           an answer we cannot read
├── FileError                       a file on this machine cannot be read or written
├── StorageError                    where state is kept does not answer
└── OutcomeUnknownError             whether the effect happened is not known yet

The first line of a class's docstring is its default message. `code` is stable: programs may compare it.
No error ever holds a secret: messages name hosts and paths, never queries, headers or bodies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from fairlead.model.attempt import Attempt
    from fairlead.model.message import Response
    from fairlead.model.outcome import Outcome


class FairleadError(Exception):
    """Something went wrong.

    `message` says what happened, `hint` what to do. The pipeline adds to whom it happened (`provider`,
    `connection`, `operation`, `call_id`), the `attempts` made, the `outcome`, and `retry_after_s`: how many
    seconds from now a repeat may make sense, where it may at all.
    """

    code: ClassVar[str] = "error"
    #: The request itself is at fault, so another vendor would be asked in vain.
    is_request_fault: ClassVar[bool] = False

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str = "",
        outcome: Outcome | None = None,
        retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:
        self.message = message if message is not None else default_message(type(self))
        super().__init__(self.message)
        self.hint, self.outcome = hint, outcome
        self.retry_after_s = retry_after_s
        self.status = status
        self.provider: str | None = None
        self.connection: str | None = None
        self.operation: str | None = None
        self.call_id: str | None = None
        self.attempts: tuple[Attempt, ...] = ()
        #: What the vendor answered, where it did. It may hold what is private, so no message and no log shows it.
        self.response: Response | None = None

    def locate(
        self,
        *,
        provider: str | None = None,
        connection: str | None = None,
        operation: str | None = None,
        call_id: str | None = None,
        attempts: tuple[Attempt, ...] = (),
    ) -> Self:
        """Say to whom it happened; what is already known stays."""
        self.provider = self.provider or provider
        self.connection = self.connection or connection
        self.operation = self.operation or operation
        self.call_id = self.call_id or call_id
        self.attempts = self.attempts or attempts
        return self

    def __str__(self) -> str:
        whom = ": ".join(part for part in (self.connection, self.operation) if part)
        text = f"{whom}: {self.message}" if whom else self.message
        return f"{text} {self.hint}".rstrip()


def default_message(kind: type[FairleadError]) -> str:
    """Return the first line of the error's docstring."""
    return (kind.__doc__ or kind.__name__).strip().splitlines()[0]


class ConfigError(FairleadError):
    """The configuration cannot work."""

    code = "config"
    is_request_fault = True


class ConfigFileError(ConfigError):
    """The configuration file cannot be read."""

    code = "config_file"


class UnknownSettingError(ConfigError):
    """The configuration has a key that means nothing."""

    code = "unknown_setting"


class InvalidSettingError(ConfigError):
    """A setting has a value that cannot be."""

    code = "invalid_setting"


class MissingCredentialError(ConfigError):
    """A connection lacks a credential."""

    code = "missing_credential"


class UnresolvedReferenceError(ConfigError):
    """A reference to a secret leads nowhere."""

    code = "unresolved_reference"


class UsageError(FairleadError):
    """The call is wrong; nothing was sent."""

    code = "usage"
    is_request_fault = True


class InvalidArgumentError(UsageError):
    """An argument cannot be used."""

    code = "invalid_argument"


class UnknownProviderError(UsageError):
    """No provider has this name."""

    code = "unknown_provider"


class UnknownConnectionError(UsageError):
    """No connection has this name."""

    code = "unknown_connection"


class UnknownRouteError(UsageError):
    """No route serves this capability."""

    code = "unknown_route"


class SignatureError(UsageError):
    """The signature of the request does not hold."""

    code = "signature"


class UnsupportedFeatureError(UsageError):
    """The provider lacks what was asked; nothing was sent."""

    code = "unsupported_feature"
    is_request_fault = False  # another vendor may well have it


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


class UnhealthyError(RejectedError):
    """The connection failed too often of late: others are asked first."""

    code = "unhealthy"


class DrillError(RejectedError):
    """The caller rehearses a failure of this connection."""

    code = "drill"


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


class ProviderError(FairleadError):
    """The vendor refused."""

    code = "provider"


class AuthenticationError(ProviderError):
    """The vendor does not accept the credentials."""

    code = "authentication"


class ForbiddenError(ProviderError):
    """The credentials are good, but do not allow this."""

    code = "forbidden"


class NotFoundError(ProviderError):
    """The vendor has no such thing."""

    code = "not_found"
    is_request_fault = True


class ConflictError(ProviderError):
    """The request contradicts the state at the vendor."""

    code = "conflict"
    is_request_fault = True


class InvalidRequestError(ProviderError):
    """The vendor says that the request is wrong."""

    code = "invalid_request"
    is_request_fault = True


class ThrottledError(ProviderError):
    """The vendor says that requests come too fast."""

    code = "throttled"


class QuotaExhaustedError(ProviderError):
    """The vendor's quota is used up."""

    code = "quota_exhausted"


class UnavailableError(ProviderError):
    """The vendor cannot serve now."""

    code = "unavailable"


class UnexpectedAnswerError(ProviderError):
    """The vendor's answer cannot be read.

    `path` is the place in the body, as `$.results[0].id`. `is_garbled` tells an answer that is no JSON at
    all (a page from a proxy, a cut connection), which may pass, from one whose shape has changed, which stays.
    """

    code = "unexpected_answer"

    def __init__(
        self,
        message: str | None = None,
        *,
        path: str = "$",
        is_garbled: bool = False,
        hint: str = "",
        outcome: Outcome | None = None,
        retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint, outcome=outcome, retry_after_s=retry_after_s, status=status)
        self.path = path
        self.is_garbled = is_garbled


class FileError(FairleadError):
    """A file on this machine cannot be read or written."""

    code = "file"
    is_request_fault = True  # no other vendor mends it


class StorageError(FairleadError):
    """Where state is kept does not answer."""

    code = "storage"


class OutcomeUnknownError(FairleadError):
    """Whether the effect happened is not known; it must not be repeated blindly."""

    code = "outcome_unknown"
    is_request_fault = True  # no vendor may be asked until this one has said what it did
