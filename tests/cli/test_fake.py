"""`fairlead fake`: a stand-in that is found by name, tells how to use it, and ends in good order."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
import socket
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any

import pytest

from cli.plugins import install
from cli.shell import PATIENCE_S, Ended, fairlead, interrupted, running
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect
from fairlead.testing.registry import fake_names
from fairlead.transport.http import HttpOptions, HttpTransport

ENDINGS = [signal.SIGINT, signal.SIGTERM]
CONFIG = """
[connections.{name}]
provider = "{name}"
{lines}
[connections.{name}.credentials]
{credentials}
"""


async def read_until(process: Process, last: str) -> str:
    """Read what the command says up to a line."""
    assert process.stdout is not None
    said = ""
    async with asyncio.timeout(PATIENCE_S):
        while not said.endswith(f"{last}\n"):
            line = (await process.stdout.readline()).decode()
            assert line, said
            said += line
    return said


async def document_of(process: Process) -> dict[str, Any]:
    """Read the one document."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        found: dict[str, Any] = json.loads(await process.stdout.readline())
    return found


async def ask(request: Request, url: str) -> Response:
    transport = HttpTransport(HttpOptions(base_url=url, allow_private=True))
    try:
        answer = await transport.exchange(request, timeout_s=PATIENCE_S)
    finally:
        await transport.close()
    assert isinstance(answer, Response), answer
    return answer


@pytest.mark.parametrize("name", fake_names())
async def test_what_it_says_is_enough_to_reach_it(name: str, tmp_path: Path) -> None:
    async with running("fake", name) as process:
        said = await read_until(process, "/_fake/reset")
        exports = dict(line.removeprefix("export ").split("=", 1) for line in re.findall("export .*", said))
        environment = {variable: shlex.split(value)[0] for variable, value in exports.items()}
        lines = re.search(rf"# Add to \[connections\.{name}\] in fairlead\.toml\n((?:.+\n)+)", said)
        assert lines
        credentials = "\n".join(
            f'{variable.lower().removeprefix(name + "_")} = "env:{variable}"' for variable in environment
        )
        (tmp_path / "fairlead.toml").write_text(CONFIG.format(name=name, lines=lines[1], credentials=credentials))
        checked = await fairlead("check", cwd=tmp_path, environment=environment)
        ended = await interrupted(process)
    assert (checked.code, checked.err) == (0, ""), checked
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "\nCtrl-C ends it.\nstopped\n"


@pytest.mark.parametrize("how", ENDINGS)
async def test_a_program_is_told_in_one_document(how: signal.Signals) -> None:
    async with running(
        "fake", "spoonacular", "--faults", '{"error_share": 1, "error_status": 503}', "--json"
    ) as process:
        document = await document_of(process)
        answer = await ask(Request.get("/recipes/complexSearch", query={"query": "salt"}), document["url"])
        books = await ask(Request.get("/_fake/books"), document["url"])
        ended = await interrupted(process, how)
    assert answer.status == 503
    assert books.json()["operations"] == {"searchRecipes": 1}
    assert ended == Ended(0, "", "")
    assert document["name"] == "spoonacular"
    assert document["credentials"] == {"api_key": "fake-key"}
    assert document["connection"] == {"provider": "spoonacular", "base_url": document["url"], "allow_private": True}
    assert document["faults"] == {"error_share": 1, "error_status": 503}
    assert document["admin"]["faults"] == f"{document['url']}/_fake/faults"


async def test_it_is_broken_and_mended_while_it_runs_by_the_lines_it_prints() -> None:
    query = Request.get("/recipes/complexSearch", query={"query": "salt", "apiKey": "fake-key"})
    async with running("fake", "spoonacular") as process:
        said = await read_until(process, "/_fake/reset")
        seen = []
        for line in re.findall("^curl -X.*", said, re.MULTILINE):
            _, _, method, url, *body = shlex.split(line)
            at = url.index("/_fake")
            request = Request(method=method, path=url[at:], body="".join(body[1:]).encode(), effect=Effect.ONCE)
            assert (await ask(request, url[:at])).status == 200
            seen.append((await ask(query, url[:at])).status)
        await interrupted(process)
    assert seen == [500, 200, 200]  # broken, mended, reset


async def test_a_client_that_waits_for_ever_does_not_keep_it_from_ending() -> None:
    async with running("fake", "edamam", "--faults", '{"hang_share": 1}', "--json") as process:
        document = await document_of(process)
        port = int(document["url"].rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /api/recipes/v2 HTTP/1.1\r\nHost: x\r\n\r\n")
        await writer.drain()
        ended = await interrupted(process)
        with pytest.raises(ConnectionError):
            await reader.readexactly(1)
        writer.transport.abort()
    assert ended == Ended(0, "", "")


async def test_a_port_can_be_asked_for_and_must_be_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = await fairlead("fake", "edamam", "--port", str(port))
        as_json = await fairlead("fake", "edamam", "--port", str(port), "--json")
    assert (told.code, told.out, as_json.code) == (3, "", 3)
    assert f"error invalid_setting  Cannot listen on 127.0.0.1, port {port}: Address already in use." in told.err
    assert "--port" in told.err
    assert "--port" in as_json.error()["hint"]
    async with running("fake", "edamam", "--port", str(port), "--json") as process:
        assert (await document_of(process))["url"] == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("spoonaculer", "Did you mean 'spoonacular'?"), ("nobody-has-it", "There are: edamam, "), ("..", "There")],
)
async def test_an_unknown_one_is_a_wrong_command_line(name: str, hint: str) -> None:
    told = await fairlead("fake", name)
    as_json = await fairlead("fake", name, "--json")
    assert (told.code, told.out, as_json.code) == (2, "", 2)
    assert told.err.startswith(f"error invalid_argument  There is no stand-in for {name!r}.\n")
    assert hint in told.err
    assert hint in as_json.error()["hint"]


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ('{"eror_share": 1}', "'eror_share' is not a fault."),
        ('{"error_share": 2}', "error_share is a share from 0 to 1, not 2.0."),
        ('{"error_share": "all"}', "error_share: Expected `float`, got `str`."),
        ('{"latency_s": -1}', "latency_s is a time, which cannot be negative."),
        ('{"retry_after_s": -1}', "retry_after_s is a time, which cannot be negative."),
        ('{"error_share": 0.7, "hang_share": 0.7}', "The shares exclude each other"),
        ('{"flap_up_s": 1}', "flap_up_s and flap_down_s are set together."),
        ("[]", "The faults: Expected `object`, got `array`."),
        ("{error_share: 1}", "The faults are not JSON."),
        ("", "The faults are not JSON."),
    ],
)
async def test_faults_that_cannot_be_are_told_by_their_name(faults: str, said: str) -> None:
    told = await fairlead("fake", "spoonacular", "--faults", faults)
    as_json = await fairlead("fake", "spoonacular", "--faults", faults, "--json")
    assert (told.code, told.out, as_json.code) == (2, "", 2)
    assert told.err.startswith(f"error invalid_argument  {said}")
    assert as_json.error()["message"].startswith(said)


async def test_that_of_another_package_runs_too(tmp_path: Path) -> None:
    async with running("fake", "acme", environment=install(tmp_path)) as process:
        said = await read_until(process, "/_fake/reset")
        ended = await interrupted(process)
    assert "export ACME_TOKEN='it'\"'\"'s fake'" in said
    assert ended.code == 0
