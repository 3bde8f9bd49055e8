"""An operation: a generator that yields requests and receives responses, and does no I/O."""

from collections.abc import Generator
from typing import TypeAlias, TypeVar

from fairlead.model.message import Request, Response

T = TypeVar("T")

#: Written in a provider as `response = yield Request.get(...)`; the runtime drives it.
Operation: TypeAlias = Generator[Request, Response, T]
