"""`/v1/payments`, `/v1/customers`, `/v1/disputes` and `/v1/checkouts`: the fields are those of `fl.payments`."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.capabilities.payments.checkout import NewCheckout
from fairlead.capabilities.payments.customer import NewCustomer
from fairlead.capabilities.payments.dispute import DisputeQuery, Evidence
from fairlead.capabilities.payments.payment import NewPayment, PaymentQuery
from fairlead.gateway.documents import acting, fairlead_of, read_document, reading, ref_of, render
from fairlead.model.money import Money
from fairlead.runtime.by_name import parse_number
from fairlead.runtime.payments import PaymentsFacade


class Taking(msgspec.Struct, frozen=True):
    """How much of a payment is captured; all of it unless set."""

    amount: Money | None = None


class GivingBack(msgspec.Struct, frozen=True):
    """How much of a payment is given back, and why; all that is left of it unless set."""

    amount: Money | None = None
    reason: str | None = None
    note: str | None = None


class Token(msgspec.Struct, frozen=True):
    """A token that is to be kept for a customer."""

    token: str


class Return(msgspec.Struct, frozen=True):
    """Where somebody comes back to."""

    return_url: str | None = None


def _payments(request: Request) -> PaymentsFacade:
    return fairlead_of(request).payments


# --- Payments -----------------------------------------------------------------------------------------------------


async def create(request: Request) -> Response:
    """Make a payment."""
    return render(await _payments(request).create(await read_document(request, NewPayment), **acting(request)))


async def fetch(request: Request) -> Response:
    """Answer with a payment as its processor has it."""
    return render(await _payments(request).fetch(ref_of(request), **reading(request)))


async def list_payments(request: Request) -> Response:
    """Answer with the payments of a connection, newest first; `cursor` is the id of the `next` of the page before."""
    words = request.query_params
    query = PaymentQuery(
        since=_time(request, "since"),
        until=_time(request, "until"),
        customer=words.get("customer"),
        limit=parse_number(words.get("limit", "100"), "limit"),
        cursor=words.get("cursor"),
    )
    return render(await _payments(request).list(request.path_params["connection"], query, **reading(request)))


async def confirm(request: Request) -> Response:
    """Go on with a payment."""
    return render(await _payments(request).confirm(ref_of(request), **acting(request)))


async def capture(request: Request) -> Response:
    """Take money that is reserved."""
    given = await read_document(request, Taking)
    return render(await _payments(request).capture(ref_of(request), amount=given.amount, **acting(request)))


async def cancel(request: Request) -> Response:
    """Let go of a payment."""
    return render(await _payments(request).cancel(ref_of(request), **acting(request)))


async def refund(request: Request) -> Response:
    """Give money back."""
    given = await read_document(request, GivingBack)
    back = msgspec.structs.asdict(given)
    return render(await _payments(request).refund(ref_of(request), **back, **acting(request)))


async def fetch_refund(request: Request) -> Response:
    """Answer with a refund as its processor has it."""
    return render(await _payments(request).fetch_refund(ref_of(request), **reading(request)))


# --- Customers ----------------------------------------------------------------------------------------------------


async def create_customer(request: Request) -> Response:
    """Let a processor know of a customer: that of the path, or whichever the route comes to."""
    given, at = await read_document(request, NewCustomer), request.path_params.get("connection")
    return render(await _payments(request).customers.create(given, connection=at, **acting(request)))


async def fetch_customer(request: Request) -> Response:
    """Answer with a customer."""
    return render(await _payments(request).customers.fetch(ref_of(request), **reading(request)))


async def methods(request: Request) -> Response:
    """Answer with what a customer can be charged by."""
    return render(await _payments(request).customers.methods(ref_of(request), **reading(request)))


async def keep_method(request: Request) -> Response:
    """Keep a token for a customer."""
    given = await read_document(request, Token)
    return render(await _payments(request).customers.keep_method(ref_of(request), given.token, **acting(request)))


async def drop_method(request: Request) -> Response:
    """Forget a method."""
    await _payments(request).customers.drop_method(ref_of(request), **acting(request))
    return Response(status_code=204)


async def portal(request: Request) -> Response:
    """Make a page on which a customer looks after methods and subscriptions."""
    given = await read_document(request, Return)
    page = await _payments(request).pages.portal(ref_of(request), return_url=given.return_url, **acting(request))
    return render(page)


# --- Disputes and pages -------------------------------------------------------------------------------------------


async def list_disputes(request: Request) -> Response:
    """Answer with the disputes of a connection, newest first."""
    query = DisputeQuery(
        since=_time(request, "since"), until=_time(request, "until"), cursor=request.query_params.get("cursor")
    )
    return render(await _payments(request).disputes.list(request.path_params["connection"], query, **reading(request)))


async def fetch_dispute(request: Request) -> Response:
    """Answer with a dispute as it is now."""
    return render(await _payments(request).disputes.fetch(ref_of(request), **reading(request)))


async def submit_evidence(request: Request) -> Response:
    """Say what speaks for us."""
    evidence = await read_document(request, Evidence)
    return render(await _payments(request).disputes.submit(ref_of(request), evidence, **acting(request)))


async def accept_dispute(request: Request) -> Response:
    """Give in."""
    return render(await _payments(request).disputes.accept(ref_of(request), **acting(request)))


async def checkout(request: Request) -> Response:
    """Make a page on which somebody pays or subscribes: at the connection of the path, or by route."""
    given, at = await read_document(request, NewCheckout), request.path_params.get("connection")
    return render(await _payments(request).pages.checkout(given, connection=at, **acting(request)))


async def fetch_checkout(request: Request) -> Response:
    """Answer with such a page as it is now."""
    return render(await _payments(request).pages.fetch(ref_of(request), **reading(request)))


def _time(request: Request, word: str) -> float | None:
    """Return a time of the query, in whole seconds since 1970."""
    given = request.query_params.get(word)
    return None if given is None else float(parse_number(given, word))


_ONE = "/{connection}/{id}"
ROUTES = [
    Route("/v1/payments", create, methods=["POST"]),
    Route("/v1/payments/{connection}", list_payments),
    Route(f"/v1/payments{_ONE}", fetch),
    Route(f"/v1/payments{_ONE}/confirm", confirm, methods=["POST"]),
    Route(f"/v1/payments{_ONE}/capture", capture, methods=["POST"]),
    Route(f"/v1/payments{_ONE}/cancel", cancel, methods=["POST"]),
    Route(f"/v1/payments{_ONE}/refund", refund, methods=["POST"]),
    Route(f"/v1/refunds{_ONE}", fetch_refund),
    Route("/v1/customers", create_customer, methods=["POST"]),
    Route("/v1/customers/{connection}", create_customer, methods=["POST"]),
    Route(f"/v1/customers{_ONE}", fetch_customer),
    Route(f"/v1/customers{_ONE}/methods", methods),
    Route(f"/v1/customers{_ONE}/methods", keep_method, methods=["POST"]),
    Route(f"/v1/customers{_ONE}/portal", portal, methods=["POST"]),
    Route(f"/v1/methods{_ONE}", drop_method, methods=["DELETE"]),
    Route("/v1/disputes/{connection}", list_disputes),
    Route(f"/v1/disputes{_ONE}", fetch_dispute),
    Route(f"/v1/disputes{_ONE}/evidence", submit_evidence, methods=["POST"]),
    Route(f"/v1/disputes{_ONE}/accept", accept_dispute, methods=["POST"]),
    Route("/v1/checkouts", checkout, methods=["POST"]),
    Route("/v1/checkouts/{connection}", checkout, methods=["POST"]),
    Route(f"/v1/checkouts{_ONE}", fetch_checkout),
]
