"""The branches of one error each."""

from __future__ import annotations

from fairlead.errors.root import FairleadError


class FileError(FairleadError):
    """A file on this machine cannot be read or written."""

    code = "file"
    is_request_fault = True  # no other vendor mends it


class StorageError(FairleadError):
    """Where state is kept does not answer."""

    code = "storage"
    is_request_fault = True  # it is ours, and no other vendor mends it


class OutcomeUnknownError(FairleadError):
    """Whether the effect happened is not known; it must not be repeated blindly.

    `settlement_id` is the call that is being settled, where it is: `fl.calls.wait` waits for what comes of it.
    """

    code = "outcome_unknown"
    is_request_fault = True  # no vendor may be asked until this one has said what it did
    settlement_id: str | None = None
