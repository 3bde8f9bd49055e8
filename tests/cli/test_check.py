"""`fairlead check`: every problem is told, with the file, the key, and what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.shell import CONFIG, KEYS, fairlead
from fairlead.testing.fakes.edamam import EdamamFake
from fairlead.testing.fakes.spoonacular import SpoonacularFake
from redis_server import running as redis_running

NOBODY = "http://127.0.0.1:9"
CANARY = "canary-4711"


async def test_a_good_configuration_is_told_line_by_line(tmp_path: Path) -> None:
    async with SpoonacularFake() as first, EdamamFake() as second:
        routes = '[routes.recipes]\nconnections = ["edamam", "spoonacular"]\n'
        (tmp_path / "fairlead.toml").write_text(CONFIG.format(first=first.url, second=second.url) + routes)
        told = await fairlead("check", cwd=tmp_path)
        as_json = await fairlead("check", "--json", cwd=tmp_path)
    assert (told.code, told.err) == (0, "")
    lines = [line.split() for line in told.out.splitlines()]
    assert [line[:3] for line in lines] == [
        ["✓", "connection", "spoonacular"],
        ["✓", "connection", "edamam"],
        ["✓", "route", "recipes"],
        ["✓", "gateway", "api_keys"],
    ]
    assert lines[2][3:] == ["edamam", "then", "spoonacular"]
    document = as_json.json()
    assert (as_json.code, document["ok"], document["config"]) == (0, True, "fairlead.toml")
    assert [finding["kind"] for finding in document["findings"]] == ["connection", "connection", "route", "gateway"]
    assert not any("problem" in finding for finding in document["findings"])
    assert not any(key in told.out + as_json.out for key in KEYS.values())


async def test_an_empty_configuration_is_good(tmp_path: Path) -> None:
    (tmp_path / "fairlead.toml").write_text("")
    told = await fairlead("check", cwd=tmp_path)
    assert (told.code, told.out) == (0, "fairlead.toml is good, and empty: add a connection.\n")


async def test_every_problem_is_told_not_only_the_first(tmp_path: Path) -> None:
    unknown = '[connections.other]\nprovider = "spoonaculer"\n'
    lame = '[routes.recipes]\nconnections = ["edamam", "spoonaculr"]\n'
    (tmp_path / "fairlead.toml").write_text(CONFIG.format(first=NOBODY, second=NOBODY) + unknown + lame)
    environment = {name: value for name, value in KEYS.items() if name in {"EDAMAM_APP_ID", "EDAMAM_APP_KEY"}}
    told = await fairlead("check", cwd=tmp_path, environment=environment)
    as_json = await fairlead("check", "--json", cwd=tmp_path, environment=environment)
    assert told.code == as_json.code == 1
    for said in (
        "fairlead.toml: connections.spoonacular.credentials.api_key: the environment has no SPOONACULAR_API_KEY.",
        "export SPOONACULAR_API_KEY=...",
        "fairlead.toml: connections.edamam: No connection could be made",
        "fairlead.toml: connections.other.provider: There is no provider 'spoonaculer'.",
        "Did you mean 'spoonacular'?",
        "fairlead.toml: routes.recipes.connections names 'spoonaculr', which is no connection.",
        "fairlead.toml: gateway.api_keys: the environment has no FAIRLEAD_KEY.",
        "5 problems in fairlead.toml.",
    ):
        assert said in told.out
    found = {finding["name"]: finding for finding in as_json.json()["findings"]}
    assert list(found) == ["spoonacular", "edamam", "other", "recipes", "api_keys"]  # as in the file
    assert not as_json.json()["ok"]
    assert {name: finding["code"] for name, finding in found.items()} == {
        "spoonacular": "unresolved_reference",
        "edamam": "connect",
        "other": "unknown_provider",
        "recipes": "invalid_setting",
        "api_keys": "unresolved_reference",
    }
    assert all(finding["hint"] for finding in found.values())


async def test_a_wrong_key_is_told_with_the_place_where_it_stands(tmp_path: Path) -> None:
    async with SpoonacularFake() as first, EdamamFake() as second:
        (tmp_path / "fairlead.toml").write_text(CONFIG.format(first=first.url, second=second.url))
        told = await fairlead("check", cwd=tmp_path, environment={**KEYS, "SPOONACULAR_API_KEY": CANARY})
    assert told.code == 1
    assert "fairlead.toml: connections.spoonacular: The vendor does not accept the credentials (HTTP 401)" in told.out
    assert 'Put the right value where it looks: api_key = "env:SPOONACULAR_API_KEY".' in told.out
    assert CANARY not in told.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[connections", "fairlead.toml is not TOML"),
        ('[conectins.a]\nprovider = "edamam"', "fairlead.toml: conectins is not a setting."),
        ('[connections.a]\nprovidr = "edamam"', "fairlead.toml: connections.a.providr is not a setting."),
        ('connections = "[connections]"', "fairlead.toml: connections: Expected a table"),
        ("[gateway]\nport = 70000", "fairlead.toml: gateway.port: "),
        ('[gateway]\nport = "canary-4711"', "fairlead.toml: gateway.port: "),
        ("[routes.recipes]", "fairlead.toml: routes.recipes lacks 'connections'."),
        ("[routes.recipes]\nconnections = []", "fairlead.toml: routes.recipes.connections: "),
    ],
)
async def test_a_file_that_cannot_be_understood_is_one_clear_error(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "fairlead.toml").write_text(text)
    told = await fairlead("check", cwd=tmp_path)
    assert (told.code, told.out) == (3, "")
    assert said in told.err
    assert len(told.err.splitlines()) == 2
    assert CANARY not in told.err
    as_json = await fairlead("check", "--json", cwd=tmp_path)
    assert as_json.code == 3
    assert said in as_json.error()["message"]


@pytest.mark.parametrize(
    ("connection", "said"),
    [
        ('provider = "nobody"', "connections.a.provider: There is no provider 'nobody'."),
        ('provider = "spoonacular"', "connections.a.credentials.api_key is missing."),
        (
            'provider = "spoonacular"\ncredentials = { api_ky = "env:KEY" }',
            "connections.a.credentials.api_ky is not a credential",
        ),
        (
            'provider = "spoonacular"\ncredentials = { api_key = "canary-4711" }',
            "connections.a.credentials.api_key holds a secret in plain text.",
        ),
        (
            'provider = "spoonacular"\ncredentials = { api_key = "file:/nowhere" }',
            "connections.a.credentials.api_key: /nowhere cannot be read",
        ),
        (
            'provider = "spoonacular"\ncredentials = { api_key = "env:BROKEN" }',
            "connections.a.credentials.api_key has a line break in it.",
        ),
        ('base_url = "ftp://api.example"', "connections.a.base_url is not a usable URL."),
        ('base_url = "http://[::1"', "connections.a.base_url is not a usable URL."),
        ('base_url = "https://user:canary-4711@api.example"', "connections.a.base_url is not a usable URL."),
        ('base_url = "https://api.example/?key=canary-4711"', "connections.a.base_url is not a usable URL."),
        ("allow_private = true", "connections.a has neither a provider nor a base_url."),
    ],
)
async def test_a_connection_that_cannot_work_is_one_clear_error(connection: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "fairlead.toml").write_text(f"[connections.a]\n{connection}\n")
    environment = {"BROKEN": f"{CANARY}\r\nx-other: y"}
    for arguments, code in ((("check",), 1), (("call", "http.get", "connection=a", "path=/"), 3)):
        told = await fairlead(*arguments, cwd=tmp_path, environment=environment)
        assert told.code == code, told
        assert f"fairlead.toml: {said}" in told.out + told.err
        assert "Traceback" not in told.err
        assert CANARY not in told.out + told.err
    as_json = await fairlead("call", "http.get", "connection=a", "path=/", "--json", cwd=tmp_path)
    assert as_json.code == 3
    assert as_json.error()


async def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    secret = tmp_path / "secret.toml"
    secret.write_text("")
    secret.chmod(0)
    directory = tmp_path / "directory.toml"
    directory.mkdir()
    image = tmp_path / "image.toml"
    image.write_bytes(b"\x89PNG\xff")
    unreadable = [directory, image] if os.geteuid() == 0 else [secret, directory, image]
    for path in unreadable:
        told = await fairlead("check", "--config", str(path))
        assert (told.code, told.out) == (3, "")
        assert told.err.startswith(f"error config_file  {path} cannot be read: ")
        assert len(told.err.splitlines()) == 2


async def test_the_state_that_processes_share_is_tried(tmp_path: Path) -> None:
    with redis_running(password=CANARY) as server:
        text = f'[state]\nurl = "{server.url}"\npassword = "env:REDIS"\n'
        (tmp_path / "fairlead.toml").write_text(text)
        good = await fairlead("check", cwd=tmp_path, environment={"REDIS": CANARY})
        wrong = await fairlead("check", cwd=tmp_path, environment={"REDIS": CANARY + "x"})
        server.kill()
        gone = await fairlead("check", cwd=tmp_path, environment={"REDIS": CANARY})
    assert (good.code, good.out.split()[:4]) == (0, ["✓", "state", f"127.0.0.1:{server.port}/0", "redis"])
    assert (wrong.code, gone.code) == (1, 1)
    assert "state.url: The store does not let us in: WRONGPASS." in " ".join(wrong.out.split())
    assert "state.url: It cannot be reached: no connection" in " ".join(gone.out.split())
    assert CANARY not in good.out + wrong.out + gone.out
