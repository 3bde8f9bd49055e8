"""`fairlead init`: a first configuration that works once its variables are set, and no file is lost."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from cli.plugins import install
from cli.shell import Ended, fairlead
from e2e.terminal import COLUMNS, terminal
from fairlead.config.read import read_settings
from fairlead.config.sources import ProcessSources
from fairlead.runtime.assemble import World, assemble_connection, assemble_route
from fairlead.runtime.ports import Ports
from fairlead.runtime.registry import load_provider, provider_names
from fairlead.testing.registry import load_fake
from fairlead.transport.http import HttpTransport

FILE = "fairlead.toml"
BOTH = ("--provider", "spoonacular", "--provider", "edamam")


async def init(directory: Path, *arguments: str) -> Ended:
    """Run it with nothing set."""
    return await fairlead("init", *arguments, cwd=directory, environment={})


def exported(told: Ended) -> list[str]:
    """Return the variables that it asks to set."""
    return [
        line.removeprefix("export ").removesuffix("=...") for line in told.out.splitlines() if line[:7] == "export "
    ]


@pytest.mark.parametrize("names", [*((name,) for name in provider_names()), tuple(provider_names())])
async def test_the_written_file_works_once_the_variables_are_set(names: tuple[str, ...], tmp_path: Path) -> None:
    told = await init(tmp_path, *(word for name in names for word in ("--provider", name)))
    assert (told.code, told.err) == (0, "")
    settings = read_settings(tmp_path / FILE)
    assert list(settings.connections) == list(names)
    environment = dict.fromkeys(exported(told), "canary-4711")
    ports = Ports()
    world = World(sources=ProcessSources(environment), ports=ports, connect=HttpTransport)
    connections = {
        name: assemble_connection(name, wanted, world, source=FILE) for name, wanted in settings.connections.items()
    }
    serving = {name: load_provider(name).capabilities for name in names}
    assert settings.routes.keys() == {each for capabilities in serving.values() for each in capabilities}
    for capability, wanted in settings.routes.items():
        assert wanted.connections == [name for name in names if capability in serving[name]]
        assemble_route(capability, wanted, connections, source=FILE)
    for connection in connections.values():
        await connection.transport.close()
    assert settings.gateway.api_keys == ["env:FAIRLEAD_KEY"]
    assert set(exported(told)) == {
        "FAIRLEAD_KEY",
        *(
            f"{name}_{each.name}".upper()
            for name in names
            for each in load_provider(name).credentials
            if each.is_required
        ),
    }


async def test_with_the_stand_ins_it_passes_the_check(tmp_path: Path) -> None:
    told = await init(tmp_path, *BOTH)
    text = (tmp_path / FILE).read_text()
    environment = {"FAIRLEAD_KEY": "any"}
    async with load_fake("spoonacular")() as first, load_fake("edamam")() as second:
        for name, fake in (("spoonacular", first), ("edamam", second)):
            heading = f"[connections.{name}]\n"
            text = text.replace(heading, f'{heading}base_url = "{fake.url}"\nallow_private = true\n')
            environment |= {f"{name}_{each}".upper(): value for each, value in fake.CREDENTIALS.items()}
        (tmp_path / FILE).write_text(text)
        checked = await fairlead("check", cwd=tmp_path, environment=environment)
    assert (told.code, checked.code) == (0, 0), checked
    assert sorted(environment) == sorted(exported(told))


async def test_what_is_optional_or_a_choice_stands_in_comments(tmp_path: Path) -> None:
    await init(tmp_path, *BOTH)
    lines = (tmp_path / FILE).read_text().splitlines()
    assert '# credentials.account_user = "env:EDAMAM_ACCOUNT_USER"' in lines
    assert lines.count("# cache_permitted = true") == 2
    assert "# The terms let answers be kept for 1 hour only once the vendor has agreed. Where it has:" in lines
    text = " ".join(line.removeprefix("# ") for line in lines)
    for name in ("spoonacular", "edamam"):
        provider = load_provider(name)
        assert provider.docs_url in text
        assert all(f"{plan} (" in text for plan in provider.plans)
        assert f'plan = "{provider.default_plan}"' in lines
        assert provider.terms
        assert provider.terms.attribution in text
    assert max(map(len, lines)) <= 102


async def test_every_comment_that_is_a_setting_can_be_uncommented(tmp_path: Path) -> None:
    await init(tmp_path, "--yes")
    text = (tmp_path / FILE).read_text()
    commented = [line for line in text.splitlines() if line.startswith("# ") and " = " in line]
    assert commented
    for line in commented:
        text = text.replace(line, line.removeprefix("# "))
    (tmp_path / FILE).write_text(text)
    settings = read_settings(tmp_path / FILE)
    assert settings.connections["edamam"].credentials["account_user"] == "env:EDAMAM_ACCOUNT_USER"
    assert settings.connections["edamam"].cache_permitted


async def test_it_says_what_to_set_where_to_get_it_and_what_to_run_then(tmp_path: Path) -> None:
    told = await fairlead("init", *BOTH, cwd=tmp_path, environment={"EDAMAM_APP_ID": "canary-4711"})
    assert told.out.startswith(f"Wrote {FILE}: spoonacular, then edamam.\nSet already: EDAMAM_APP_ID.\n")
    assert "Set these, then run fairlead check.\n" in told.out
    assert "# API key: Profile, 'Show API Key', at https://spoonacular.com/food-api/console\n" in told.out
    assert exported(told) == ["SPOONACULAR_API_KEY", "EDAMAM_APP_KEY", "FAIRLEAD_KEY"]
    assert "fairlead fake spoonacular" in told.out
    assert "canary" not in told.out + told.err + (tmp_path / FILE).read_text()


async def test_all_of_it_can_be_read_as_json(tmp_path: Path) -> None:
    told = await init(tmp_path, *BOTH, "--output", "other one.toml", "--json")
    assert (told.code, told.err) == (0, "")
    document = told.json()
    assert (document["written"], document["connections"]) == ("other one.toml", ["spoonacular", "edamam"])
    assert document["variables"][0] == {
        "name": "SPOONACULAR_API_KEY",
        "help": "API key: Profile, 'Show API Key', at https://spoonacular.com/food-api/console",
        "is_set": False,
    }
    assert document["next"] == "fairlead check --config 'other one.toml'"
    assert read_settings(tmp_path / "other one.toml").connections


async def test_a_file_that_exists_is_overwritten_only_by_force(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("precious")
    told = await init(tmp_path, "--yes")
    as_json = await init(tmp_path, "--yes", "--json")
    assert (told.code, told.out, as_json.code) == (3, "", 3)
    assert told.err.startswith(f"error config_file  {FILE} exists already.\n")
    assert "--force" in told.err
    assert "--output" in as_json.error()["hint"]
    assert (tmp_path / FILE).read_text() == "precious"
    forced = await init(tmp_path, "--yes", "--force")
    assert forced.code == 0
    assert read_settings(tmp_path / FILE).connections


@pytest.mark.parametrize("output", ["nowhere/fairlead.toml", "."])
async def test_a_file_that_cannot_be_written_is_told(output: str, tmp_path: Path) -> None:
    told = await init(tmp_path, "--yes", "--force", "--output", output)
    assert (told.code, told.out) == (3, "")
    assert told.err.startswith(f"error config_file  {output} cannot be written: ")


async def test_nothing_is_written_for_an_unknown_provider(tmp_path: Path) -> None:
    told = await init(tmp_path, "--provider", "spoonacular", "--provider", "edamm")
    as_json = await init(tmp_path, "--provider", "edamm", "--json")
    assert (told.code, told.out, as_json.code) == (2, "", 2)
    assert "There is no provider 'edamm'." in told.err
    assert "Did you mean 'edamam'?" in told.err
    assert "'edamam'" in as_json.error()["hint"]
    assert not (tmp_path / FILE).exists()


async def test_where_nobody_can_be_asked_the_flags_are_named(tmp_path: Path) -> None:
    told = await init(tmp_path)
    as_json = await init(tmp_path, "--json")
    assert (told.code, told.out, as_json.code) == (2, "", 2)
    assert "--provider" in told.err
    assert "--yes" in as_json.error()["message"]
    assert not (tmp_path / FILE).exists()


def test_on_a_terminal_it_asks_until_it_understands(tmp_path: Path) -> None:
    names = provider_names()
    everything = " ".join(str(number) for number, name in enumerate(names, 1) if load_provider(name).capabilities)
    edamam = names.index("edamam") + 1
    question = f"\nWhich ones, by number or name? The first is asked first [{everything}]: "
    with terminal("init", cwd=tmp_path) as seen:
        seen.read_until(question)
        seen.type(f"spoonaculer, {edamam}")
        seen.read_until(f"Did you mean 'spoonacular'?\n{question}")
        seen.type(f"spoonacular, {edamam}")
        assert seen.end() == 0
        assert f"Wrote {FILE}: spoonacular, then edamam." in seen.shown
        assert max(map(len, seen.shown.splitlines())) <= COLUMNS
    assert list(read_settings(tmp_path / FILE).connections) == ["spoonacular", "edamam"]


def test_ctrl_c_at_the_question_writes_nothing(tmp_path: Path) -> None:
    with terminal("init", cwd=tmp_path) as seen:
        seen.read_until("The first is asked first")
        assert seen.interrupt() == 130
        assert "Traceback" not in seen.shown
    assert os.listdir(tmp_path) == []  # noqa: PTH208


async def test_what_another_package_declares_cannot_break_the_file(tmp_path: Path) -> None:
    told = await fairlead("init", "--provider", "acme", cwd=tmp_path, environment=install(tmp_path))
    assert told.code == 0
    assert exported(told) == ["ACME_TOKEN", "FAIRLEAD_KEY"]
    assert tomllib.loads((tmp_path / FILE).read_text())["connections"].keys() == {"acme"}
    assert "\x1b" not in (tmp_path / FILE).read_text() + told.out
