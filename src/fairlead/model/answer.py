"""What every answer of Fairlead carries beside its content."""

from __future__ import annotations

import msgspec

from fairlead.model.call import CacheUse, CallReport


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of everything a call returns: the content, and the report of how it came about."""

    call: CallReport | None = None

    @property
    def served_by(self) -> str | None:
        """The name of the connection that answered."""
        return self.call.served_by if self.call else None

    @property
    def is_stale(self) -> bool:
        """Whether this is an earlier answer: no vendor could give a fresh one, or one is just being fetched."""
        return self.call is not None and self.call.cache in {CacheUse.STALE, CacheUse.REFRESHING}
