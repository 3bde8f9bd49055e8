"""What is shipped is what was tested: the wheel is built, unpacked, and used in place of the sources."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

USE = """
import sys
from importlib import resources
sys.path.insert(0, sys.argv[1])

import fairlead, fairlead.cli.demo
from fairlead.cli.main import COMMANDS, main
from fairlead.runtime.registry import load_provider, provider_names

assert fairlead.__file__.startswith(sys.argv[1]), fairlead.__file__
assert fairlead.cli.demo.__file__.startswith(sys.argv[1])
for name in fairlead.__all__:
    getattr(fairlead, name)
for name in provider_names():
    load_provider(name)
for command in COMMANDS:
    main.get_command(None, command)
assert "[connections.spoonacular]" in resources.files("fairlead.cli").joinpath(fairlead.cli.demo.SOURCE).read_text()
assert resources.files("fairlead").joinpath("py.typed").is_file()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    told = subprocess.run(  # noqa: S603
        [sys.executable, "-c", build, directory], cwd=ROOT, capture_output=True, timeout=120, check=False
    )
    assert told.returncode == 0, told.stderr.decode()
    found = list(directory.glob("*.whl"))
    assert len(found) == 1
    return found[0]


def test_the_wheel_works_without_the_sources(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    told = subprocess.run(  # noqa: S603
        [sys.executable, "-I", "-W", "error", "-c", USE, tmp_path], cwd=tmp_path, capture_output=True, check=False
    )
    assert (told.returncode, told.stderr.decode()) == (0, "")


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "fairlead = fairlead.cli.main:run" in archive.read(entry_points).decode()
    packaged = [name for name in names if ".dist-info/" not in name]
    sources = [path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sorted(packaged) == sorted(path.relative_to(ROOT / "src").as_posix() for path in sources)
    assert any(name.endswith("licenses/LICENSE") for name in names)
