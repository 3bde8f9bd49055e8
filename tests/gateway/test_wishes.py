"""What callers may wish of a call by its headers: a drill, a deadline, a sticky key."""

from __future__ import annotations

import json

import pytest

from fairlead.errors import InvalidArgumentError
from fairlead.gateway.wishes import read_wishes
from fairlead.observe.events import CallFinished
from fairlead.testing.faults import Faults
from gateway.proxied import BEARER, proxied
from gateway.served import CONFIG, problem, served
from raw_server import EMPTY, Peer

STICKY = CONFIG.replace("deadline_s = 5", 'deadline_s = 5\nstrategy = "sticky"')


async def answering(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(EMPTY)


async def hanging(peer: Peer) -> None:
    await peer.read_request()
    await peer.wait_for_end()


async def test_a_drill_shows_who_would_serve() -> None:
    async with served() as all_:
        answer = await all_.client.search(headers={"fairlead-drill": "spoonacular"})
        asked = all_.first.books.requests
        usual = await all_.client.search()
    assert answer.status == 200
    assert answer.headers["fairlead-served-by"] == "edamam"
    assert answer.headers["fairlead-drill"] == "spoonacular"
    assert answer.headers["fairlead-attempts"] == "1"
    assert asked == 0
    assert usual.headers["fairlead-served-by"] == "spoonacular"
    assert "fairlead-drill" not in usual.headers
    assert [each.drilled for each in all_.events if isinstance(each, CallFinished)] == [("spoonacular",), ()]


async def test_a_drill_of_all_connections_shows_the_outage() -> None:
    async with served() as all_:
        answer = await all_.client.search(headers={"fairlead-drill": "spoonacular, edamam"})
        assert [each["error"] for each in problem(answer, 503, "unavailable")["attempts"]] == ["drill", "drill"]
    assert answer.headers["fairlead-drill"] == "spoonacular,edamam"
    assert all_.first.books.requests == all_.second.books.requests == 0


async def test_a_drill_of_nobody_known_is_refused() -> None:
    async with served() as all_:
        problem(await all_.client.search(headers={"fairlead-drill": "spoonaclar"}), 404, "unknown_connection")


async def test_a_drill_needs_a_key() -> None:
    async with served() as all_:
        answer = await all_.client.search(headers={"fairlead-drill": "spoonacular"}, key=None)
    problem(answer, 401, "missing_key")


def test_a_gateway_that_is_open_to_everybody_has_no_drills() -> None:
    with pytest.raises(InvalidArgumentError, match="A drill is for callers with a key"):
        read_wishes({"fairlead-drill": "shop"}, has_key=False)


async def test_drills_can_be_switched_off() -> None:
    async with served(config="drills = false\n" + CONFIG) as all_:
        answer = await all_.client.search(headers={"fairlead-drill": "spoonacular"})
    assert "Drills are switched off" in problem(answer, 400, "invalid_argument")["detail"]


async def test_the_proxy_refuses_as_if_the_vendor_were_down() -> None:
    async with proxied(answering) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/a", "fairlead-drill: shop")
        assert (answer.status, answer.headers["fairlead-error"]) == (503, "drill")
        assert answer.headers["fairlead-drill"] == "shop"
        assert json.loads(answer.body)["attempts"][0]["error"] == "drill"
        assert all_.vendor.connections == 0
        assert (await all_.caller.ask("GET /proxy/shop/a")).status == 200


@pytest.mark.parametrize("wish", ["0", "-5", "soon", ""])
async def test_a_deadline_must_be_a_number(wish: str) -> None:
    async with served() as all_:
        problem(await all_.client.search(headers={"fairlead-deadline-ms": wish}), 400, "invalid_argument")


async def test_a_deadline_bounds_the_call() -> None:
    async with served() as all_:
        all_.first.faults = all_.second.faults = Faults(hang_share=1.0)
        answer = await all_.client.search(headers={"fairlead-deadline-ms": "50"})
    assert answer.status in {503, 504}
    assert json.loads(answer.body)["attempts"][0]["error"] == "attempt_timeout"


async def test_a_deadline_bounds_a_proxied_call() -> None:
    async with proxied(hanging, tries=1) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/a", "fairlead-deadline-ms: 60")
    assert answer.status == 504
    assert answer.headers["fairlead-error"] in {"deadline_exceeded", "attempt_timeout"}


@pytest.mark.parametrize(("settings", "is_told"), [("passes_deadline = true\n", True), ("", False)])
async def test_what_is_left_is_passed_on_to_a_gateway_and_to_nobody_else(settings: str, is_told: bool) -> None:
    async with proxied(answering, settings + BEARER) as all_:
        assert (await all_.caller.ask("GET /proxy/shop/a", "fairlead-deadline-ms: 4000")).status == 200
    head = all_.vendor.requests[0].decode("latin-1").lower()
    lines = [line for line in head.split("\r\n") if line.startswith("fairlead-")]
    if is_told:
        (line,) = lines
        assert 3000 < int(line.partition(": ")[2]) <= 4000
    else:
        assert lines == []


async def test_a_sticky_key_leads_to_the_same_vendor() -> None:
    async with served(config=STICKY) as all_:
        found = {}
        for user in range(12):
            answers = [await all_.client.search(headers={"fairlead-sticky-key": f"user-{user}"}) for _ in range(2)]
            (found[user],) = {each.headers["fairlead-served-by"] for each in answers}
    assert set(found.values()) == {"spoonacular", "edamam"}
