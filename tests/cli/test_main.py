"""What holds for every command: help, exit codes, and errors that are one sentence and never a trace."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cli.shell import COMMAND, fairlead
from fairlead import __version__, errors
from fairlead.cli.main import COMMANDS, exit_code


async def test_help_names_every_command_and_exit_code() -> None:
    told = await fairlead("--help")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("Usage: fairlead ")
    assert all(f"  {name} " in told.out for name in COMMANDS)
    assert all(f"  {code}  " in told.out for code in (0, 1, 2, 3, 4, 130))


@pytest.mark.parametrize("command", COMMANDS)
async def test_every_command_has_help(command: str) -> None:
    told = await fairlead(command, "-h")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith(f"Usage: fairlead {command} ")


async def test_the_version_is_told() -> None:
    told = await fairlead("--version")
    assert told == (0, f"fairlead {__version__}\n", "")


async def test_without_a_command_there_is_help() -> None:
    told = await fairlead()
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("Usage: fairlead ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cal",), "Did you mean 'call'?"),
        (("frobnicate",), "No such command 'frobnicate'"),
        (("check", "--jsn"), "No such option '--jsn'"),
        (("call",), "Missing argument 'OPERATION'"),
        (("call", "recipes.search", "--deadline", "soon"), "--deadline"),
        (("call", "recipes.search", "--deadline", "0"), "--deadline"),
        (("serve", "--port", "99999"), "--port"),
        (("demo", "extra"), "extra"),
        (("check", "--config", os.fsdecode(b"\xff.toml")), "not UTF-8"),
    ],
)
async def test_a_wrong_command_line_is_told_so(arguments: tuple[str, ...], said: str) -> None:
    told = await fairlead(*arguments)
    assert (told.code, told.out) == (2, "")
    assert said in told.err
    assert "Traceback" not in told.err
    as_json = await fairlead(*arguments, "--json")
    assert as_json.code == 2
    assert as_json.error()["code"] == "usage"
    assert said in as_json.error()["message"]


@pytest.mark.parametrize("command", ["call", "check", "serve"])
async def test_every_command_tells_a_wrong_configuration_in_the_same_way(command: str, tmp_path: Path) -> None:
    operation = ("recipes.search", "q=pasta") if command == "call" else ()
    told = await fairlead(command, *operation, cwd=tmp_path)
    assert (told.code, told.out) == (3, "")
    assert told.err.startswith("error config_file  fairlead.toml does not exist.\n")
    assert "--config" in told.err
    as_json = await fairlead(command, *operation, "--json", cwd=tmp_path)
    assert as_json.code == 3
    assert as_json.error()["code"] == "config_file"
    assert as_json.error()["message"] == "fairlead.toml does not exist."
    assert "--config" in as_json.error()["hint"]


async def test_the_configuration_can_be_named_in_the_environment(tmp_path: Path) -> None:
    told = await fairlead("check", cwd=tmp_path, environment={"FAIRLEAD_CONFIG": "other.toml"})
    assert told.code == 3
    assert "other.toml" in told.err


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.FairleadError, 1),
        (errors.TransportError, 1),
        (errors.AuthenticationError, 1),
        (errors.CircuitOpenError, 1),
        (errors.UsageError, 2),
        (errors.InvalidArgumentError, 2),
        (errors.UnknownConnectionError, 2),
        (errors.UnsupportedFeatureError, 2),
        (errors.ConfigError, 3),
        (errors.UnresolvedReferenceError, 3),
        (errors.UnknownProviderError, 3),
        (errors.OutcomeUnknownError, 4),
    ],
)
def test_the_exit_code_tells_kinds_of_errors_apart(kind: type[errors.FairleadError], code: int) -> None:
    assert exit_code(kind()) == code


@pytest.mark.parametrize("arguments", [("--help",), ("check", "--config", "none.toml", "--json")])
def test_a_reader_that_has_seen_enough_is_no_error(arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        told = subprocess.run(  # noqa: S603
            [*COMMAND, *arguments], stdout=writing, stderr=subprocess.PIPE, env={}, timeout=30, check=False
        )
    finally:
        os.close(writing)
    assert told.stderr == b""
