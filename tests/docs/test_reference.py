from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from docs.refresh import PAGES, REFERENCE, REFRESH, comments, groups, is_group, plain
from fairlead.config.settings import Settings
from fairlead.gateway.app import build_app
from fairlead.observe.metrics import Metrics
from fairlead.runtime.fairlead import Fairlead

SOURCES = Path(__file__).parents[2] / "src" / "fairlead"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_the_code_does(name: str) -> None:
    written = (REFERENCE / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), f"docs/reference/{name} is stale. Refresh it: {REFRESH}"


@pytest.mark.parametrize("name", PAGES)
def test_no_cell_breaks_its_table(name: str) -> None:
    for block in re.findall(r"(?:^\|.*\n)+", (REFERENCE / name).read_text(encoding="utf-8"), re.MULTILINE):
        lines = block.splitlines()
        assert len({line.replace("\\|", "").count("|") for line in lines}) == 1, lines[0]


def test_every_setting_says_what_it_means() -> None:
    for path, group in groups(Settings, ""):
        assert group.__doc__
        for field in msgspec.structs.fields(group):
            is_table = is_group(plain(field.type)) or "NAME" in str(path) or field.name in {"connections", "routes"}
            assert field.name in comments(group) or is_table, f"{path}.{field.name} has no `#:` comment"


def test_every_path_of_the_gateway_is_on_its_page() -> None:
    app = build_app(Fairlead(Settings()), Metrics(), keys=None)
    text = (REFERENCE / "gateway.md").read_text(encoding="utf-8")
    for route in app.routes:
        for method in getattr(route, "methods", None) or ():
            assert method == "HEAD" or f"`{method} {getattr(route, 'path', '')}`" in text


def test_every_header_of_the_gateway_is_on_its_page() -> None:
    text = (REFERENCE / "gateway.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in (SOURCES / "gateway").glob("*.py"))
    headers = set(re.findall(r'"(fairlead-[a-z-]+)"', code))
    assert len(headers) > 5
    assert {header for header in headers if f"`{header}`" not in text} == set()


def test_every_code_of_the_gateway_is_on_its_page() -> None:
    text = (REFERENCE / "gateway.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in (SOURCES / "gateway").glob("*.py"))
    codes = re.findall(r'(?:render_problem|_refusal)\(\s*\d+,\s*"(\w+)"', code)
    assert {"internal", "slow_request"} <= set(codes)
    assert all(f"| `{each}` |" in text for each in codes)
