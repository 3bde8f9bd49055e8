"""They answered, and the answer is no."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead.errors.root import FairleadError

if TYPE_CHECKING:
    from fairlead.model.outcome import Outcome


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
