"""`fairlead completion`: the scripts are good, and completing loads no more than it must."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from cli.shell import COMMAND, fairlead
from fairlead.cli.main import COMMANDS
from fairlead.runtime.by_name import OPERATIONS
from fairlead.runtime.registry import provider_names
from fairlead.testing.registry import fake_names

SHELLS = ("bash", "zsh", "fish")


async def completions(line: str) -> list[str]:
    """Ask as the script for bash does: with the words so far, and the number of the one to complete."""
    told = await fairlead(
        environment={
            "_FAIRLEAD_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - (not line.endswith(" "))),
        }
    )
    assert (told.code, told.err) == (0, "")
    return [answer.removeprefix("plain,") for answer in told.out.splitlines() if answer]


@pytest.mark.parametrize("shell", SHELLS)
async def test_the_script_asks_fairlead(shell: str) -> None:
    told = await fairlead("completion", shell)
    assert (told.code, told.err) == (0, "")
    assert f"_FAIRLEAD_COMPLETE={shell}_complete" in told.out
    program = shutil.which(shell)
    if program:  # the others' syntax can be tried only where they are
        tried = subprocess.run([program, "-n"], input=told.out, capture_output=True, text=True, check=False)  # noqa: ASYNC221, S603
        assert (tried.returncode, tried.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("fairlead ", list(COMMANDS)),
        ("fairlead ch", ["check"]),
        ("fairlead call ", list(OPERATIONS)),
        ("fairlead call recipes.f", ["recipes.fetch"]),
        ("fairlead init --provider ", provider_names()),
        ("fairlead init --provider spoonacular --provider e", ["edamam"]),
        ("fairlead providers sp", ["spoonacular"]),
        ("fairlead fake ", fake_names()),
        ("fairlead fake --f", ["--faults"]),
        ("fairlead completion ", list(SHELLS)),
        ("fairlead --v", ["--version"]),
        ("fairlead fak ", list(COMMANDS)),  # which is not the moment to correct anybody
        ("fairlead fake xyz", []),
    ],
)
async def test_what_can_follow_is_offered(line: str, wanted: list[str]) -> None:
    assert await completions(line) == wanted


async def test_a_shell_completes_with_the_script() -> None:
    script = (await fairlead("completion", "bash")).out
    ask = f'fairlead() {{ {" ".join(COMMAND)} "$@"; }}; export -f fairlead'
    line = 'COMP_WORDS=(fairlead call recipes.n); COMP_CWORD=2; _fairlead_completion fairlead; echo "${COMPREPLY[@]}"'
    script = script.replace("$1)", "bash -c fairlead)")
    told = subprocess.run(  # noqa: ASYNC221, S603
        ["/bin/bash", "-c", f"{ask}\n{script}\n{line}"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/bin:/usr/bin"},
    )
    assert (told.returncode, told.stdout, told.stderr) == (0, "recipes.nutrition\n", "")


@pytest.mark.parametrize(
    ("line", "spared"),
    [
        ("fairlead ", ("aiohttp", "rich", "msgspec", *(f"fairlead.cli.{name}" for name in COMMANDS))),
        ("fairlead fake ", ("aiohttp", "starlette", "fairlead.cli.demo", "fairlead.cli.serve")),
        ("fairlead init --provider ", ("aiohttp", "starlette", "fairlead.cli.demo", "fairlead.cli.serve")),
        ("fairlead call ", ("starlette", "uvicorn", "fairlead.cli.demo", "fairlead.cli.serve")),
    ],
)
def test_nothing_is_loaded_that_is_not_needed(line: str, spared: tuple[str, ...]) -> None:
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "fairlead"],
        capture_output=True,
        text=True,
        check=True,
        env={"_FAIRLEAD_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()))},
    )
    assert told.stdout
    loaded = {row.rpartition("|")[2].strip() for row in told.stderr.splitlines()}
    assert "click" in loaded
    assert loaded & set(spared) == set()


async def test_an_unknown_shell_is_told_so() -> None:
    told = await fairlead("completion", "tcsh")
    assert (told.code, told.out) == (2, "")
    assert "'bash', 'zsh', 'fish'" in told.err
