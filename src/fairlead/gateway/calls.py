"""`/v1/calls`: the calls that are kept, for their callers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.errors import InvalidArgumentError
from fairlead.gateway.answers import render_answer, render_json
from fairlead.gateway.veil import Veil
from fairlead.gateway.wishes import read_wishes
from fairlead.model.message import Request as Proxied
from fairlead.model.message import Response as Answered
from fairlead.runtime.by_name import parse_number
from fairlead.runtime.connection import Connection
from fairlead.runtime.later import BackgroundCall, BackgroundCalls
from fairlead.storage.jobs import JobState

CALLS = "/v1/calls"
_MOST = 1000
# An answer is waited for so long, in seconds, unless the caller says otherwise.
_WAIT_S = 30.0
# What of a vendor's fields goes with its body.
_KEPT = {"content-type", "content-encoding", "content-language", "location", "etag", "last-modified"}


async def list_calls(request: Request) -> Response:
    """Answer with the newest calls that fit; `before` is the id of the last one seen."""
    given = request.query_params
    wanted: dict[str, Any] = {name: given[name] for name in ("operation", "tenant", "before") if name in given}
    if "state" in given:
        if given["state"].upper() not in JobState.__members__:
            raise InvalidArgumentError(
                "state is not one of them.", hint=f"Use one of {', '.join(each.name.lower() for each in JobState)}."
            )
        wanted["state"] = JobState[given["state"].upper()]
    wanted["limit"] = min(_MOST, parse_number(given.get("limit", "50"), "limit"))
    return render_json({"calls": await _calls(request).list(**wanted)})


async def get(request: Request) -> Response:
    """Answer how a call stands."""
    return render_json(await _calls(request).get(request.path_params["id"]))


async def answer(request: Request) -> Response:
    """Answer with what the call came to, or with its error; one that is not over is waited for."""
    options = read_wishes(request.headers, has_key=request.app.state.has_keys)
    found = await _calls(request).wait(request.path_params["id"], deadline_s=options.get("deadline_s", _WAIT_S))
    if not isinstance(found, Answered):
        return render_answer(found)
    # Many repeat the key that they were asked with: in a body, or where they lead to.
    connections = request.app.state.fairlead.connections.values()
    veil = Veil(secret for each in connections for secret in each.credentials.values())
    kept = {
        name: veil.whole(value.encode("latin-1", "replace")).decode("latin-1")
        for name, value in found.headers.items()
        if name in _KEPT
    }
    return Response(veil.whole(found.body), found.status, headers=kept)


async def cancel(request: Request) -> Response:
    """Cancel a call; `cancelled` says whether it could be."""
    return render_json({"cancelled": await _calls(request).cancel(request.path_params["id"])})


async def retry(request: Request) -> Response:
    """Try a call again that was given up or cancelled."""
    return render_json({"retried": await _calls(request).retry(request.path_params["id"])})


def render_accepted(call: BackgroundCall[Any]) -> Response:
    """Answer for a call that is durable now: 202, and where it is (RFC 9110 §15.3.3, RFC 7240 §4.1)."""
    headers = {
        "location": f"{CALLS}/{call.id}", "fairlead-call-id": call.id, "preference-applied": "respond-async"
    }  # fmt: skip
    return render_json(call, status=202, headers=headers)


def wants_background(fields: Mapping[str, str]) -> bool:
    """Whether the caller prefers not to wait: `fairlead-background: true`, or `prefer: respond-async` (RFC 7240)."""
    preferred = {each.strip().lower() for each in fields.get("prefer", "").split(",")}
    return fields.get("fairlead-background", "").strip().lower() == "true" or "respond-async" in preferred


def for_later(request: Proxied, connection: Connection) -> Proxied:
    """Return a proxied request as it is kept: its key is the call's, and its answer is whole and not packed."""
    name = (connection.provider.idempotency_header or "").lower()
    gone = {"accept-encoding", "prefer", name}
    keys = [value for field, value in request.headers if name and field == name]
    return msgspec.structs.replace(
        request,
        headers=tuple(pair for pair in request.headers if pair[0] not in gone),
        idempotency_key=keys[0] if keys else None,
        is_streamed=False,
        is_raw=False,
    )


def _calls(request: Request) -> BackgroundCalls:
    calls: BackgroundCalls = request.app.state.fairlead.calls
    return calls


ROUTES = [
    Route(CALLS, list_calls),
    Route(CALLS + "/{id}", get),
    Route(CALLS + "/{id}/answer", answer),
    Route(CALLS + "/{id}", cancel, methods=["DELETE"]),
    Route(CALLS + "/{id}/retry", retry, methods=["POST"]),
]
