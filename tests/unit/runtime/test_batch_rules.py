"""Plain reads are joined by the rules of their connection."""

import asyncio

import pytest

from fairlead import errors
from fairlead.model.call import CacheUse
from fairlead.model.message import Request
from fairlead.model.outcome import Effect
from fairlead.observe.events import CallFinished
from scripted import answer, build_world, bulk_ids, gather_errors, plain, report

RULE = '{ path = "/items/{id}", many = "/items" }'
SHOP = plain(settings=f"retry = {{ max_attempts = 1 }}\nbatch = {{ rules = [{RULE}] }}")


def shelf(request: Request):
    """Answer for one item and for several."""
    if request.path == "/items":
        return answer(content=[{"id": int(each), "size": 1} for each in dict(request.query)["ids"].split(",")])
    return answer(content={"alone": request.path})


BROKEN = [
    ("batch = 5", "batch: Expected a table of settings."),
    ("batch = {}", "batch has nothing to join: the connection has no operation for several things, and no rules."),
    ("batch = { rules = [] }", "batch has nothing to join"),
    ("batch = { window_s = 0, rules = [RULE] }", "batch.window_s: Expected `float` > 0.0."),
    ("batch = { window_s = 1.5, rules = [RULE] }", "batch.window_s: Expected `float` <= 1.0."),
    ("batch = { max_size = 1, rules = [RULE] }", "batch.max_size: Expected `int` >= 2."),
    ("batch = { rule = [RULE] }", "batch.rule is not a setting. Did you mean 'rules'?"),
    ('batch = { rules = [{ path = "/items/{id}" }] }', "batch.rules[0] lacks 'many'."),
    ("batch = { rules = [RULE, RULE] }", "batch.rules[1] never fits. An earlier rule has the same path."),
    *(
        (
            f'batch = {{ rules = [{{ path = "{path}", many = "/items" }}] }}',
            "batch.rules[0].path is not the path of one",
        )
        for path in ("/items", "/items/{id}/{id}", "items/{id}", "/items/{id}?x=1", "/../{id}", "")
    ),
    *(
        (
            f'batch = {{ rules = [{{ path = "/items/{{id}}", many = "{many}" }}] }}',
            "batch.rules[0].many is not the path",
        )
        for many in ("items", "/items?x=1", "/items/{id}", "")
    ),
    ('batch = { rules = [RULE, { path = "/a/{id}", many = "/a", param = "" }] }', "batch.rules[1].param is empty."),
    ('batch = { rules = [{ path = "/a/{id}", many = "/a", id_at = "" }] }', "batch.rules[0].id_at is not a place"),
    ('batch = { rules = [{ path = "/a/{id}", many = "/a", items_at = "a." }] }', "batch.rules[0].items_at is not a"),
]


@pytest.mark.parametrize(("settings", "message"), BROKEN)
def test_what_cannot_be_joined_is_told_before_anything_is_sent(settings, message):
    with pytest.raises(errors.ConfigError) as caught:
        build_world(plain(settings=settings.replace("RULE", RULE)), {"shop": []})
    assert f"test.toml: connections.shop.{message}" in str(caught.value)


def test_a_provider_without_an_operation_for_several_needs_rules():
    text = """
[connections.one]
provider = "themealdb"
base_url = "https://one.test"
credentials = { api_key = "env:KEY" }
batch = { BATCH }
"""
    with pytest.raises(errors.InvalidSettingError, match=r"connections\.one\.batch has nothing to join"):
        build_world(text.replace("BATCH", ""), {"one": []})
    build_world(text.replace("BATCH", f"rules = [{RULE}]"), {"one": []})


