"""JSON in and out of the gateway's own pages."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fairlead.errors import InvalidArgumentError
from fairlead.gateway.answers import render_answer
from fairlead.gateway.calls import render_accepted, wants_background
from fairlead.gateway.wishes import read_wishes
from fairlead.model.call import Ref
from fairlead.model.suggest import suggest
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.later import BackgroundCall

_LONGEST = 256 * 1024
T = TypeVar("T", bound=msgspec.Struct)


async def read_document(request: Request, kind: type[T]) -> T:
    """Read the body, a JSON object with the fields of `kind`; raise `InvalidArgumentError` naming what does not fit.

    A field that nobody knows is refused: one that is misspelt would be left out, and something else done than was
    meant.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST:
            raise InvalidArgumentError(f"The body has more than {_LONGEST:,} bytes.", hint="Send less.")
    try:
        given = msgspec.json.decode(body or b"{}", type=dict[str, Any])
        known = [each.encode_name for each in msgspec.structs.fields(kind)]
        odd = next((name for name in given if name not in known), None)
        if odd is not None:
            raise InvalidArgumentError(f"{odd!r} is no field here.", hint=suggest(odd, known))
        return msgspec.convert(given, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(
            f"The body cannot be read: {error}.", hint="Send JSON as the docs have it."
        ) from None


def render(found: Any) -> Response:
    """Answer with what a call gave: its content, or where it is kept for later."""
    return render_accepted(found) if isinstance(found, BackgroundCall) else render_answer(found)


def fairlead_of(request: Request) -> Fairlead:
    """Return what the gateway makes its calls with."""
    fl: Fairlead = request.app.state.fairlead
    return fl


def ref_of(request: Request) -> Ref:
    """Return what the path names: `/{connection}/{id}`."""
    return Ref(request.path_params["connection"], request.path_params["id"])


def reading(request: Request) -> dict[str, Any]:
    """Return what the caller wishes of a call that reads."""
    return {**read_wishes(request.headers, has_key=request.app.state.has_keys)}


def acting(request: Request) -> dict[str, Any]:
    """Return what the caller wishes of a call that acts; its key is in the header `idempotency-key`."""
    later = {"background": True} if wants_background(request.headers) else {}
    return {**reading(request), "idempotency_key": request.headers.get("idempotency-key"), **later}
