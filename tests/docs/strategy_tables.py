"""The tables of defaults on the pages of the strategies; `make fix` writes them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec

from docs.refresh import comments, default_text, table
from fairlead.config import cache, settings
from fairlead.config import policies as config
from fairlead.config.group import Group
from fairlead.resilience.breaker import BreakerOptions
from fairlead.resilience.budget import BudgetOptions
from fairlead.resilience.health import HealthOptions
from fairlead.resilience.hedge import HedgeOptions
from fairlead.runtime.routing import Routing

EXPLANATION = Path(__file__).parents[2] / "docs" / "explanation"
PAGES = ("routing.md", "health.md", "breaker.md", "retry.md", "concurrency.md", "hedging.md", "caching.md", "chaos.md")
REFRESH = "make fix"
_BLOCK = re.compile(r"<!-- defaults: (?P<name>\w+) -->\n.*?<!-- /defaults -->", re.DOTALL)


class Source(NamedTuple):
    """Where defaults stand, and the group of the configuration that sets them, if one does."""

    options: type[msgspec.Struct]
    group: type[Group] | None = None
    key: str = ""


SOURCES = {
    "Breaker": Source(BreakerOptions, config.Breaker, "breaker"),
    "Retry": Source(config.Retry, config.Retry, "retry"),
    "Budget": Source(BudgetOptions, config.Budget, "retry.budget"),
    "Concurrency": Source(config.Concurrency, config.Concurrency, "concurrency"),
    "Adaptive": Source(config.Adaptive, config.Adaptive, "concurrency.adaptive"),
    "Hedge": Source(HedgeOptions, config.Hedge, "hedge"),
    "Cache": Source(cache.Cache, cache.Cache, "cache"),
    "HttpCache": Source(cache.HttpCache, cache.HttpCache, "cache"),
    "Routing": Source(Routing, settings.Route, "routes.CAPABILITY"),
    "Health": Source(HealthOptions, config.Health, "health"),
    "Chaos": Source(config.Chaos, config.Chaos, "chaos"),
    "ChaosRule": Source(config.ChaosRule, config.ChaosRule, "chaos.rules"),
}


def render(name: str) -> str:
    """Return the table of one strategy's defaults, by the name in its mark."""
    source = SOURCES[name]
    said = comments(source.options)
    rows: list[tuple[str, ...]] = [("name", "setting", "default", "meaning")]
    for field in msgspec.structs.fields(source.options):
        is_setting = source.group is not None and field.name in source.group.__struct_fields__
        setting = f"`{source.key}.{field.name}`" if is_setting else ""
        rows.append((f"`{field.name}`", setting, default_text(field), said[field.name]))
    return table(rows)


def refreshed(page: str) -> str:
    """Return a page with its tables as they should be."""
    return _BLOCK.sub(
        lambda found: f"<!-- defaults: {found['name']} -->\n{render(found['name'])}\n<!-- /defaults -->", page
    )


def main() -> None:
    """Write the pages anew."""
    for name in PAGES:
        path = EXPLANATION / name
        path.write_text(refreshed(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    main()
