"""Published clients of two payment vendors, unchanged but for their base URL and key: through the gateway.

The vendors' answers have the shape that their documentation gives, with what these clients read of it, in our words.
"""

from __future__ import annotations

import asyncio
import io
import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
import razorpay
import stripe

from gateway.proxied import BEARER, KEY, VENDOR_KEY, proxied
from raw_server import Peer, Script
from stages import http

#: The method and path of a request, and what it was asked, in its query or body -> status and answer.
Vendor = Callable[[str, dict[str, list[str]], bytes], tuple[int, Any]]
BASIC = 'auth = { scheme = "basic" }\ncredentials = { user = "env:VENDOR", password = "env:VENDOR" }'


def answering(vendor: Vendor) -> Script:
    async def script(peer: Peer) -> None:
        while True:
            head, _, body = (await peer.read_request()).partition(b"\r\n\r\n")
            method, target, _ = head.decode().split("\r\n")[0].split(" ")
            path, _, query = target.partition("?")
            status, document = vendor(f"{method} {path}", parse_qs(query or body.decode("latin-1")), body)
            await peer.send(http(status, json.dumps(document).encode(), "Request-Id: req_1"))

    return script


def fields_of(request: bytes) -> dict[str, str]:
    lines = request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


# --- A bearer token, forms, idempotency keys, lists that page themselves ------------------------------------------


def customer(number: int) -> dict[str, Any]:
    return {"id": f"cus_{number}", "object": "customer", "email": f"{number}@table.test", "metadata": {}}


