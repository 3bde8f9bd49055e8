"""`fairlead providers`: what the declarations say, for people and for programs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.plugins import install
from cli.shell import fairlead
from e2e.terminal import COLUMNS, terminal
from fairlead.runtime.registry import load_provider, provider_names


async def test_every_provider_is_told_with_what_it_has_needs_and_allows() -> None:
    told = await fairlead("providers")
    assert (told.code, told.err) == (0, "")
    for name in provider_names():
        provider = load_provider(name)
        *features, limits, documentation = re.findall(rf"^{name} .*$", told.out, re.MULTILINE)
        assert all(capability in " ".join(features) for capability in provider.capabilities)
        assert all(each.name in limits for each in provider.credentials if each.is_required)
        assert provider.title in documentation
        assert provider.docs_url in documentation
    assert re.search(
        r"^spoonacular  recipes .* search, search_next, fetch, fetch_many, nutrition *$", told.out, re.MULTILINE
    )
    assert re.search(
        r"^spoonacular  api_key +1 a second, 2 at once +daily, at midnight UTC +1 hour, once agreed *$",
        told.out,
        re.MULTILINE,
    )


async def test_everything_can_be_read_as_json() -> None:
    told = await fairlead("providers", "--json")
    assert (told.code, told.err) == (0, "")
    document = told.json()
    assert document["problems"] == {}
    found = {each["id"]: each for each in document["providers"]}
    assert list(found) == provider_names()
    first = found["spoonacular"]
    assert first["capabilities"]["recipes"][0] == {"name": "search", "effect": "read", "is_supported": True}
    assert first["credentials"][0]["name"] == "api_key"
    assert first["auth"] == [{"scheme": "key", "field": "api_key", "place": "header", "name": "x-api-key"}]
    assert first["plans"]["free"] == {"requests": 1, "per_s": 1, "concurrent": 2, "burst": None, "quota": 50}
    assert (first["default_plan"], first["quota_reset"]) == ("free", "midnight_utc")
    assert first["terms"]["cache_max_age_s"] == 3600
    assert first["errors"][0]["status"] == 402
    assert first["docs_url"].startswith("https://")
    assert first["has_probe"]


@pytest.mark.parametrize("name", provider_names())
async def test_one_is_told_in_full(name: str) -> None:
    told = await fairlead("providers", name)
    as_json = await fairlead("providers", name, "--json")
    assert (told.code, told.err, as_json.code) == (0, "", 0)
    provider = load_provider(name)
    wanted = [provider.title, provider.docs_url, provider.base_url, provider.api_version, *provider.plans]
    wanted += [each.help for each in provider.credentials]
    wanted += [provider.terms.source, provider.terms.attribution] if provider.terms else []
    assert [each for each in wanted if each not in told.out] == []
    assert f"fairlead init --provider {name}" in told.out
    assert (f"fairlead fake {name}" in told.out) is bool(provider.capabilities)
    everything = (await fairlead("providers", "--json")).json()["providers"]
    assert as_json.json() in everything


@pytest.mark.parametrize("arguments", [(), *((name,) for name in provider_names())])
def test_it_fits_a_terminal(arguments: tuple[str, ...]) -> None:
    with terminal("providers", *arguments) as seen:
        assert seen.end() == 0
        assert max(map(len, seen.shown.splitlines())) <= COLUMNS
        assert "…" not in seen.shown


@pytest.mark.parametrize(
    ("name", "hint"),
    [("spoonaculer", "Did you mean 'spoonacular'?"), ("", "There are: "), ("[x]", "There are")],
)
async def test_an_unknown_one_is_a_wrong_command_line(name: str, hint: str) -> None:
    told = await fairlead("providers", name)
    as_json = await fairlead("providers", name, "--json")
    assert (told.code, told.out, as_json.code) == (2, "", 2)
    assert told.err.startswith(f"error invalid_argument  There is no provider {name!r}.\n")
    assert hint in told.err
    assert hint in as_json.error()["hint"]


async def test_those_of_other_packages_are_told_too_and_a_broken_one_hides_none(tmp_path: Path) -> None:
    environment = install(tmp_path)
    told = await fairlead("providers", environment=environment)
    assert told.code == 0
    assert re.search(r"^acme +recipes +fetch +search, search_next, fetch_many, nutrition *$", told.out, re.MULTILINE)
    assert "Acme [31m [bold]Cookery" in told.out  # as it stands, and without its escape
    assert (
        "The provider 'broken', which another package offers as nowhere_at_all:PROVIDER, cannot be loaded" in told.err
    )
    assert "Traceback" not in told.err
    as_json = await fairlead("providers", "--json", environment=environment)
    assert list(as_json.json()["problems"]) == ["broken"]
    assert "acme" in [each["id"] for each in as_json.json()["providers"]]
    one = await fairlead("providers", "broken", "--json", environment=environment)
    assert one.code == 2
    assert "nowhere_at_all" in one.error()["message"]
    detail = await fairlead("providers", "acme", environment=environment)
    assert (detail.code, detail.err) == (0, "")
    assert "not supported" in detail.out
