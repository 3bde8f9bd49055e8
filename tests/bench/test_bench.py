"""`make bench` runs: each script, for a moment, with all that it measures."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(file.stem for file in (ROOT / "bench").glob("*.py") if "def measure(sheet: Sheet)" in file.read_text())


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "bench" / "run.py"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)  # noqa: S603  # our own


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_runs_and_prints_its_figures(script: str) -> None:
    told = run("--quick", script)
    assert (told.returncode, told.stderr) == (0, "")
    assert re.search(r"^Python 3\.\d+\.\d+\S*, fairlead \S+", told.stdout, re.MULTILINE)
    assert re.search(r" [\d,]+(\.\d+)? (x|us|ms|MB|requests/s)\b", told.stdout) or "Not measured: " in told.stdout
    assert "Limits missed: " in told.stdout


def test_all_of_them_can_be_asked_for() -> None:
    told = run("--help")
    named = re.search(r"of ([a-z, ]+);", " ".join(told.stdout.split()))
    assert named is not None
    assert sorted(named[1].split(", ")) == SCRIPTS


def test_another_is_refused() -> None:
    told = run("nothing")
    assert (told.returncode, "There is no 'nothing'" in told.stderr) == (2, True)
