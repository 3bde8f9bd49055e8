"""A stand-in for an API of your own: a shop that takes an order once for each idempotency key.

$ python shop.py 4003
$ curl http://127.0.0.1:4003/_fake/books
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.server import FakeServer


class ShopFake(FakeServer):
    """Takes orders: `POST /orders` with an `Idempotency-Key`, for one thing or more."""

    CREDENTIALS: ClassVar[Mapping[str, str]] = {"token": "fake-token"}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.orders: dict[str, bytes] = {}

    def forget(self) -> None:
        """Have no orders."""
        self.orders.clear()

    def operation(self, request: FakeRequest) -> str:
        """Name what is asked."""
        return "placeOrder" if (request.method, request.path) == ("POST", "/orders") else "unknown"

    def answer(self, request: FakeRequest) -> FakeReply:
        """Take an order, or say again what became of it."""
        if request.headers.get("authorization") != f"Bearer {self.CREDENTIALS['token']}":
            return self.error(401)
        if self.operation(request) == "unknown":
            return self.error(404)
        key = request.headers.get("idempotency-key")
        if not key or json.loads(request.body)["quantity"] < 1 or self.orders.get(key, request.body) != request.body:
            return self.error(422)
        self.orders[key] = request.body
        return FakeReply.json(201, {"id": f"order-{list(self.orders).index(key) + 1}"})

    def error(self, status: int) -> FakeReply:
        """Say that something is wrong."""
        return FakeReply.json(status, {"message": "The shop cannot do this."})


async def main(port: int) -> None:
    """Serve until Ctrl-C."""
    async with ShopFake(port=port) as shop:
        print(shop.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1])))
