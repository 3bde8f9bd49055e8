from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "rivals.md").read_text(encoding="utf-8")


def test_the_page_names_the_command_that_writes_it() -> None:
    assert "$ make rivals" in PAGE
    assert re.search(r"^rivals:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_run_has_its_place_between_the_marks() -> None:
    written = PAGE.partition("<!-- rivals -->\n")[2].partition("<!-- /rivals -->")[0]
    assert re.match(r"Run on \d{4}-\d\d-\d\d, Python 3\.\d+", written)
