"""`/v1/webhooks`: the events that vendors sent, what became of them, and what was turned away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.errors import InvalidArgumentError
from fairlead.gateway.answers import render_json, render_problem
from fairlead.gateway.documents import fairlead_of
from fairlead.runtime.event_words import event_document, parse_filter, parse_hours, parse_id, parse_page

EVENTS = "/v1/webhooks/events"
# A filter is short.
_LONGEST_FILTER = 16 * 1024


async def list_events(request: Request) -> Response:
    """Answer with events, newest first; `Link: rel="next"` (RFC 8288) leads to the next page."""
    fl = fairlead_of(request)
    words = dict(request.query_params)
    asked = parse_page(words, now=fl.ports.clock.wall())
    found = await fl.webhooks.list(**(asked | {"limit": asked["limit"] + 1}))
    page, headers = found[: asked["limit"]], {}
    if len(found) > len(page):
        headers["link"] = f'<{EVENTS}?{urlencode(words | {"before": page[-1].id})}>; rel="next"'
    return render_json({"items": [event_document(each) for each in page]}, headers=headers)


async def show_event(request: Request) -> Response:
    """Answer with one event, and what came."""
    record = await fairlead_of(request).webhooks.show(parse_id(request.path_params["id"]))
    return render_json(event_document(record)) if record else _unknown_event()


async def replay_event(request: Request) -> Response:
    """Have one event handled again, where it is over."""
    webhooks, identifier = fairlead_of(request).webhooks, parse_id(request.path_params["id"])
    if await webhooks.show(identifier) is None:
        return _unknown_event()
    return render_json({"replayed": await webhooks.replay(identifier)}, status=202)


async def replay_events(request: Request) -> Response:
    """Have all events handled again that are over and fit the filter in the body."""
    fl = fairlead_of(request)
    words = await _read_filter(request)
    return render_json(
        {"replayed": await fl.webhooks.replay(**parse_filter(words, now=fl.ports.clock.wall()))}, status=202
    )


async def list_rejects(request: Request) -> Response:
    """Answer with what was turned away, by hour and reason; what was counted just now is among it."""
    fl = fairlead_of(request)
    asked = _read_period(request, "connection")
    await fl.inbox.settle()
    return render_json({"items": await fl.webhooks.rejects(**asked)})


async def list_tallies(request: Request) -> Response:
    """Answer with how many events came and how they ended, by hour."""
    return render_json({"items": await fairlead_of(request).webhooks.tallies(**_read_period(request))})


async def _read_filter(request: Request) -> Mapping[str, str]:
    """Read the body of a replay: a JSON object of words."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST_FILTER:
            raise InvalidArgumentError("The filter is too long.")
    try:
        return msgspec.json.decode(body, type=dict[str, str])
    except msgspec.DecodeError:
        raise InvalidArgumentError(
            "The body is no filter of events.", hint='Send JSON, as {"connection": "NAME", "state": "dead"}.'
        ) from None


def _read_period(request: Request, *more: str) -> dict[str, Any]:
    """Read how many hours are asked for, and what else there may be."""
    words = dict(request.query_params)
    odd = words.keys() - {"hours", *more}
    if odd:
        raise InvalidArgumentError(f"{min(odd)!r} is no word here.", hint=f"There are: {', '.join(('hours', *more))}.")
    hours = {"hours": parse_hours(words["hours"])} if "hours" in words else {}
    return hours | {name: words[name] for name in more if name in words}


def _unknown_event() -> Response:
    return render_problem(404, "unknown_event", "No event has this id.", "Those that are over are kept for a while.")


ROUTES = [
    Route(EVENTS, list_events),
    Route(f"{EVENTS}/{{id}}", show_event),
    Route(f"{EVENTS}/{{id}}/replay", replay_event, methods=["POST"]),
    Route("/v1/webhooks/replay", replay_events, methods=["POST"]),
    Route("/v1/webhooks/rejects", list_rejects),
    Route("/v1/webhooks/tallies", list_tallies),
]