def stripe_vendor(asked: str, given: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
    match asked:
        case "POST /v1/customers":
            return 200, customer(1) | {"email": given["email"][0], "metadata": {"table": given["metadata[table]"][0]}}
        case "GET /v1/customers":
            first = int(given.get("starting_after", ["cus_0"])[0][4:]) + 1
            data = [customer(number) for number in range(first, min(first + 2, 6))]
            return 200, {"object": "list", "url": "/v1/customers", "data": data, "has_more": first + 2 < 6}
        case "POST /v1/payment_intents":
            said = {
                "type": "card_error",
                "code": "card_declined",
                "decline_code": "do_not_honor",
                "message": "Declined.",
            }
            return 402, {"error": said}
        case "POST /v1/files":
            _, _, part = body.partition(b'filename="menu.txt"')
            content = part.split(b"\r\n\r\n")[1].split(b"\r\n")[0]
            return 200, {"id": "file_1", "object": "file", "size": len(content)}
    return 404, {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such thing."}}


def stripe_at(port: int, key: str = KEY) -> stripe.StripeClient:
    place = f"http://127.0.0.1:{port}/proxy/shop"
    return stripe.StripeClient(key, base_addresses={"api": place, "files": place})


async def test_stripe_sends_a_form_with_a_key_of_its_own_for_repeats() -> None:
    async with proxied(answering(stripe_vendor), BEARER, path="") as all_:
        made = await asyncio.to_thread(
            stripe_at(all_.port).v1.customers.create,
            {"email": "ü+1@table.test", "metadata": {"table": "7 & 8"}},
            {"idempotency_key": "mine-1"},
        )
    assert (made.id, made.email, made.metadata and made.metadata["table"]) == ("cus_1", "ü+1@table.test", "7 & 8")
    assert made.last_response is not None
    assert made.last_response.request_id == "req_1"
    (request,) = all_.vendor.requests
    fields = fields_of(request)
    assert fields["authorization"] == f"Bearer {VENDOR_KEY}"
    assert fields["idempotency-key"] == "mine-1"
    assert fields["content-type"] == "application/x-www-form-urlencoded"
    assert fields["stripe-version"]
    assert KEY.encode() not in request


async def test_what_stripe_deduplicates_is_repeated_by_the_gateway() -> None:
    answers = iter([(500, {"error": {"message": "Try again."}}), (200, customer(1))])
    async with proxied(answering(lambda *_: next(answers)), BEARER, path="") as all_:
        made = await asyncio.to_thread(stripe_at(all_.port).v1.customers.create, {"email": "1@table.test"})
    assert made.id == "cus_1"
    keys = {fields_of(request)["idempotency-key"] for request in all_.vendor.requests}
    assert (len(all_.vendor.requests), len(keys)) == (2, 1)


async def test_stripes_lists_page_themselves() -> None:
    def read(port: int) -> list[str]:
        return [each.id for each in stripe_at(port).v1.customers.list({"limit": 2}).auto_paging_iter()]

    async with proxied(answering(stripe_vendor), BEARER, path="") as all_:
        assert await asyncio.to_thread(read, all_.port) == [f"cus_{number}" for number in range(1, 6)]
    assert len(all_.vendor.requests) == 3


async def test_stripe_uploads_a_file() -> None:
    def send(port: int) -> stripe.File:
        file = io.BytesIO(b"soup")
        file.name = "menu.txt"
        return stripe_at(port).v1.files.create({"file": file, "purpose": "dispute_evidence"})

    async with proxied(answering(stripe_vendor), BEARER, path="") as all_:
        assert (await asyncio.to_thread(send, all_.port)).size == 4


async def test_stripes_errors_are_its_own() -> None:
    async with proxied(answering(stripe_vendor), BEARER, path="") as all_:
        client = stripe_at(all_.port)
        with pytest.raises(stripe.CardError, match="Declined") as declined:
            await asyncio.to_thread(client.v1.payment_intents.create, {"amount": 100, "currency": "eur"})
        assert (declined.value.code, declined.value.http_status) == ("card_declined", 402)
        with pytest.raises(stripe.InvalidRequestError, match="No such thing"):
            await asyncio.to_thread(client.v1.customers.retrieve, "cus_9")
        asked = len(all_.vendor.requests)
        with pytest.raises(stripe.StripeError) as refused:
            await asyncio.to_thread(stripe_at(all_.port, "wrong").v1.customers.retrieve, "cus_1")
        assert refused.value.http_status == 401
        assert len(all_.vendor.requests) == asked


# --- User and password, JSON --------------------------------------------------------------------------------------


def razorpay_vendor(asked: str, given: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
    match asked:
        case "POST /v1/orders":
            return 200, {"id": "order_1", "entity": "order", **json.loads(body)}
        case "GET /v1/payments":
            first = int(given.get("skip", ["0"])[0])
            items = [{"id": f"pay_{number}"} for number in range(first, min(first + int(given["count"][0]), 3))]
            return 200, {"entity": "collection", "count": len(items), "items": items}
    return 400, {"error": {"code": "BAD_REQUEST_ERROR", "description": "The id does not exist."}}


def razorpay_at(port: int, *login: str) -> Any:
    return razorpay.Client(auth=login or ("anybody", KEY), base_url=f"http://127.0.0.1:{port}/proxy/shop")


async def test_razorpay_shows_the_key_as_its_password() -> None:
    async with proxied(answering(razorpay_vendor), BASIC, path="") as all_:
        client = razorpay_at(all_.port)
        made = await asyncio.to_thread(client.order.create, {"amount": 5000, "currency": "INR"})
        assert made == {"id": "order_1", "entity": "order", "amount": 5000, "currency": "INR"}
        pages = [await asyncio.to_thread(client.payment.all, {"count": 2, "skip": at}) for at in (0, 2)]
        assert [item["id"] for page in pages for item in page["items"]] == ["pay_0", "pay_1", "pay_2"]
        with pytest.raises(razorpay.errors.BadRequestError, match="does not exist"):
            await asyncio.to_thread(client.order.fetch, "order_9")
        with pytest.raises(razorpay.errors.ServerError):  # what it makes of an error without its vendor's code
            await asyncio.to_thread(razorpay_at(all_.port, "anybody", "wrong").order.fetch, "order_1")
    login = b64encode(f"{VENDOR_KEY}:{VENDOR_KEY}".encode()).decode()
    assert {fields_of(request)["authorization"] for request in all_.vendor.requests} == {f"Basic {login}"}
    assert len(all_.vendor.requests) == 4
