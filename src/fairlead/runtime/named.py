"""An operation by its name, as the command line and the gateway know it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.wanted import CallOptions

Words = Mapping[str, str]


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """One operation by its name: the words it takes (a `!` marks those it must have), and how it is called."""

    words: Mapping[str, str]
    run: Callable[[Fairlead, Words, CallOptions], Awaitable[Any]]
