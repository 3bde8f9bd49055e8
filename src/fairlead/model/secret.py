"""A value that must not be seen."""

from __future__ import annotations

import hmac
from typing import Any, NoReturn


class Secret:
    """Holds a credential; only `reveal()` shows it.

    `repr`, `str` and `format` show `***`; pickling, copying into JSON and hashing are refused, so that a
    secret cannot leave by accident. Comparison takes the same time whatever the values are.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Return the value. Call this where the request is signed, and nowhere else."""
        return self.__value

    def fingerprint(self, key: bytes) -> bytes:
        """Return a mark that tells two values apart, and says nothing to whoever lacks the key (RFC 2104)."""
        return hmac.digest(key, self.__value.encode(), "sha256")

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    __hash__ = None  # type: ignore[assignment]  # a hash of a short secret is a way to find it

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("A secret cannot be pickled or copied; pass the reference that leads to it.")
