"""What every group of settings is made of."""

from __future__ import annotations

from typing import Annotated

import msgspec

#: More than nothing, and at most a year.
Seconds = Annotated[float, msgspec.Meta(gt=0, le=31_536_000)]
Count = Annotated[int, msgspec.Meta(ge=1)]
#: In seconds; at most a year.
Age = Annotated[float, msgspec.Meta(ge=0, le=31_536_000)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every group of settings."""
