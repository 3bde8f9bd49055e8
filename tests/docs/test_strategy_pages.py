from __future__ import annotations

import re

import msgspec
import pytest

from docs.strategy_tables import EXPLANATION, PAGES, REFRESH, SOURCES, refreshed

TEMPLATE = ["What it is for", "Defaults", "How it decides", "Events", "Anti-patterns"]


#: Settings in the group of a strategy that are not the strategy's: what bounds a call, and whether there are probes.
OTHERS = {"connections", "deadline_s", "cache", "probes"}


def default_of(field: msgspec.structs.FieldInfo) -> object:
    return field.default_factory() if field.default is msgspec.NODEFAULT else field.default


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
    own = {field.name: field for field in msgspec.structs.fields(options)}
    groups = {field.name: field for field in msgspec.structs.fields(group)} if group else {}
    shared = groups.keys() & own.keys()
    assert groups.keys() - shared <= OTHERS
    for each in shared:
        assert default_of(groups[each]) == default_of(own[each]), each
