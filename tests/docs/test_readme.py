"""What the README, CONTRIBUTING and the documentation show is tried: code runs, settings are read, commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest

from fairlead.cli.main import COMMANDS
from fairlead.config.read import parse_settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LONGEST_README = 150
#: Other commands that a page may show.
PROGRAMS = {"cd", "curl", "export", "git", "gunicorn", "kill", "pip", "python"}
#: How a block begins that is a part of one of the examples, which have tests of their own.
EXCERPT = re.compile(r"# (examples/\w+\.py)\n")
#: Languages that are only shown.
SHOWN = {"text"}


class Block(NamedTuple):
    page: str
    line: int
    language: str
    text: str


def blocks() -> list[Block]:
    """Return every fenced block of every page."""
    found = []
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        for match in re.finditer(r"^( *)```(\w*)\n(.*?)^ *```$", page, re.MULTILINE | re.DOTALL):
            line = page.count("\n", 0, match.start()) + 1
            text = match[3] if EXCERPT.match(match[3]) else dedent(match[3])
            found.append(Block(str(path.relative_to(ROOT)), line, match[2], text))
    return found


def name_of(block: Block) -> str:
    return f"{block.page}:{block.line}"


def written_in(*languages: str) -> list[Block]:
    return [block for block in blocks() if block.language in languages]


def test_every_block_is_of_a_kind_that_is_tried() -> None:
    odd = {name_of(block): block.language for block in blocks()}
    assert set(odd.values()) <= {"python", "toml", "console", "sh", *SHOWN}, odd
    assert written_in("python")
    assert written_in("toml")
    assert written_in("console")


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < LONGEST_README


def programs() -> list[Block]:
    return [block for block in written_in("python") if not EXCERPT.match(block.text)]


def excerpts() -> list[Block]:
    return [block for block in written_in("python") if EXCERPT.match(block.text)]


@pytest.mark.parametrize("block", excerpts(), ids=name_of)
def test_what_is_shown_of_an_example_stands_in_it(block: Block) -> None:
    named = EXCERPT.match(block.text)
    assert named
    assert block.text[named.end() :] in (ROOT / named[1]).read_text(encoding="utf-8")


@pytest.mark.parametrize("block", programs(), ids=name_of)
def test_code_runs(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "test_block.py"
    file.write_text(block.text, encoding="utf-8")
    as_test = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error") if "def test_" in block.text else ()
    told = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", *as_test, str(file)],
        cwd=tmp_path,
        env={},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (told.returncode, told.stderr.decode()) == (0, ""), told.stdout.decode()


@pytest.mark.parametrize("block", written_in("toml"), ids=name_of)
def test_settings_are_read(block: Block) -> None:
    parse_settings(block.text, source=name_of(block))


@pytest.mark.parametrize("block", written_in("console", "sh"), ids=name_of)
def test_commands_exist(block: Block) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    lines = (
        re.findall(r"^\$ (.+)$", block.text, re.MULTILINE) if block.language == "console" else block.text.splitlines()
    )
    assert lines
    for line in lines:
        for command in re.split(r"&&|\|", line.partition("  #")[0]):
            program, *words = command.split()
            if program == "make":
                assert words[0] in targets, line
            elif program == "fairlead":
                assert words[0] in COMMANDS or words[0].startswith("--"), line
            else:
                assert program in PROGRAMS or (ROOT / program).exists(), line


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert link.startswith("https://") or (path.parent / link).exists(), link
