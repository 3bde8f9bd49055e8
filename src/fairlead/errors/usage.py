"""The call itself is wrong; nothing was sent."""

from __future__ import annotations

from fairlead.errors.root import FairleadError


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


class UnknownCallError(UsageError):
    """No call has this id: it never had, or it is no longer kept."""

    code = "unknown_call"


class KeyReusedError(UsageError):
    """The idempotency key was used for another request; nothing was sent."""

    code = "key_reused"


class SuppressedError(UsageError):
    """All whom it would go to have bounced or complained; nothing was sent."""

    code = "suppressed"


class SignatureError(UsageError):
    """The signature of the request does not hold."""

    code = "signature"


class UnsupportedFeatureError(UsageError):
    """The provider lacks what was asked; nothing was sent."""

    code = "unsupported_feature"
    is_request_fault = False  # another vendor may well have it
