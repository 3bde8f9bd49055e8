from __future__ import annotations

import pytest

from docs.outcomes_table import BEGIN, END, PAGE, REFRESH, refreshed, render
from fairlead.spec.outcomes import TABLE


def test_the_page_shows_the_table_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == refreshed(page), f"{PAGE.name} is stale. Refresh it: {REFRESH}"


def test_the_table_has_every_row() -> None:
    lines = render().splitlines()
    assert len(lines) == len(TABLE) + 2
    assert {line.count("|") for line in lines} == {11}  # and no reason breaks a cell


def test_a_page_without_its_marks_is_noticed() -> None:
    assert refreshed(f"a{BEGIN}old{END}b") == f"a{BEGIN}\n{render()}\n{END}b"
    with pytest.raises(ValueError, match="lost the marks"):
        refreshed("a page")
