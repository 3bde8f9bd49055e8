"""A vendor that changes its answers while it is in use, over real sockets."""

from __future__ import annotations

import asyncio
import io
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fairlead import Fairlead, ResponseMapping, errors
from fairlead.config.read import parse_settings
from fairlead.observe.events import DriftFound, Event, EventStream
from fairlead.observe.logs import Logs
from fairlead.observe.metrics import Metrics
from fairlead.runtime.ports import Ports
from fairlead.sync import Fairlead as SyncFairlead
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.server import FakeServer

CONFIG = """
[connections.acme]
base_url = "{url}"
allow_private = true

[connections.acme.mappings.order]
version = "3"

[connections.acme.mappings.order.fields]
number = {{ type = "integer", names = ["id"] }}
total = {{ type = "decimal", names = ["total", "sum"] }}
"""


class Acme(FakeServer):
    """One order, as it is at the time."""

    content: Any = {"id": 7, "total": "1.10"}  # noqa: RUF012  # a test sets its own

    def operation(self, request: FakeRequest) -> str:  # noqa: ARG002  # there is but one
        return "order"

    def answer(self, request: FakeRequest) -> FakeReply:  # noqa: ARG002  # likewise
        return FakeReply.json(200, self.content)


class Order(msgspec.Struct, frozen=True):
    id: int
    total: Decimal
    currency: str = "EUR"


ORDER = ResponseMapping(model=Order, version="2026-11-24", renames={"total": "sum"})


class Told:
    """What was told of drift, in each way there is."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.metrics = Metrics()
        self.lines = io.StringIO()
        self.ports = Ports(events=EventStream((self.events.append, self.metrics, Logs(self.lines))))

    def paths(self) -> list[tuple[str, str, bool]]:
        found = [each for each in self.events if isinstance(each, DriftFound)]
        return [(each.kind.value, each.path, each.is_tolerated) for each in found]

    def counted(self) -> list[str]:
        lines = self.metrics.render().decode().splitlines()
        return [line for line in lines if line.startswith("fairlead_drift_total")]

    def logged(self) -> list[dict[str, Any]]:
        lines = map(json.loads, self.lines.getvalue().splitlines())
        return [line for line in lines if line["event"] == "DriftFound"]


async def test_a_vendor_that_changes_is_read_while_that_can_be_and_told_of_once() -> None:
    told = Told()
    async with Acme() as vendor, Fairlead(parse_settings(CONFIG.format(url=vendor.url)), ports=told.ports) as fl:
        acme = fl.http("acme")
        vendor.content = {"id": 7, "total": "1.10", "currency": "EUR"}
        assert await acme.get("/orders/7", model=ORDER) == Order(7, Decimal("1.10"))
        assert told.paths() == []

        vendor.content = {"id": "7", "sum": 1.10, "Currency": "CHF", "new": "x"}
        for _ in range(20):
            assert await acme.get("/orders/7", model=ORDER) == Order(7, Decimal("1.1"), "CHF")
        assert told.paths() == [
            ("renamed", "$.currency", True),
            ("added", "$.new", True),
            ("retyped", "$.id", True),
        ]

        vendor.content = {"id": 7, "total": [1, 10], "currency": "EUR"}
        for _ in range(3):
            with pytest.raises(errors.UnexpectedAnswerError) as caught:
                await acme.get("/orders/7", model=ORDER)
            assert caught.value.path == "$.total"
        assert told.paths()[3:] == [("retyped", "$.total", False)]

    labels = 'connection="acme",kind="{}",mapping="Order",tolerated="{}"'
    assert sorted(told.counted()) == [
        f"fairlead_drift_total{{{labels.format(kind, tolerated)}}} 1.0"
        for kind, tolerated in [("added", "true"), ("renamed", "true"), ("retyped", "false"), ("retyped", "true")]
    ]
    assert [(line["level"], line["path"]) for line in told.logged()] == [
        ("warning", path) for _, path, _ in told.paths()
    ]


async def test_a_mapping_of_the_configuration_is_read_and_watched() -> None:
    told = Told()
    async with Acme() as vendor, Fairlead(parse_settings(CONFIG.format(url=vendor.url)), ports=told.ports) as fl:
        vendor.content = {"id": "7", "sum": "2.50"}
        order = await fl.http("acme").get("/orders/7", model="order")
        assert (order.number, order.total) == (7, Decimal("2.50"))
        assert told.paths() == [("retyped", "$.id", True)]


async def test_without_an_event_loop_it_is_the_same() -> None:
    told = Told()
    async with Acme() as vendor:
        vendor.content = {"id": "7", "total": "2.50"}
        text = CONFIG.format(url=vendor.url)

        def work() -> tuple[Any, Order]:
            with SyncFairlead(parse_settings(text), ports=told.ports) as fl:
                acme = fl.http("acme")
                return acme.get("/orders/7", model="order"), acme.post("/orders", json={}, model=ORDER)

        by_name, order = await asyncio.to_thread(work)
        assert (by_name.number, order) == (7, Order(7, Decimal("2.50")))
        assert ("missing", "$.currency", True) in told.paths()
