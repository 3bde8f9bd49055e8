"""The gateway's own keys, as they are by now: a reload changes them in place."""

from __future__ import annotations

from collections.abc import Sequence
from hmac import compare_digest

from fairlead.model.secret import Secret


class Keyring:
    """Knows a key when it is shown one. Every key is compared, each in constant time: the time it takes tells nothing.

    Keys are few. What is compared is made once: making it costs more than comparing.
    """

    def __init__(self, keys: Sequence[Secret]) -> None:
        self.keys = keys
        self._seen: list[Secret] = []
        self._texts: tuple[str, ...] = ()
        self._codes: tuple[bytes, ...] = ()

    def knows(self, text: str) -> bool:
        """Whether this is one of the keys."""
        self._look()
        shown = text.encode("utf-8", "surrogateescape")
        matches = [compare_digest(shown, key) for key in self._codes]
        return bool(text) and True in matches

    def is_in(self, text: str) -> bool:
        """Whether one of the keys is a part of this."""
        self._look()
        return any([key in text for key in self._texts])  # noqa: C419  # there are few: a generator costs more

    def _look(self) -> None:
        """Learn the keys anew where they are no longer those that were seen."""
        keys = [*self.keys]
        if keys == self._seen:
            return
        self._seen = keys
        self._texts = tuple([key.reveal() for key in keys])
        self._codes = tuple([text.encode() for text in self._texts])
