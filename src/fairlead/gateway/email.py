"""`/v1/email`: send, ask what became of it, and the list of those who are not written to."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.capabilities.email import Attachment
from fairlead.capabilities.email_fields import FIELDS, write_message
from fairlead.errors import InvalidArgumentError
from fairlead.gateway.answers import render_answer, render_json
from fairlead.gateway.calls import render_accepted, wants_background
from fairlead.gateway.documents import fairlead_of
from fairlead.gateway.wishes import read_wishes
from fairlead.model.call import Ref
from fairlead.runtime.by_name import parse_number, read_choice
from fairlead.runtime.later import BackgroundCall
from fairlead.runtime.suppressions import describe

SEND = "/v1/email/send"
SUPPRESSIONS = "/v1/email/suppressions"
# Beyond what any vendor takes, attachments in base64 included.
_LONGEST_MESSAGE = 64 * 1024 * 1024
_LONGEST_WORD = 16 * 1024
_MOST = 1000
T = TypeVar("T")


class Sending(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A message in JSON: the fields of `fl.email.send`, and what its call may be given."""

    sender: str
    to: str | list[str] | None = None
    cc: str | list[str] | None = None
    bcc: str | list[str] | None = None
    reply_to: str | list[str] | None = None
    subject: str | None = None
    text: str | None = None
    html: str | None = None
    #: Their `content` is in base64.
    attachments: list[Attachment] | None = None
    headers: dict[str, str] | None = None
    tags: list[str] | None = None
    metadata: dict[str, str] | None = None
    template: str | None = None
    variables: dict[str, Any] | None = None
    each: dict[str, dict[str, Any]] | None = None
    track_opens: bool | None = None
    track_clicks: bool | None = None
    send_at: float | None = None
    unsubscribe_url: str | None = None
    unsubscribe_email: str | None = None
    extra: dict[str, dict[str, Any]] | None = None
    on_unknown: str | None = None
    tenant: str | None = None


class Listing(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An address that is to be put on the list."""

    email: str
    reason: str = "by_hand"
    detail: str = ""
    tenant: str | None = None


async def send(request: Request) -> Response:
    """Send a message; answer 200 with its receipt, or 202 where the caller prefers not to wait.

    The header `idempotency-key` is the call's: one key is one message.
    """
    given = await _read(request, Sending, longest=_LONGEST_MESSAGE)
    fields = {name: value for name in FIELDS if (value := getattr(given, name)) is not None}
    options: dict[str, Any] = {
        **read_wishes(request.headers, has_key=request.app.state.has_keys),
        "idempotency_key": request.headers.get("idempotency-key"),
        "tenant": given.tenant,
        "on_unknown": read_choice(given.on_unknown),
        "background": wants_background(request.headers),
    }
    taken: Any = await fairlead_of(request).email.send(write_message(fields), **options)
    return render_accepted(taken) if isinstance(taken, BackgroundCall) else render_answer(taken)


async def status(request: Request) -> Response:
    """Answer with what the vendor that took a message says of it by now."""
    ref = Ref(request.path_params["connection"], request.path_params["id"])
    options = read_wishes(request.headers, has_key=request.app.state.has_keys)
    return render_answer(await fairlead_of(request).email.status(ref, **options))


async def list_suppressed(request: Request) -> Response:
    """Answer with the list, newest first; `Link: rel="next"` (RFC 8288) leads to the next page."""
    words = _words(request, "tenant", "limit", "before")
    limit = min(_MOST, parse_number(words.get("limit", "100"), "limit"))
    before = parse_number(words["before"], "before") if "before" in words else None
    rows = await fairlead_of(request).suppressions.list(tenant=words.get("tenant"), limit=limit + 1, before=before)
    page, headers = rows[:limit], {}
    if len(rows) > limit:
        headers["link"] = f'<{SUPPRESSIONS}?{urlencode(words | {"before": str(page[-1].id)})}>; rel="next"'
    return render_json({"items": [describe(each) for each in page]}, headers=headers)


async def suppress(request: Request) -> Response:
    """Put an address on the list: 201, or 200 where it is there already."""
    given = await _read(request, Listing, longest=_LONGEST_WORD)
    is_new = await fairlead_of(request).suppressions.add(
        given.email, reason=given.reason, tenant=given.tenant, detail=given.detail
    )
    return render_json({"added": is_new}, status=201 if is_new else 200)


async def let_through(request: Request) -> Response:
    """Take an address off the list; `removed` says whether it was there."""
    tenant = _words(request, "tenant").get("tenant")
    return render_json(
        {"removed": await fairlead_of(request).suppressions.remove(request.path_params["email"], tenant=tenant)}
    )


async def _read(request: Request, kind: type[T], *, longest: int) -> T:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > longest:
            raise InvalidArgumentError(f"The body has more than {longest:,} bytes.", hint="Send a link in its place.")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(f"The body cannot be read: {error}", hint="Send JSON as the docs have it.") from None


def _words(request: Request, *known: str) -> dict[str, str]:
    words = dict(request.query_params)
    odd = words.keys() - set(known)
    if odd:
        raise InvalidArgumentError(f"{min(odd)!r} is no word here.", hint=f"There are: {', '.join(known)}.")
    return words


ROUTES = [
    Route(SEND, send, methods=["POST"]),
    Route(SUPPRESSIONS, list_suppressed),
    Route(SUPPRESSIONS, suppress, methods=["POST"]),
    Route(SUPPRESSIONS + "/{email}", let_through, methods=["DELETE"]),
    Route("/v1/email/{connection}/{id}", status),
]
