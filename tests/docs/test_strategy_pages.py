from __future__ import annotations

import re

import msgspec
import pytest

from docs.strategy_tables import EXPLANATION, PAGES, REFRESH, SOURCES, refreshed

TEMPLATE = ["What it is for", "Defaults", "How it decides", "Events", "Anti-patterns"]


def text_of(name: str) -> str:
    return (EXPLANATION / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_the_defaults_of_the_code(name: str) -> None:
    page = text_of(name)
    assert page == refreshed(page), f"docs/explanation/{name} is stale. Refresh it: {REFRESH}"


def test_every_strategy_has_its_table_on_a_page() -> None:
    shown = [mark for name in PAGES for mark in re.findall(r"<!-- defaults: (\w+) -->", text_of(name))]
    assert sorted(shown) == sorted(SOURCES)


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_follow_one_template(name: str) -> None:
    assert re.findall(r"^## (.+)$", text_of(name), re.MULTILINE) == TEMPLATE


@pytest.mark.parametrize("name", SOURCES)
def test_a_default_in_the_configuration_is_that_of_the_strategy(name: str) -> None:
    options, group, _ = SOURCES[name]
    defaults = {field.name: field.default for field in msgspec.structs.fields(options)}
    for field in msgspec.structs.fields(group) if group else ():
        assert defaults[field.name] == field.default, field.name
