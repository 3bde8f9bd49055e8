"""`fairlead demo`: the promise, told in numbers, and the terminal that a newcomer sees."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from e2e.terminal import COLUMNS, terminal

LONGEST_S = 60.0
SEVERAL_TIMES = 500
FIRST, SECOND = "spoonacular", "edamam"


@pytest.fixture(scope="module")
def outcome() -> dict[str, Any]:
    """Play it once, for all tests that read the numbers."""
    started = time.monotonic()
    told = subprocess.run(
        [sys.executable, "-W", "error", "-m", "fairlead", "demo", "--json"],
        capture_output=True,
        timeout=LONGEST_S,
        check=False,
        env={},
    )
    assert time.monotonic() - started < LONGEST_S
    assert (told.returncode, told.stderr) == (0, b"")
    assert told.stdout.count(b"\n") == 1
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def phase(outcome: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in outcome["phases"] if each["name"] == name)
    return found


def test_the_application_does_not_notice_the_outage(outcome: dict[str, Any]) -> None:
    assert outcome["calls"] >= SEVERAL_TIMES
    assert outcome["app_success_rate"] >= 0.999
    assert outcome["vendor_success_rate"] < 0.7


def test_every_phase_is_told_in_numbers(outcome: dict[str, Any]) -> None:
    names = ["healthy", "slow", "quota", "dead", "all_dead", "recovered"]
    assert [each["name"] for each in outcome["phases"]] == names
    for each in outcome["phases"]:
        assert each["title"]
        assert each["calls"] > 0
        assert 0 <= each["vendor_success_rate"] <= 1
        assert 0 <= each["stale"] <= each["calls"]
        assert sum(each["served_by"].values()) == pytest.approx(each["app_success_rate"] * each["calls"])
        assert 0 < each["p50_ms"] <= each["p99_ms"]
        assert set(each["vendors"]) == {FIRST, SECOND}


def test_the_whole_is_the_sum_of_its_phases(outcome: dict[str, Any]) -> None:
    phases = outcome["phases"]
    good = sum(each["app_success_rate"] * each["calls"] for each in phases)
    stale = sum(each["stale"] for each in phases)
    assert outcome["calls"] == sum(each["calls"] for each in phases)
    assert outcome["app_success_rate"] == pytest.approx(good / outcome["calls"], abs=1e-6)
    assert outcome["app_success_rate_fresh"] == pytest.approx((good - stale) / outcome["calls"], abs=1e-6)


def test_stale_answers_serve_only_when_nobody_else_can(outcome: dict[str, Any]) -> None:
    assert [each["name"] for each in outcome["phases"] if each["stale"]] == ["all_dead"]
    assert phase(outcome, "all_dead")["stale"] == phase(outcome, "all_dead")["calls"]
    assert phase(outcome, "all_dead")["vendor_success_rate"] == 0


def test_a_gateway_that_is_killed_loses_nothing_that_it_acknowledged(outcome: dict[str, Any]) -> None:
    crash = outcome["crash"]
    assert crash["kills"] == 3
    assert crash["acknowledged"] > 100
    assert (crash["handled"], crash["lost"]) == (crash["acknowledged"], 0)


def test_no_message_is_lost_or_sent_twice_while_the_email_service_keeps_timing_out(outcome: dict[str, Any]) -> None:
    email = outcome["email"]
    assert email["messages"] == 100
    assert sum(email["served_by"].values()) == email["messages"]
    assert email["served_by"]["postmark"] > email["messages"] / 2  # the other one keeps timing out
    assert 0 < email["unknown"] == email["settled"]
    assert 0 <= email["found_sent"] <= email["settled"]
    assert (email["sent_twice"], email["lost"]) == (0, 0)


def test_the_second_vendor_serves_while_the_first_cannot(outcome: dict[str, Any]) -> None:
    assert phase(outcome, "healthy")["served_by"][FIRST] > phase(outcome, "healthy")["calls"] / 2
    for name in ("slow", "quota", "dead"):
        assert set(phase(outcome, name)["served_by"]) == {SECOND}
        assert phase(outcome, name)["vendors"][FIRST]["success_rate"] == 0
    assert 0.7 < phase(outcome, "dead")["vendors"][SECOND]["success_rate"] < 1


def test_the_first_vendor_is_back_soon_after_it_recovers(outcome: dict[str, Any]) -> None:
    recovered = phase(outcome, "recovered")
    assert recovered["served_by"][FIRST] > recovered["calls"] / 2


def test_a_newcomer_sees_the_story_and_can_try_it_by_hand() -> None:
    with terminal("demo") as seen:
        seen.read_until("Ctrl-C ends it.")
        text = seen.shown
        table = text[text.index("Good answers to") : text.index("Asked directly")]
        rows = [line for line in table.splitlines()[2:] if line.strip()]
        assert len(rows) == 7  # the heading, and a line for each phase: no cell is broken
        assert len({len(row.rstrip()) for row in rows}) == 1  # all end where the last column does
        after = text[text.index("Asked directly") :]
        assert all(len(line) <= COLUMNS for line in [*rows, *after.splitlines()])
        url = re.search(r"the gateway is on (http://\S+)\.", after)
        assert url
        connection = http.client.HTTPConnection(urlsplit(url[1]).netloc, timeout=10)
        connection.request("GET", "/v1/recipes/search?q=tomato+pasta")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["fairlead-served-by"]) == (200, FIRST)
        connection.close()
        assert seen.interrupt() == 0
        assert seen.shown.rstrip().endswith("stopped")
        assert "Traceback" not in seen.shown


def test_a_taken_port_does_not_stop_a_newcomer_but_one_that_was_asked_for_does() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        terminal("demo", "--port", str(taken.getsockname()[1])) as seen,
    ):
        seen.read_until("Choose another place")
        assert seen.process.wait(LONGEST_S) == 3


def test_ctrl_c_in_the_middle_of_the_story_ends_it() -> None:
    with terminal("demo") as seen:
        seen.read_until("Spoonacular slow")
        seen.read_until(" 100/100")
        assert seen.interrupt() == 130
        assert seen.shown.rstrip().endswith("interrupted")
        assert "Traceback" not in seen.shown
        assert "Good answers" not in seen.shown
