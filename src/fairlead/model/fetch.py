"""A look-up outside of any connection: what a verification must read before it can decide."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

import msgspec

from fairlead.model.message import Response

T = TypeVar("T")


class Fetch(msgspec.Struct, frozen=True):
    """GET of an absolute https URL whose host has been checked.

    Whoever drives it sends no credential with it and follows no redirect, and may keep a good answer `is_kept`: what
    stands at such an address does not change.
    """

    url: str
    is_kept: bool = False


#: A generator that yields a `Fetch` where it must, and receives its `Response`; the runtime drives it.
Lookup: TypeAlias = Generator[Fetch, Response, T]
