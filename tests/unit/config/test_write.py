from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from fairlead.config.read import parse_settings
from fairlead.config.write import refuse_existing, render_settings, write_settings
from fairlead.errors import ConfigFileError
from fairlead.spec.provider import Bearer, Credential, Plan, Provider, Terms

EVIL = '"\n[gateway]\nport = 1 # \x1b[31m\x7f'


def make(**declared: object) -> Provider:
    known: dict[str, object] = {
        "id": "acme",
        "title": "Acme",
        "docs_url": "https://acme.example",
        "api_version": "1",
        "base_url": "https://api.acme.example",
        "credentials": (Credential(name="token", label="Token", help="By post"),),
        "auth": Bearer(),
        "capabilities": {"recipes": object, "email": object},
    }
    return Provider(**known | declared)  # type: ignore[arg-type]


def test_each_capability_has_a_route_through_those_who_have_it() -> None:
    settings = parse_settings(render_settings({"acme": make(), "other": make(capabilities={"email": object})}))
    assert {name: route.connections for name, route in settings.routes.items()} == {
        "recipes": ["acme"],
        "email": ["acme", "other"],
    }


def test_what_is_not_declared_is_not_written() -> None:
    text = render_settings({"acme": make()})
    assert "plan" not in text
    assert "cache" not in text
    assert parse_settings(text).connections["acme"].credentials == {"token": "env:ACME_TOKEN"}


def test_no_word_of_a_declaration_can_become_a_setting() -> None:
    provider = make(
        title=EVIL,
        docs_url=EVIL,
        credentials=(
            Credential(name="token", label="Token", help="By post"),
            Credential(name="more", label=EVIL, help=EVIL, is_required=False),
        ),
        plans={EVIL: Plan(requests=1, per_s=1)},
        default_plan=EVIL,
        terms=Terms(source=EVIL, attribution=EVIL, cache_needs_permission=True),
    )
    text = render_settings({"ac.me [x]": provider})
    assert tomllib.loads(text)["gateway"].keys() == {"api_keys"}
    settings = parse_settings(text)
    assert settings.connections["ac.me [x]"].plan == EVIL
    assert settings.connections["ac.me [x]"].credentials == {"token": "env:AC_ME__X__TOKEN"}
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (Terms(source="x", cache_max_age_s=60), "# The terms let answers be kept for 1 minute.\n"),
        (
            Terms(source="x", cache_needs_permission=True),
            "only once the vendor has agreed. Where it has:\n# cache_perm",
        ),
        (Terms(source="x", cache_max_age_s=0), "# The terms let no answer be kept.\n"),
        (Terms(source="x", attribution="Name us."), "# Name us.\n"),
    ],
)
def test_the_terms_are_told(terms: Terms, said: str) -> None:
    assert said in render_settings({"acme": make(terms=terms)})


def test_a_file_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "fairlead.toml"
    refuse_existing(str(path))
    write_settings(str(path), "a = 'ä'", may_overwrite=False)
    assert path.read_text(encoding="utf-8") == "a = 'ä'"
    with pytest.raises(ConfigFileError, match="exists already"):
        refuse_existing(str(path))
    with pytest.raises(ConfigFileError, match="exists already"):  # though nobody looked before
        write_settings(str(path), "", may_overwrite=False)
    write_settings(str(path), "b", may_overwrite=True)
    assert path.read_text(encoding="utf-8") == "b"
