"""`fairlead call`, against the fakes."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cli.shell import CONFIG, KEYS, fairlead, interrupted, running
from fairlead.testing.fakes.edamam import EdamamFake
from fairlead.testing.fakes.spoonacular import SpoonacularFake
from fairlead.testing.faults import Faults
from raw_server import RawServer, Script, ignore, reply, reply_once, serve
from stages import CANARY, claim_two_gigabytes, http

NAMED = """
[connections.api]
base_url = "{url}"
allow_private = true
auth = {{ scheme = "key", header = "x-api-key" }}
credentials = {{ key = "env:KEY" }}
retry = {{ max_attempts = 1 }}
"""


@asynccontextmanager
async def vendors(tmp_path: Path) -> AsyncIterator[tuple[SpoonacularFake, EdamamFake]]:
    """Run both fakes, and write the configuration that leads to them."""
    async with SpoonacularFake() as first, EdamamFake() as second:
        (tmp_path / "fairlead.toml").write_text(CONFIG.format(first=first.url, second=second.url))
        yield first, second


@asynccontextmanager
async def api(script: Script, tmp_path: Path) -> AsyncIterator[RawServer]:
    """Run a raw server as the connection `api`."""
    async with serve(script) as raw:
        (tmp_path / "fairlead.toml").write_text(NAMED.format(url=raw.url()))
        yield raw


async def test_a_search_is_printed_for_people(tmp_path: Path) -> None:
    async with vendors(tmp_path):
        told = await fairlead("call", "recipes.search", "q=tomato pasta", cwd=tmp_path)
    assert told.code == 0
    heading, *lines, total = told.out.splitlines()
    assert heading.split() == ["recipe", "minutes", "serves", "reference"]
    assert all(re.search(r"\S +\d+ +\d+ +spoonacular:\d+ *$", line) for line in lines)
    assert re.fullmatch(r"\d+ of \d+", total)
    assert re.fullmatch(r"served by spoonacular in \d+ ms, 1 attempt, call [0-9a-f]{32}\n", told.err)


async def test_a_search_as_json_is_the_answer_and_its_report(tmp_path: Path) -> None:
    async with vendors(tmp_path) as (first, _):
        first.faults = Faults(error_share=1.0)
        told = await fairlead("call", "recipes.search", "q=pasta", "diets=vegetarian", "--json", cwd=tmp_path)
    assert (told.code, told.err) == (0, "")
    page = told.json()
    assert "vegetarian" in page["items"][0]["diets"]
    assert page["items"][0]["ref"]["connection"] == "edamam"
    report = page["call"]
    assert report["served_by"] == "edamam"
    assert [(each["connection"], each["outcome"]) for each in report["attempts"]] == [
        ("spoonacular", "not_done"),
        ("edamam", "done"),
    ]


async def test_what_is_not_found_is_said_so(tmp_path: Path) -> None:
    async with vendors(tmp_path):
        told = await fairlead("call", "recipes.search", "q=xyzzy", cwd=tmp_path)
    assert told.code == 0
    assert told.out == "Nothing was found.\n"


async def test_a_recipe_and_its_nutrients_are_printed(tmp_path: Path) -> None:
    async with vendors(tmp_path):
        page = (await fairlead("call", "recipes.search", "q=pasta", "--json", cwd=tmp_path)).json()
        ref = "{connection}:{id}".format(**page["items"][0]["ref"])
        recipe = await fairlead("call", "recipes.fetch", f"ref={ref}", cwd=tmp_path)
        nutrition = await fairlead("call", "recipes.nutrition", f"ref={ref}", cwd=tmp_path)
    assert recipe.out.startswith(page["items"][0]["title"])
    assert "  1. " in recipe.out
    assert re.search(r"^energy +[\d.]+ kcal", nutrition.out, re.MULTILINE)


async def test_a_plain_call_prints_the_body_as_it_is(tmp_path: Path) -> None:
    body = json.dumps({"text": "[bold]no markup[/] :key: " + "x" * 300, "more": "ü"}, ensure_ascii=False).encode()
    async with api(reply(http(200, body, "X-Kind: y")), tmp_path) as raw:
        environment = {"KEY": CANARY}
        told = await fairlead("call", "http.get", "connection=api", "path=/", cwd=tmp_path, environment=environment)
        as_json = await fairlead(
            "call", "http.get", "connection=api", "path=/", "--json", cwd=tmp_path, environment=environment
        )
    assert told.out == f"{body.decode()}\n"
    document = as_json.json()
    assert (document["status"], document["body"]) == (200, json.loads(body))
    assert document["headers"]["x-kind"] == "y"
    assert document["call"]["served_by"] == "api"
    assert CANARY.encode() in raw.requests[0]
    assert CANARY not in told.out + told.err + as_json.out


async def test_markup_and_control_characters_of_a_vendor_are_only_text(tmp_path: Path) -> None:
    found = {"id": 7, "title": "[red]Soup[/red] [connections] :pizza: \x1b[2J", "readyInMinutes": 5}
    body = json.dumps({"results": [found], "offset": 0, "number": 1, "totalResults": 1}).encode()
    async with serve(reply(http(200, body))) as raw:
        (tmp_path / "fairlead.toml").write_text(CONFIG.format(first=raw.url(), second=raw.url()))
        told = await fairlead("call", "recipes.search", "q=soup", cwd=tmp_path)
    assert "[red]Soup[/red] [connections] :pizza:  [2J " in told.out
    assert "\x1b" not in told.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("recipes.searc", "q=pasta"), "Did you mean 'recipes.search'?"),
        (("weather",), "There are: recipes.search, "),
        (("recipes.search",), "Write it as q=pasta."),
        (("recipes.search", "pasta"), "'pasta' is not NAME=VALUE."),
        (("recipes.search", "q=pasta", "diet=vegan"), "Did you mean 'diets'?"),
        (("recipes.search", "q=pasta", "diets=[connections]"), "'[connections]' is not a diet."),
        (("recipes.search", "q=pasta", "max_minutes=-5"), "max_minutes must be a whole number"),
        (("recipes.fetch",), "recipes.fetch needs ref."),
        (("recipes.fetch", "ref=7"), "'7' is not a reference."),
        (("recipes.fetch", "ref=nobody:7"), "'nobody' is not a connection"),
        (("http.get", "connection=nobody", "path=/"), "There is no connection 'nobody'."),
        (("http.get", "connection=edamam", "path=x y"), "The path 'x y' cannot be used."),
        (("http.get", "connection=edamam", "path=/a\r\nx: y"), "cannot be used."),
    ],
)
async def test_a_wrong_call_is_told_what_is_wrong(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    (tmp_path / "fairlead.toml").write_text(CONFIG.format(first="http://127.0.0.1:9", second="http://127.0.0.1:9"))
    told = await fairlead("call", *words, cwd=tmp_path)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("error ")
    assert said in told.err
    assert len(told.err.splitlines()) <= 2  # the sentence, and what to do
    as_json = await fairlead("call", *words, "--json", cwd=tmp_path)
    assert as_json.code == 2
    error = as_json.error()
    assert said in error["message"] + error.get("hint", "")


async def test_a_call_that_nobody_serves_fails_with_what_each_said(tmp_path: Path) -> None:
    async with vendors(tmp_path) as (first, second):
        await first.go_down()
        second.faults = Faults(error_share=1.0)
        told = await fairlead("call", "recipes.search", "q=pasta", cwd=tmp_path)
        as_json = await fairlead("call", "recipes.search", "q=pasta", "--json", cwd=tmp_path)
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("error unavailable  recipes.search: No connection could serve this.")
    error = as_json.error()
    assert as_json.code == 1
    assert error["outcome"] == "not_done"
    assert len(error["attempts"]) == 2


async def test_a_deadline_ends_the_call(tmp_path: Path) -> None:
    async with api(ignore, tmp_path):
        told = await fairlead(
            "call", "http.get", "connection=api", "path=/", "--deadline", "0.2", cwd=tmp_path, environment={"KEY": "k"}
        )
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith(("error attempt_timeout ", "error deadline_exceeded "))


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (claim_two_gigabytes, "answer_too_large"),
        (reply(http(401, json.dumps({"message": f"{CANARY} is no key"}).encode())), "authentication"),
        (reply(http(500, b"<h1>no</h1>")), "unavailable"),
        (reply(http(302, b"", "Location: http://127.0.0.1:9/")), "unexpected_answer"),
        (reply_once(b"SSH-2.0-OpenSSH_9.6\r\n"), "unexpected_answer"),
        (reply_once(b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 99\r\n\r\n"), "connection_lost"),
    ],
    ids=["2_gb", "refused", "broken", "moved", "not_http", "cut_short"],
)
async def test_a_vendor_that_misbehaves_is_one_clear_error(script: Script, code: str, tmp_path: Path) -> None:
    words = ("call", "http.get", "connection=api", "path=/", "--deadline", "5")
    async with api(script, tmp_path):
        told = await fairlead(*words, cwd=tmp_path, environment={"KEY": CANARY})
        as_json = await fairlead(*words, "--json", cwd=tmp_path, environment={"KEY": CANARY})
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith(f"error {code}  api: http.get: ")
    assert len(told.err.splitlines()) <= 2
    assert "Traceback" not in told.err
    assert as_json.error()["code"] == code
    assert CANARY not in told.err + as_json.out


@pytest.mark.parametrize("body", [b"<h1>Please log in</h1>", b"", b'{"results": 7}', b"[" * 100_000])
async def test_a_reply_that_cannot_be_read_is_one_clear_error(body: bytes, tmp_path: Path) -> None:
    async with serve(reply(http(200, body))) as raw:
        (tmp_path / "fairlead.toml").write_text(CONFIG.format(first=raw.url(), second=raw.url()))
        told = await fairlead("call", "recipes.search", "q=soup", "--deadline", "5", cwd=tmp_path)
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("error ")
    assert "Traceback" not in told.err
    assert "Please log in" not in told.err
    assert not any(key in told.err for key in KEYS.values())


async def test_a_vendor_that_nobody_finds_is_one_clear_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        (tmp_path / "fairlead.toml").write_text(NAMED.format(url=f"http://127.0.0.1:{taken.getsockname()[1]}"))
        words = ("call", "http.get", "connection=api", "path=/")
        told = await fairlead(*words, cwd=tmp_path, environment={"KEY": CANARY})
    assert told.code == 1
    assert told.err.startswith("error connect  api: http.get: ")
    assert "base_url" in told.err


@pytest.mark.parametrize("as_json", [False, True])
async def test_ctrl_c_ends_a_hanging_call_at_once(*, as_json: bool, tmp_path: Path) -> None:
    words = ("call", "http.get", "connection=api", "path=/", *(("--json",) if as_json else ()))
    async with api(ignore, tmp_path) as raw, running(*words, cwd=tmp_path, environment={"KEY": "k"}) as process:
        await raw.has_begun.wait()
        told = await interrupted(process)
    assert told.code == 130
    if as_json:
        assert told.error()["code"] == "interrupted"
    else:
        assert (told.out, told.err.strip()) == ("", "interrupted")
