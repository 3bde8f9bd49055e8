"""`fairlead serve`: it needs a key, says where it listens, and ends in good order."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cli.shell import CONFIG, KEYS, PATIENCE_S, Ended, fairlead, interrupted, running
from fairlead.cli.serve import listen
from fairlead.model.message import Request, Response
from fairlead.testing.fakes.edamam import EdamamFake
from fairlead.testing.fakes.spoonacular import SpoonacularFake
from fairlead.transport.http import HttpOptions, HttpTransport
from raw_server import Peer, serve
from stages import http

ENDINGS = [signal.SIGINT, signal.SIGTERM]


@asynccontextmanager
async def client(url: str) -> AsyncIterator[HttpTransport]:
    transport = HttpTransport(HttpOptions(base_url=url, allow_private=True))
    try:
        yield transport
    finally:
        await transport.close()


async def search(url: str, **headers: str) -> Response:
    async with client(url) as transport:
        request = Request.get("/v1/recipes/search", query={"q": "pasta"}, headers=headers)
        answer = await transport.exchange(request, timeout_s=PATIENCE_S)
    assert isinstance(answer, Response), answer
    return answer


async def url_of(process: Process) -> str:
    """Read where it serves, and wait until it does."""
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        line = (await process.stderr.readline()).decode()
    found = re.fullmatch(r"Fairlead serves on (http://\S+)  Ctrl-C ends it\n", line)
    assert found, line
    async with client(found[1]) as transport:
        assert isinstance(await transport.exchange(Request.get("/healthz"), timeout_s=PATIENCE_S), Response)
    return found[1]


@pytest.mark.parametrize("how", ENDINGS)
async def test_it_serves_until_it_is_asked_to_end(how: signal.Signals, tmp_path: Path) -> None:
    async with SpoonacularFake() as first, EdamamFake() as second:
        (tmp_path / "fairlead.toml").write_text(CONFIG.format(first=first.url, second=second.url))
        async with running("serve", "--port", "0", cwd=tmp_path) as process:
            url = await url_of(process)
            refused = await search(url)
            answer = await search(url, **{"fairlead-key": KEYS["FAIRLEAD_KEY"]})
            told = await interrupted(process, how)
    assert refused.status == 401
    assert (answer.status, answer.headers["fairlead-served-by"]) == (200, "spoonacular")
    assert (told.code, told.out) == (0, "")
    *logged, last = told.err.splitlines()
    assert last == "stopped"
    events = [json.loads(line) for line in logged]
    assert [event["event"] for event in events] == ["AttemptFinished", "CallFinished"]
    assert {event["call_id"] for event in events} == {answer.headers["fairlead-call-id"]}
    assert not any(key in told.err for key in KEYS.values())


async def test_its_place_can_be_read_as_json(tmp_path: Path) -> None:
    (tmp_path / "fairlead.toml").write_text(CONFIG.format(first="http://127.0.0.1:9", second="http://127.0.0.1:9"))
    async with running("serve", "--port", "0", "--json", cwd=tmp_path) as process:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            document = json.loads(await process.stdout.readline())
        assert (await search(document["url"])).status == 401
        told = await interrupted(process, signal.SIGTERM)
    assert document["connections"] == ["spoonacular", "edamam"]
    assert document["routes"] == ["recipes"]
    assert told == Ended(0, "", "")


@pytest.mark.parametrize("how", ENDINGS)
async def test_a_call_that_is_under_way_is_finished_first(how: signal.Signals, tmp_path: Path) -> None:
    may_answer, has_come = asyncio.Event(), asyncio.Event()

    async def answer_when_told(peer: Peer) -> None:
        await peer.read_request()
        has_come.set()
        await may_answer.wait()
        await peer.send(http(200, b'{"results": [], "offset": 0, "number": 10, "totalResults": 0}'))
        await peer.wait_for_end()

    async with serve(answer_when_told) as raw:
        (tmp_path / "fairlead.toml").write_text(CONFIG.format(first=raw.url(), second=raw.url()))
        async with running("serve", "--port", "0", cwd=tmp_path) as process:
            url = await url_of(process)
            asking = asyncio.create_task(search(url, **{"fairlead-key": KEYS["FAIRLEAD_KEY"]}))
            await has_come.wait()
            ending = asyncio.create_task(interrupted(process, how))
            with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))):
                may_answer.set()
            answer, told = await asyncio.gather(asking, ending)
    assert (answer.status, told.code) == (200, 0)


async def test_without_keys_it_refuses(tmp_path: Path) -> None:
    (tmp_path / "fairlead.toml").write_text("[gateway]\napi_keys = []\n")
    told = await fairlead("serve", cwd=tmp_path)
    assert (told.code, told.out) == (3, "")
    assert told.err.startswith("error invalid_setting  fairlead.toml: gateway.api_keys is empty")
    assert '[gateway] api_keys = ["env:FAIRLEAD_KEY"]' in told.err  # which markup would swallow
    as_json = await fairlead("serve", "--json", cwd=tmp_path)
    assert as_json.code == 3
    assert "[gateway]" in as_json.error()["hint"]


@pytest.mark.parametrize(
    ("key", "said"),
    [("env:NOTHING", "the environment has no NOTHING"), ("canary-in-plain", "holds a secret in plain text")],
)
async def test_a_key_that_cannot_be_had_is_told(key: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "fairlead.toml").write_text(f'[gateway]\napi_keys = ["{key}"]\n')
    told = await fairlead("serve", cwd=tmp_path)
    assert told.code == 3
    assert "fairlead.toml: gateway.api_keys" in told.err
    assert said in told.err
    assert "canary" not in told.err


async def test_a_place_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    (tmp_path / "fairlead.toml").write_text('[gateway]\napi_keys = ["env:FAIRLEAD_KEY"]\n')
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = await fairlead("serve", "--port", str(port), cwd=tmp_path)
    nowhere = await fairlead("serve", "--host", "a..b", "--json", cwd=tmp_path)
    assert (told.code, nowhere.code) == (3, 3)
    assert f"Cannot listen on 127.0.0.1, port {port}: Address already in use." in told.err
    assert "--port" in told.err
    assert "a..b" in nowhere.error()["message"]


def test_small_answers_are_sent_at_once() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def logged(process: Process, name: str) -> dict[str, object]:
    """Read its log up to an event of this name."""
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        while True:
            line = await process.stderr.readline()
            assert line, f"it ended without {name}"
            event: dict[str, object] = json.loads(line)
            if event["event"] == name:
                return event


async def test_sighup_reads_the_configuration_anew(tmp_path: Path) -> None:
    path, key = tmp_path / "fairlead.toml", {"fairlead-key": KEYS["FAIRLEAD_KEY"]}
    async with SpoonacularFake() as first, EdamamFake() as second:
        text = CONFIG.format(first=first.url, second=second.url)
        path.write_text(text)
        async with running("serve", "--port", "0", cwd=tmp_path) as process:
            url = await url_of(process)
            assert (await search(url, **key)).headers["fairlead-served-by"] == "spoonacular"
            path.write_text(text + "[routes.recipes]\nconnections = ['edamam']\n")
            process.send_signal(signal.SIGHUP)
            reloaded = await logged(process, "ConfigReloaded")
            assert (await search(url, **key)).headers["fairlead-served-by"] == "edamam"
            path.write_text(text + "[routes.recipes]\nconnections = ['edaman']\n")
            process.send_signal(signal.SIGHUP)
            rejected = await logged(process, "ConfigRejected")
            assert (await search(url, **key)).headers["fairlead-served-by"] == "edamam"
            path.write_text(text.replace('"env:FAIRLEAD_KEY"', '"env:EDAMAM_APP_KEY"'))
            process.send_signal(signal.SIGHUP)
            await logged(process, "ConfigReloaded")
            assert (await search(url, **key)).status == 401
            assert (await search(url, **{"fairlead-key": KEYS["EDAMAM_APP_KEY"]})).status == 200
            told = await interrupted(process, signal.SIGTERM)
    assert (reloaded["level"], reloaded["changed"], reloaded["removed"]) == ("info", [], [])
    assert (rejected["level"], rejected["error"]) == ("warning", "invalid_setting")
    assert "names 'edaman', which is no connection. Did you mean 'edamam'?" in str(rejected["message"])
    assert told.code == 0


async def test_a_file_without_keys_is_refused_at_sighup(tmp_path: Path) -> None:
    path, key = tmp_path / "fairlead.toml", {"fairlead-key": KEYS["FAIRLEAD_KEY"]}
    async with SpoonacularFake() as first, EdamamFake() as second:
        text = CONFIG.format(first=first.url, second=second.url)
        path.write_text(text)
        async with running("serve", "--port", "0", cwd=tmp_path) as process:
            url = await url_of(process)
            path.write_text(text.partition("[gateway]")[0])
            process.send_signal(signal.SIGHUP)
            assert "api_keys is empty" in str((await logged(process, "ConfigRejected"))["message"])
            assert (await search(url, **key)).status == 200
            await interrupted(process, signal.SIGTERM)