async def test_plain_reads_are_joined_by_a_rule_and_each_has_a_response_of_its_own():
    world = build_world(SHOP, {"shop": shelf})
    found = await gather_errors([world.fl.http("shop").get(f"/items/{at}") for at in (42, 43)])
    assert [(each.status, each.json()) for each in found] == [
        (200, {"id": 42, "size": 1}),
        (200, {"id": 43, "size": 1}),
    ]
    assert [(each.path, each.query) for each in world.sent("shop")] == [("/items", (("ids", "42,43"),))]
    assert [(report(each).call_id, report(each).cache, report(each).batch_id) for each in found] == [
        ("call-1", CacheUse.SHARED, "call-3"),
        ("call-2", CacheUse.SHARED, "call-3"),
    ]
    assert [each.operation for each in world.told(CallFinished)] == ["http.batch", "http.get", "http.get"]


async def test_a_plain_id_that_is_not_in_the_answer_is_not_found():
    world = build_world(SHOP, {"shop": [answer(content=[{"id": 1}])]})
    one, gone = await gather_errors([world.fl.http("shop").get(f"/items/{at}") for at in (1, 2)])
    assert one.json() == {"id": 1}
    assert isinstance(gone, errors.NotFoundError)
    assert str(gone) == "shop: http.get: The vendor has no such thing."


async def test_each_plain_read_has_its_own_model():
    world = build_world(SHOP, {"shop": shelf})
    shop = world.fl.http("shop")
    one, two, three, four = await gather_errors(
        [
            shop.get("/items/1", model=dict[str, int]),
            shop.get("/items/2", model=list[int]),
            shop.get("/items/3"),
            shop.get("/items/1"),
        ]
    )
    assert one == {"id": 1, "size": 1}
    assert isinstance(two, errors.UnexpectedAnswerError)
    assert (two.connection, two.operation, two.call_id, len(two.attempts)) == ("shop", "http.get", "call-2", 1)
    assert (three.json()["id"], four.json()["id"]) == (3, 1)
    assert bulk_ids(world, "shop") == ["1,2,3"]


async def test_plain_calls_that_are_more_than_such_a_read_go_alone():
    world = build_world(SHOP, {"shop": lambda _: answer()})
    shop = world.fl.http("shop")
    await asyncio.gather(
        shop.get("/items/1", query={"full": True}),
        shop.get("/items/2", headers={"accept-language": "de"}),
        shop.get("/items/3/parts"),
        shop.request("GET", "/items/4", effect=Effect.ONCE),
        shop.request("DELETE", "/items/5"),
        shop.post("/items/6"),
    )
    assert len(world.sent("shop")) == 6
    assert world.clock.slept == []


async def test_rules_do_not_mix():
    rules = f'[{RULE}, {{ path = "/shops/{{id}}", many = "/shops", separator = "" }}]'
    world = build_world(
        plain(settings=f"batch = {{ rules = {rules} }}"),
        {"shop": lambda _: answer(content=[{"id": 1}, {"id": 2}])},
    )
    shop = world.fl.http("shop")
    await asyncio.gather(*(shop.get(f"/{kind}/{at}") for kind in ("items", "shops") for at in (1, 2)))
    assert {(each.path, each.query) for each in world.sent("shop")} == {
        ("/items", (("ids", "1,2"),)),
        ("/shops", (("ids", "1"), ("ids", "2"))),
    }


async def test_the_same_read_twice_is_one_request():
    world = build_world(SHOP, {"shop": shelf})
    found = await gather_errors([world.fl.http("shop").get("/items/1") for _ in range(3)])
    assert [each.json()["id"] for each in found] == [1, 1, 1]
    assert bulk_ids(world, "shop") == ["1"]
    assert len(world.sent("shop")) == 1


async def test_bulk_requests_are_joined_too():
    world = build_world(SHOP, {"shop": shelf})
    requests = [Request.get(f"/items/{at}") for at in range(1, 6)]
    results = [each async for each in world.fl.http("shop").bulk(requests, at_once=5)]
    assert {each.index: each.response.json()["id"] for each in results if each.response} == {
        at: at + 1 for at in range(5)
    }
    assert len(world.sent("shop")) < 5
