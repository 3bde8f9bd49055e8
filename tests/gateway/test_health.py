"""What an orchestrator and Prometheus ask for."""

from __future__ import annotations

import json

import pytest

from fairlead.testing.faults import Faults
from gateway.served import VENDOR_KEYS, served

pytestmark = pytest.mark.uvloop  # as `fairlead serve` runs

DEAD = Faults(error_share=1.0)


async def test_healthz_is_well_while_vendors_fail() -> None:
    async with served() as all_:
        await all_.first.go_down()
        await all_.second.go_down()
        await all_.client.search()
        answer = await all_.client.ask("/healthz", key=None)
    assert (answer.status, answer.text) == (200, "ok\n")


async def test_readyz_follows_the_vendors_down_and_up() -> None:
    async with served() as all_:
        well = await all_.client.ask("/readyz", key=None)
        all_.first.faults = all_.second.faults = DEAD
        for text in ("soup", "stew"):  # two failures open a breaker
            await all_.client.search(text)
        ill = await all_.client.ask("/readyz", key=None)
        all_.clock.advance(30.0)  # nobody asks meanwhile: the orchestrator sends no traffic
        again = await all_.client.ask("/readyz", key=None)
    assert (well.status, json.loads(well.body)["ready"]) == (200, True)
    assert ill.status == 503
    assert json.loads(ill.body) == {
        "ready": False,
        "connections": [
            {
                "name": "spoonacular",
                "is_up": False,
                "condition": "down",
                "breaker": "open",
                "reasons": ["circuit open: unavailable"],
                "retry_after_s": 30.0,
            },
            {
                "name": "edamam",
                "is_up": False,
                "condition": "down",
                "breaker": "open",
                "reasons": ["circuit open: unavailable"],
                "retry_after_s": 30.0,
            },
        ],
    }
    assert (again.status, json.loads(again.body)["ready"]) == (200, True)
    first, _ = json.loads(again.body)["connections"]
    assert (first["is_up"], first["condition"]) == (True, "degraded")
    assert first["reasons"] == ["circuit to be tried: unavailable"]


async def test_readyz_needs_one_connection_a_route() -> None:
    async with served() as all_:
        all_.first.faults = Faults(is_quota_exhausted=True)
        assert (await all_.client.search()).headers["fairlead-served-by"] == "edamam"
        answer = await all_.client.ask("/readyz", key=None)
    assert answer.status == 200
    first, second = json.loads(answer.body)["connections"]
    assert (first["is_up"], first["paused_because"], first["retry_after_s"]) == (False, "quota_exhausted", 90.0)
    assert second["is_up"]


async def test_metrics_count_calls_attempts_breakers_and_pauses() -> None:
    async with served() as all_:
        await all_.client.search("pasta")
        await all_.client.search("pasta")
        all_.first.faults = DEAD
        await all_.client.search("soup")
        await all_.client.search("stew")
        all_.second.faults = Faults(is_quota_exhausted=True)
        await all_.client.search("curry")
        answer = await all_.client.ask("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    lines = set(answer.text.splitlines())
    assert {
        'fairlead_calls_total{cache="miss",error="",operation="recipes.search",served_by="spoonacular"} 1.0',
        'fairlead_calls_total{cache="hit",error="",operation="recipes.search",served_by="spoonacular"} 1.0',
        'fairlead_calls_total{cache="miss",error="",operation="recipes.search",served_by="edamam"} 2.0',
        'fairlead_calls_total{cache="off",error="unavailable",operation="recipes.search",served_by=""} 1.0',
        'fairlead_attempts_total{connection="spoonacular",error="",outcome="done"} 1.0',
        'fairlead_attempts_total{connection="spoonacular",error="unavailable",outcome="not_done"} 1.0',
        'fairlead_attempts_total{connection="spoonacular",error="circuit_open",outcome="not_done"} 2.0',
        'fairlead_breaker_state{connection="spoonacular"} 2.0',
        'fairlead_pauses_total{cause="throttled",connection="edamam"} 1.0',
        'fairlead_call_seconds_count{operation="recipes.search"} 5.0',
        'fairlead_overhead_seconds_count{operation="recipes.search"} 5.0',
    } <= lines
    assert not any(secret in answer.text for secret in VENDOR_KEYS.values())
