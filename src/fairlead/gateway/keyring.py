"""The gateway's own keys, as they are by now: a reload changes them in place."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from operator import is_
from secrets import token_bytes

from fairlead.model.secret import Secret


class Keyring:
    """Knows a key when it is shown one. Marks of keys are compared, never keys: the time it takes tells nothing.

    Looking takes as long for a thousand keys as for one.
    """

    def __init__(self, keys: Sequence[Secret]) -> None:
        self.keys = keys
        self._salt = token_bytes(32)
        self._seen: list[Secret] = []
        self._marks: frozenset[bytes] = frozenset()
        self._texts: tuple[str, ...] = ()

    def knows(self, text: str) -> bool:
        """Whether this is one of the keys."""
        self._look()
        return bool(text) and self._mark(text) in self._marks

    def is_in(self, text: str) -> bool:
        """Whether one of the keys is a part of this."""
        self._look()
        return any(key in text for key in self._texts)

    def _mark(self, text: str) -> bytes:
        """Return what tells two texts apart, and says nothing to whoever lacks the salt."""
        return blake2b(text.encode("utf-8", "surrogateescape"), key=self._salt).digest()

    def _look(self) -> None:
        """Learn the keys anew where they are no longer those that were seen."""
        keys = self.keys
        if len(keys) == len(self._seen) and all(map(is_, keys, self._seen)):
            return
        self._seen = [*keys]
        self._marks = frozenset([self._mark(key.reveal()) for key in keys])
        self._texts = tuple([key.reveal() for key in keys])
