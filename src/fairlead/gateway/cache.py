"""`POST /v1/cache/invalidate`: forget kept answers by their tags."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.errors import InvalidArgumentError
from fairlead.gateway.answers import render_json

# Of a body, in bytes: some thousand tags.
_LONGEST = 256 * 1024


class _Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a caller asks for. Without a tag nothing would be forgotten: that is a slip, and is told."""

    tags: tuple[str, ...]


async def invalidate(request: Request) -> Response:
    """Forget the answers that have any of the tags; say how many were, in this process."""
    wanted = _read(await _body(request))
    forgotten = await request.app.state.fairlead.invalidate(*wanted.tags)
    return render_json({"forgotten": forgotten})


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST:
            raise InvalidArgumentError("The body is too long.", hint="Send at most 256 KiB at once.")
    return body


def _read(body: bytes) -> _Wanted:
    hint = 'Send JSON as {"tags": ["recipes.search", "shop:/items/42"]}.'
    try:
        wanted = msgspec.json.decode(body, type=_Wanted)
    except msgspec.DecodeError as error:
        raise InvalidArgumentError(f"The body cannot be read: {error}.", hint=hint) from None
    if not wanted.tags or not all(wanted.tags):
        raise InvalidArgumentError("There is no tag, or an empty one.", hint=hint)
    return wanted


ROUTES = [Route("/v1/cache/invalidate", invalidate, methods=["POST"])]
