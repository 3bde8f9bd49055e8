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
│   ├── UnknownCallError
│   ├── KeyReusedError                  the idempotency key stands for another request
│   ├── SuppressedError                 all whom it would go to have bounced or complained
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
│   ├── CallCancelledError              somebody cancelled it before it was done
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
│   ├── DeclinedError                   a payment that the bank or the processor refused
│   ├── ThrottledError
│   ├── QuotaExhaustedError
│   ├── UnavailableError
│   └── UnexpectedAnswerError           an answer we cannot read
├── WebhookError                    what came cannot be taken as the vendor's
├── FileError                       a file on this machine cannot be read or written
├── StorageError                    where state is kept does not answer
└── OutcomeUnknownError             whether the effect happened is not known yet

The first line of a class's docstring is its default message. `code` is stable: programs may compare it.
No error ever holds a secret: messages name hosts and paths, never queries, headers or bodies.
Each branch has its file; all of them are imported from here.
"""

from fairlead.errors.configuration import (
    ConfigError,
    ConfigFileError,
    InvalidSettingError,
    MissingCredentialError,
    UnknownSettingError,
    UnresolvedReferenceError,
)
from fairlead.errors.declined import ACTORS, Actor, Decline, DeclinedError
from fairlead.errors.provider import (
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    ProviderError,
    QuotaExhaustedError,
    ThrottledError,
    UnavailableError,
    UnexpectedAnswerError,
)
from fairlead.errors.rejected import (
    BulkheadFullError,
    CallCancelledError,
    CircuitOpenError,
    DeadlineExceededError,
    DrillError,
    HostBlockedError,
    PausedError,
    RateLimitedError,
    RejectedError,
    StateLostError,
    UnhealthyError,
)
from fairlead.errors.root import FairleadError, default_message
from fairlead.errors.single import FileError, OutcomeUnknownError, StorageError
from fairlead.errors.transport import (
    AnswerTooLargeError,
    AttemptTimeoutError,
    ChecksumError,
    ConnectError,
    ConnectionLostError,
    TransportError,
)
from fairlead.errors.usage import (
    InvalidArgumentError,
    KeyReusedError,
    SignatureError,
    SuppressedError,
    UnknownCallError,
    UnknownConnectionError,
    UnknownProviderError,
    UnknownRouteError,
    UnsupportedFeatureError,
    UsageError,
)
from fairlead.errors.webhook import WebhookError, WebhookReason

__all__ = [
    "ACTORS",
    "Actor",
    "AnswerTooLargeError",
    "AttemptTimeoutError",
    "AuthenticationError",
    "BulkheadFullError",
    "CallCancelledError",
    "ChecksumError",
    "CircuitOpenError",
    "ConfigError",
    "ConfigFileError",
    "ConflictError",
    "ConnectError",
    "ConnectionLostError",
    "DeadlineExceededError",
    "Decline",
    "DeclinedError",
    "DrillError",
    "FairleadError",
    "FileError",
    "ForbiddenError",
    "HostBlockedError",
    "InvalidArgumentError",
    "InvalidRequestError",
    "InvalidSettingError",
    "KeyReusedError",
    "MissingCredentialError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PausedError",
    "ProviderError",
    "QuotaExhaustedError",
    "RateLimitedError",
    "RejectedError",
    "SignatureError",
    "StateLostError",
    "StorageError",
    "SuppressedError",
    "ThrottledError",
    "TransportError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnhealthyError",
    "UnknownCallError",
    "UnknownConnectionError",
    "UnknownProviderError",
    "UnknownRouteError",
    "UnknownSettingError",
    "UnresolvedReferenceError",
    "UnsupportedFeatureError",
    "UsageError",
    "WebhookError",
    "WebhookReason",
    "default_message",
]
