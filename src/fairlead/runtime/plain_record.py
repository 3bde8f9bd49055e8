"""How a plain request is written down in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from fairlead.model.answer import Answer
from fairlead.model.message import Request, Response
from fairlead.model.operation import Operation
from fairlead.runtime.packing import pack, pack_arguments, unpack
from fairlead.runtime.record import Record, no_look, unknowable
from fairlead.runtime.rows import Asked

T = TypeVar("T")


class Decoded(Answer, Generic[T], frozen=True, kw_only=True):
    """An answer as the caller's model, and as it came."""

    value: T
    response: Response


def record_plain(connection: str, request: Request, read: Callable[[Response], Answer]) -> Record:
    """Say how a plain request is written down. What is kept of its answer is the answer, and not the model."""
    name = request.method.lower()

    def begin(_: object, __: str) -> Operation[Answer]:
        return read((yield request))

    return Record(
        asked=Asked(
            target=f"http:{connection}",
            operation=name,
            effect=request.effect,
            arguments=pack_arguments((request,), f"http.{name}"),
        ),
        arguments=(request,),
        begin=begin,
        pack=_pack,
        unpack=lambda data: read(unpack(data, Response)),
        settlement=unknowable,
        look=no_look,
    )


def _pack(answer: Any) -> bytes:
    """Keep the status, the fields and the body: not how this one call came about."""
    response = answer.response if isinstance(answer, Decoded) else answer
    return pack(Response(status=response.status, headers=response.headers, body=response.body))
