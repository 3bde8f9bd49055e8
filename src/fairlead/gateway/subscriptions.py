"""`/v1/subscriptions` and `/v1/entitlements`: the fields are those of `fl.subscriptions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.capabilities.subscriptions.subscription import Proration
from fairlead.gateway.answers import render_json
from fairlead.gateway.documents import acting, fairlead_of, read_document, reading, ref_of, render
from fairlead.model.call import Ref
from fairlead.runtime.subscriptions import SubscriptionsFacade


class Subscribing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody subscribes to a plan of the settings."""

    account: str
    plan: str
    customer: Ref | None = None
    method: Ref | None = None
    connection: str | None = None
    quantity: int = 1
    trial_days: int | None = None
    return_url: str | None = None
    cancel_url: str | None = None
    email: str | None = None
    metadata: Mapping[str, str] = {}
    extra: Mapping[str, Mapping[str, Any]] = {}


class Changing(msgspec.Struct, frozen=True, kw_only=True):
    """Another plan or quantity."""

    plan: str | None = None
    quantity: int | None = None
    proration: Proration = Proration.NEXT_INVOICE


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """When a subscription ends."""

    at_period_end: bool = True
    reason: str | None = None


def _subscriptions(request: Request) -> SubscriptionsFacade:
    return fairlead_of(request).subscriptions


async def create(request: Request) -> Response:
    """Subscribe."""
    given = msgspec.structs.asdict(await read_document(request, Subscribing))
    account, plan = given.pop("account"), given.pop("plan")
    return render(await _subscriptions(request).create(account, plan, **given, **_now(request)))


async def fetch(request: Request) -> Response:
    """Answer with a subscription as its vendor has it now."""
    return render(await _subscriptions(request).fetch(ref_of(request)))


async def change(request: Request) -> Response:
    """Go to another plan, or another quantity."""
    given = msgspec.structs.asdict(await read_document(request, Changing))
    return render(await _subscriptions(request).change(ref_of(request), **given, **_now(request)))


async def pause(request: Request) -> Response:
    """Charge nothing until it is resumed."""
    return render(await _subscriptions(request).pause(ref_of(request), **_now(request)))


async def resume(request: Request) -> Response:
    """Go on after a pause."""
    return render(await _subscriptions(request).resume(ref_of(request), **_now(request)))


async def cancel(request: Request) -> Response:
    """End it."""
    given = msgspec.structs.asdict(await read_document(request, Ending))
    return render(await _subscriptions(request).cancel(ref_of(request), **given, **_now(request)))


async def invoices(request: Request) -> Response:
    """Answer with what was billed."""
    return render(await _subscriptions(request).invoices(ref_of(request), **reading(request)))


async def entitled(request: Request) -> Response:
    """Answer whether an account may do something, by which subscription, and how old that knowledge is."""
    account, entitlement = request.path_params["account"], request.path_params["entitlement"]
    return render_json(await _subscriptions(request).check(account, entitlement))


def _now(request: Request) -> dict[str, Any]:
    """Return the caller's wishes; what comes of it is kept at once, so that it is waited for."""
    return {name: value for name, value in acting(request).items() if name != "background"}


_ONE = "/v1/subscriptions/{connection}/{id}"
ROUTES = [
    Route("/v1/subscriptions", create, methods=["POST"]),
    Route(_ONE, fetch),
    Route(f"{_ONE}/change", change, methods=["POST"]),
    Route(f"{_ONE}/pause", pause, methods=["POST"]),
    Route(f"{_ONE}/resume", resume, methods=["POST"]),
    Route(f"{_ONE}/cancel", cancel, methods=["POST"]),
    Route(f"{_ONE}/invoices", invoices),
    Route("/v1/entitlements/{account}/{entitlement}", entitled),
]
