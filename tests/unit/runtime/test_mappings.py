"""Mappings that are declared by settings alone: what they do, and that every mistake is told with its file and key."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from fairlead import errors
from fairlead.observe.events import DriftFound
from scripted import World, answer, build_world, plain

ORDER = """
[connections.shop.pagination]
style = "page"
items_at = "list"
has_more_at = "more"

[connections.shop.mappings.order]
version = "2026-11-24"
at = "data"
ignores = ["debug"]

[connections.shop.mappings.order.fields]
number = { type = "integer", names = ["id"] }
title = { type = "text", names = ["title", "ttl", "heading"] }
total = { type = "decimal", default = "0.00" }
is_paid = { type = "boolean", default = false }
tags = { type = "list of text", default = [] }
due = { type = "date", is_optional = true }
made = { type = "datetime", is_optional = true }
weight = { type = "number", is_optional = true }
extra = { type = "any", is_optional = true }
lines = { type = "list of line", default = [{ price = "1.00" }] }

[connections.shop.mappings.line]
version = "2026-11-24"
ignores = ["internal"]
fields = { price = { type = "decimal", names = ["price", "cost"] }, amount = { type = "integer", default = 1 } }
"""


def shop(*contents: Any, settings: str = ORDER) -> World:
    return build_world(plain(settings=settings), {"shop": [answer(content=each) for each in contents]})


async def read(content: Any) -> tuple[Any, list[str]]:
    world = shop({"data": content})
    value = await world.fl.http("shop").get("/orders/1", model="order")
    return value, [f"{each.kind} {each.path}" for each in world.told(DriftFound)]


WHOLE = {
    "id": 7, "title": "a", "total": "1.10", "is_paid": True, "tags": ["x"], "due": "2026-11-24",
    "made": "2026-11-24T10:00:00Z", "weight": 1.5, "extra": {"x": 1}, "lines": [{"price": 2, "amount": 3}],
}  # fmt: skip


async def test_an_answer_is_read_as_declared() -> None:
    value, told = await read(WHOLE)
    assert told == []
    assert type(value).__name__ == "Order"
    assert (value.number, value.title, value.total, value.is_paid) == (7, "a", Decimal("1.10"), True)
    assert (value.tags, value.due, value.weight, value.extra) == (["x"], dt.date(2026, 11, 24), 1.5, {"x": 1})
    assert value.made == dt.datetime(2026, 11, 24, 10, tzinfo=dt.UTC)
    assert [(line.price, line.amount) for line in value.lines] == [(Decimal(2), 3)]


async def test_what_is_left_out_has_its_default_and_other_names_are_read() -> None:
    value, told = await read({"id": 7, "heading": "a", "lines": [{"cost": "2.50", "amount": 1, "internal": 1}]})
    assert (value.title, value.total, value.tags, value.due) == ("a", Decimal("0.00"), [], None)
    assert value.lines[0].price == Decimal("2.50")
    assert told == ["missing $.data.total", "missing $.data.is_paid", "missing $.data.tags"]


async def test_drift_is_told_by_the_names_of_the_settings() -> None:
    world = shop({"data": {**WHOLE, "id": "7", "debug": 1, "new": 1}})
    await world.fl.http("shop").get("/orders/1", model="order")
    assert [(each.mapping, each.version, each.kind.value, each.path) for each in world.told(DriftFound)] == [
        ("order", "2026-11-24", "added", "$.data.new"),
        ("order", "2026-11-24", "retyped", "$.data.id"),
    ]


async def test_a_default_that_can_change_is_made_anew() -> None:
    one, _ = await read({"id": 1, "title": "a"})
    one.tags.append("x")
    other, _ = await read({"id": 1, "title": "a"})
    assert (other.tags, [line.price for line in other.lines]) == ([], [Decimal("1.00")])


async def test_lists_and_posts_take_a_name_too() -> None:
    world = shop({"list": [WHOLE], "more": False}, {"data": WHOLE})
    (page,) = [page async for page in world.fl.http("shop").paginate("/orders", model="order")]
    assert page.items[0].number == 7
    assert (await world.fl.http("shop").post("/orders", json={}, model="order")).number == 7


@pytest.mark.parametrize(("name", "hint"), [("ordr", "Did you mean 'order'?"), ("x", "It has: order, line.")])
async def test_a_name_that_is_none_is_refused_before_anything_is_sent(name: str, hint: str) -> None:
    world = shop()
    for call in (world.fl.http("shop").get, world.fl.http("shop").post):
        with pytest.raises(errors.InvalidArgumentError) as caught:
            await call("/orders", model=name)
        assert str(caught.value) == f"The connection 'shop' has no mapping {name!r}. {hint}"
    with pytest.raises(errors.InvalidArgumentError):
        world.fl.http("shop").paginate("/orders", model=name)
    assert world.sent("shop") == []


def within(other: str) -> str:
    return f'{{ version = "1", fields = {{ {other} = {{ type = "{other}" }} }} }}'


TEXT = 'version = "1", fields = { a = { type = "text" } }'


@pytest.mark.parametrize(
    ("mappings", "problem"),
    [
        ("order = {}", "order lacks 'version'."),
        ('order = { version = "1" }', "order lacks 'fields'."),
        ('order = { version = "", fields = {} }', "order.version: Expected `str` of length >= 1."),
        ('order = { version = "1", fields = { a = "text" } }', "order.fields.a: Expected a table of settings."),
        ('order = { version = "1", fields = { a = {} } }', "order.fields.a lacks 'type'."),
        ('order = { version = "1", fields = { a = { type = "txt" } } }',
         "order.fields.a.type: 'txt' is no type and no mapping of this connection. Did you mean 'text'?"),
        ('order = { version = "1", fields = { a = { type = "list of zzz" } } }',
         "order.fields.a.type: 'zzz' is no type and no mapping of this connection. There are: text, integer,"),
        ('order = { version = "1", fields = { a = { type = "list of order" } } }',
         "order.fields.a.type: the mapping 'order' would contain itself."),
        (f"b = {within('c')}\nc = {within('b')}",
         "c.fields.b.type: the mapping 'b' would contain itself."),
        ('order = { version = "1", fields = { a = { type = "text", kind = 1 } } }',
         "order.fields.a.kind is not a setting."),
        ('order = { version = "1", fields = { a = { type = "text", names = [] } } }',
         "order.fields.a.names: Expected `array` of length >= 1."),
        ('order = { version = "1", fields = { a = { type = "text", names = [""] } } }',
         "order.fields.a.names: '' is empty."),
        ('order = { version = "1", fields = { a = { type = "text" }, b = { type = "text", names = ["a"] } } }',
         "order.fields.b.names: 'a' is already taken by 'a'."),
        ('order = { version = "1", fields = { "a-b" = { type = "text" } } }',
         "order.fields.a-b cannot be the name of a field. Name it anew, with names"),
        ('order = { version = "1", fields = { class = { type = "text" } } }', "order.fields.class cannot be the name"),
        ('order = { version = "1", fields = { _a = { type = "text" } } }', "order.fields._a cannot be the name"),
        ('order = { version = "1", fields = { a = { type = "integer", default = "x" } } }',
         "order.fields.a.default is no integer."),
        ('order = { version = "1", fields = { a = { type = "list of text", default = ["x", 1] } } }',
         "order.fields.a.default is no list of text."),
        ('order = { version = "1", fields = { a = { type = "text", default = "x", is_optional = true } } }',
         "order.fields.a has both is_optional and default."),
        (f'order = {{ {TEXT}, at = "a." }}', "order: 'a.' is not a place."),
        (f'order = {{ {TEXT}, ignores = ["."] }}', "order: '.' is not a place."),
        (f"text = {{ {TEXT} }}", "text has the name of a type."),
        (f'"list of x" = {{ {TEXT} }}', "list of x has the name of a type."),
    ],
    ids=lambda each: each[:60],
)  # fmt: skip
def test_every_mistake_is_told_with_its_key(mappings: str, problem: str) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        shop(settings=f"[connections.shop.mappings]\n{mappings}")
    assert f"test.toml: connections.shop.mappings.{problem}" in str(caught.value)
