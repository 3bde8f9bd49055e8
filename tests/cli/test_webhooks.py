"""`fairlead webhooks`, over a store that another process fills, and as the place that vendors call."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from acme_shop import CONFIG, ENVIRONMENT, VENDORS, Shop, shop
from cli.shell import PATIENCE_S, fairlead, interrupted, running
from fairlead.model.message import Response, build_request
from fairlead.runtime.ports import SystemClock
from fairlead.transport.http import HttpOptions, HttpTransport
from raw_server import Peer, serve
from stages import http
from vendors.acme import signed

#: The desk needs no vendor's secret.
NOTHING = {"PYTHONPATH": str(VENDORS)}
PAID = {"id": "evt_1", "type": "order.paid", "subject": "o1", "sequence": 2}
OTHER = {"id": "evt_2", "type": "stock.low"}


@asynccontextmanager
async def filled(tmp_path: Path) -> AsyncIterator[Shop]:
    """Fill a store: one event done, one dead, one delivery refused; the application stays up beside the command."""
    (tmp_path / "fairlead.toml").write_text(CONFIG.format(path="jobs.db"))
    async with shop(tmp_path / "jobs.db", "[webhooks]\nwaits_s = []\n") as world:

        @world.fl.on("acme:*")
        def handle(event: Any) -> None:
            if event.key == "evt_2":
                raise ValueError("[poison]")

        world.clock.advance(SystemClock().wall() - world.clock.wall())
        await world.deliver(PAID, OTHER)
        await world.deliver(PAID, secret="another")
        await world.until(lambda: len(world.ended()) == 2)
        await world.fl.inbox.settle()
        yield world


async def ask(tmp_path: Path, *arguments: str) -> Any:
    told = await fairlead("webhooks", *arguments, "--json", cwd=tmp_path, environment=NOTHING)
    assert told.code == 0, told
    return told.json()


async def keys(tmp_path: Path, *arguments: str) -> Sequence[str]:
    return [each["key"] for each in (await ask(tmp_path, *arguments))["items"]]


async def test_events_are_listed_and_narrowed_down(tmp_path: Path) -> None:
    async with filled(tmp_path):
        assert sorted(await keys(tmp_path, "list")) == ["evt_1", "evt_2"]
        newest, oldest = (await ask(tmp_path, "list"))["items"]
        assert newest["id"] > oldest["id"]
        assert await keys(tmp_path, "list", "--limit", "1", "--before", str(newest["id"])) == [oldest["key"]]
        for words, found in (
            (("--state", "done"), ["evt_1"]),
            (("--type", "stock.low", "--connection", "shop"), ["evt_2"]),
            (("--subject", "o1", "--since", "2020-01-01"), ["evt_1"]),
            (("--until", "2020-01-01"), []),
        ):
            assert await keys(tmp_path, "list", *words) == found, words
        told = await fairlead("webhooks", "list", cwd=tmp_path, environment=NOTHING)
        heading, *lines = told.out.splitlines()
        assert heading.split() == ["id", "received", "connection", "type", "subject", "state", "failures", "error"]
        assert len(lines) == 2
        empty = await fairlead("webhooks", "list", "--state", "waiting", cwd=tmp_path, environment=NOTHING)
        assert (empty.code, empty.out) == (0, "There are no such events.\n")


async def test_the_dead_are_listed_with_what_killed_them(tmp_path: Path) -> None:
    async with filled(tmp_path):
        told = await fairlead("webhooks", "dead", cwd=tmp_path, environment=NOTHING)
        assert told.code == 0
        assert "ValueError: [poison]" in told.out
        assert "order.paid" not in told.out
        assert await keys(tmp_path, "dead") == ["evt_2"]


async def test_one_is_shown_with_all_that_came(tmp_path: Path) -> None:
    async with filled(tmp_path):
        (record,) = (await ask(tmp_path, "list", "--subject", "o1"))["items"]
        shown = await ask(tmp_path, "show", str(record["id"]))
        assert json.loads(shown["body"]) == PAID
        assert shown["neutral"]["type"] == "payment.succeeded"
        told = await fairlead("webhooks", "show", str(record["id"]), cwd=tmp_path, environment=NOTHING)
        assert told.code == 0
        assert '\n  "sequence": 2\n' in told.out  # which is indented
        assert "\nacme-signature: v1=" in told.out
        assert "payment.succeeded" in told.out


async def test_what_is_replayed_is_handled_by_the_application_that_runs(tmp_path: Path) -> None:
    async with filled(tmp_path) as world:
        (dead,) = (await ask(tmp_path, "dead"))["items"]
        assert await ask(tmp_path, "replay", str(dead["id"])) == {"replayed": 1}
        await world.until(lambda: len(world.ended()) == 3, step_s=0.1)
        told = await fairlead("webhooks", "replay", "--state", "dead", cwd=tmp_path, environment=NOTHING)
        assert (told.code, told.out) == (0, "1 event will be handled again.\n")
        await world.until(lambda: len(world.ended()) == 4, step_s=0.1)


async def test_before_many_it_asks(tmp_path: Path) -> None:
    (tmp_path / "fairlead.toml").write_text(CONFIG.format(path="jobs.db"))
    async with shop(tmp_path / "jobs.db") as world:
        world.fl.on("acme:*")(lambda _: None)
        await world.deliver(*({"id": f"e{number}", "type": "order.paid"} for number in range(11)))
        await world.until(lambda: len(world.ended()) == 11)
    many = ("webhooks", "replay", "--state", "done")
    told = await fairlead(*many, cwd=tmp_path, environment=NOTHING)
    assert told.code == 130  # nobody answers
    assert "Have up to 11 events handled again?" in told.err
    told = await fairlead(*many, "--json", cwd=tmp_path, environment=NOTHING)
    assert told.code == 2
    assert told.error()["message"] == "These are up to 11 events. Add --yes."
    assert await keys(tmp_path, "list", "--state", "waiting") == []
    assert await ask(tmp_path, "replay", "--state", "done", "--yes") == {"replayed": 11}
    assert len(await keys(tmp_path, "list", "--state", "waiting")) == 11


async def test_what_was_turned_away_is_shown(tmp_path: Path) -> None:
    async with filled(tmp_path):
        (reject,) = (await ask(tmp_path, "rejects", "--connection", "shop", "--hours", "2"))["items"]
        assert (reject["reason"], reject["count"]) == ("bad_signature", 1)
        told = await fairlead("webhooks", "rejects", cwd=tmp_path, environment=NOTHING)
        assert "bad_signature" in told.out
        none = await fairlead("webhooks", "rejects", "--connection", "other", cwd=tmp_path, environment=NOTHING)
        assert none.out == "Nothing was turned away.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "--limit", "none"), "limit: 'none'"),
        (("list", "--since", "soon"), "since: 'soon' is no time"),
        (("list", "--state", "odd"), "'odd' is no state"),
        (("show", "x"), "id: 'x'"),
        (("show", "7"), "No event has the id 7"),
        (("replay",), "Give an ID, or say which events"),
        (("replay", "7"), "No event has the id 7"),
        (("replay", "7", "--state", "dead"), "not both"),
        (("rejects", "--hours", "0"), "hours: '0'"),
        (("listen", "--connection", "shp"), "'shp' that receives webhooks"),
        (("listen", "--forward", "localhost:8000"), "no URL of an application"),
        (("listen", "--secret", "env:X"), "--secret is for --forward"),
        (("lst",), "No such command 'lst'"),
    ],
)
async def test_wrong_input_is_named(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "fairlead.toml").write_text(CONFIG.format(path="jobs.db"))
    told = await fairlead("webhooks", *arguments, "--json", cwd=tmp_path, environment=NOTHING)
    assert told.code == 2, told
    assert said in told.error()["message"]


async def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "fairlead.toml").write_text(CONFIG.format(path="missing/jobs.db"))
    told = await fairlead("webhooks", "list", "--json", cwd=tmp_path, environment=NOTHING)
    assert (told.code, told.error()["code"]) == (1, "storage")


# --- Listening ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def listening(tmp_path: Path, *arguments: str) -> AsyncIterator[tuple[Process, str]]:
    """Run `listen` until the block is left."""
    (tmp_path / "fairlead.toml").write_text(CONFIG.format(path="jobs.db") + '[connections.other]\nbase_url="http://x"\ncredentials = { token = "env:MISSING" }\nauth = { scheme = "bearer" }\n')  # fmt: skip  # noqa: E501
    command = ("webhooks", "listen", "--port", "0", "--json", *arguments)
    async with running(*command, cwd=tmp_path, environment=NOTHING | ENVIRONMENT) as process:
        place = (await said(process))["connections"]
        assert list(place) == ["shop"]
        yield process, place["shop"]


async def said(process: Process) -> Any:
    """Read the next thing that happened."""
    assert process.stdout
    async with asyncio.timeout(PATIENCE_S):
        line = await process.stdout.readline()
    assert line, "it ended"
    return json.loads(line)


async def send(place: str, *events: dict[str, Any], secret: str = ENVIRONMENT["ACME"]) -> int:
    body = msgspec.json.encode(list(events))
    url, _, path = place.partition("/webhooks")
    transport = HttpTransport(HttpOptions(base_url=url, allow_private=True))
    request = build_request(
        "POST", f"/webhooks{path}", body=body, headers=signed(body, at=SystemClock().wall(), secret=secret)
    )
    try:
        answer = await transport.exchange(request, timeout_s=PATIENCE_S)
    finally:
        await transport.close()
    assert isinstance(answer, Response), answer
    return answer.status


async def test_each_event_is_told_as_it_comes_and_waits_for_the_application(tmp_path: Path) -> None:
    async with listening(tmp_path) as (process, place):
        assert await send(place, PAID) == 200
        came = await said(process)
        assert (came["what"], came["event"]["key"]) == ("came", "evt_1")
        assert (came["event"]["neutral"]["type"], came["event"]["state"]) == ("payment.succeeded", "waiting")
        assert await send(place, PAID) == 200
        assert await said(process) == {"what": "repeated", "connection": "shop", "count": 1}
        assert await send(place, PAID, secret="another") == 401
        assert await said(process) == {"what": "refused", "connection": "shop", "reason": "bad_signature"}
        told = await interrupted(process, signal.SIGINT)
    assert (told.code, told.err) == (0, "")
    assert await keys(tmp_path, "list", "--state", "waiting") == ["evt_1"]


async def test_events_are_forwarded_to_the_application_that_is_developed(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def application(peer: Peer) -> None:
        while True:
            heard.append(await peer.read_request())
            await peer.send(http(500 if b"stock.low" in heard[-1] else 204))

    async with serve(application) as app, listening(tmp_path, "--forward", app.url() + "/hooks") as (process, place):
        assert await send(place, PAID) == 200
        assert (await said(process))["what"] == "came"
        ended = await said(process)
        assert (ended["what"], ended["event"]["state"], ended["is_late"]) == ("ended", "done", False)
        assert heard[0].startswith(b"POST /hooks HTTP/1.1\r\n")
        assert await send(place, {**PAID, "id": "evt_0", "sequence": 1}) == 200
        assert (await said(process))["what"] == "came"
        assert (await said(process))["is_late"] is True
        assert await ask(tmp_path, "replay", str(ended["event"]["id"])) == {"replayed": 1}
        again = await said(process)
        assert (again["what"], again["event"]["key"]) == ("ended", "evt_1")
        assert await send(place, OTHER) == 200
        assert (await said(process))["what"] == "came"
        failed = await said(process)
        assert (failed["event"]["state"], failed["event"]["failures"]) == ("waiting", 1)
        assert "500" in failed["event"]["error"]
        told = await interrupted(process, signal.SIGTERM)
    assert (told.code, told.err) == (0, "")


async def test_people_read_lines(tmp_path: Path) -> None:
    (tmp_path / "fairlead.toml").write_text(CONFIG.format(path="jobs.db"))
    command = ("webhooks", "listen", "--port", "0", "--connection", "shop")
    async with running(*command, cwd=tmp_path, environment=NOTHING | ENVIRONMENT) as process:
        assert process.stderr
        assert process.stdout
        async with asyncio.timeout(PATIENCE_S):
            place = (await process.stderr.readline()).decode().split()[-1]
            assert await process.stderr.readline() == b"Ctrl-C ends it\n"
        assert await send(place, PAID) == 200
        async with asyncio.timeout(PATIENCE_S):
            line = (await process.stdout.readline()).decode()
        assert line.split() == ["came", line.split()[1], "shop", "order.paid", "(payment.succeeded)", "evt_1"]
        told = await interrupted(process, signal.SIGINT)
    assert (told.code, told.err) == (0, "stopped\n")
