from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from fairlead.capabilities.recipes import Nutrition, Recipe, Recipes
from fairlead.errors import FairleadError
from fairlead.model.message import Request
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect
from fairlead.model.page import Page
from fairlead.spec.describe import (
    answer_type,
    describe,
    duration_text,
    keeping_text,
    list_operations,
    many_of,
    plan_text,
    quota_text,
)
from fairlead.spec.provider import Basic, Bearer, Credential, Plan, Provider, QuotaReset, Terms, variable_name


class Shared(Recipes):
    """What two vendors of the same house have in common."""

    def fetch(self, identifier: str) -> Operation[Recipe]:
        yield Request.get(f"/{identifier}")
        raise NotImplementedError


class Own(Shared):
    """Knows better what a repeat does."""

    EFFECTS = {**Recipes.EFFECTS, "fetch": Effect.IDEMPOTENT}  # noqa: RUF012


def make(**declared: object) -> Provider:
    known: dict[str, object] = {
        "id": "acme",
        "title": "Acme",
        "docs_url": "https://acme.example",
        "api_version": "1",
        "base_url": "https://api.acme.example",
        "credentials": (Credential(name="token", label="Token", help="By post"),),
        "auth": Bearer(),
        "capabilities": {"recipes": Own},
    }
    return Provider(**known | declared)  # type: ignore[arg-type]


def test_what_is_overridden_anywhere_is_supported() -> None:
    found = {each.name: each for each in list_operations(make(), "recipes")}
    assert {name for name, each in found.items() if each.is_supported} == {"fetch"}
    assert found["fetch"].effect is Effect.IDEMPOTENT
    assert list(found) == list(Recipes.EFFECTS)


def test_what_a_provider_has_for_several_is_known() -> None:
    class Many(Shared):
        def fetch_many(self, identifiers: Sequence[str]) -> Operation[Mapping[str, Recipe | FairleadError]]:
            raise NotImplementedError

    class Bare:
        EFFECTS: Mapping[str, Effect] = {}

        def __init__(self, connection: str) -> None:
            pass

    made = make(capabilities={"recipes": Many, "single": Shared, "bare": Bare})
    assert many_of(made, "recipes") == {"fetch": "fetch_many"}
    assert many_of(made, "single") == many_of(made, "bare") == {}


def test_a_made_capability_need_not_be_a_class() -> None:
    provider = make(capabilities={"recipes": lambda connection: Shared(connection)})  # noqa: PLW0108
    assert [each.name for each in list_operations(provider, "recipes") if each.is_supported] == ["fetch"]


@pytest.mark.parametrize(("auth", "scheme"), [(Bearer(), "bearer"), (Basic(), "basic")])
def test_the_scheme_is_called_as_in_the_configuration(auth: Bearer | Basic, scheme: str) -> None:
    assert [each["scheme"] for each in describe(make(auth=auth)).auth] == [scheme]
    assert describe(make(auth=())).auth == []


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Plan(requests=1, per_s=1), "1 a second"),
        (Plan(requests=5, per_s=1, concurrent=2), "5 a second, 2 at once"),
        (Plan(requests=10, per_s=60.0), "10 a minute"),
        (Plan(requests=10, per_s=86_400), "10 a day"),
        (Plan(requests=3, per_s=0.5), "3 in 0.5 s"),
    ],
)
def test_a_plan_is_said_in_words(plan: Plan, said: str) -> None:
    assert plan_text(plan) == said


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (None, ""),
        (Terms(source="x"), "no limit stated"),
        (Terms(source="x", cache_max_age_s=3600), "1 hour"),
        (Terms(source="x", cache_needs_permission=True), "once agreed"),
        (Terms(source="x", cache_needs_permission=True, cache_max_age_s=3600), "1 hour, once agreed"),
        (Terms(source="x", cache_max_age_s=0), "not at all"),
    ],
)
def test_terms_are_said_in_words(terms: Terms | None, said: str) -> None:
    assert keeping_text(terms) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(90, "90 seconds"), (1, "1 second"), (7200, "2 hours"), (86_400, "1 day"), (0.5, "0.5 seconds"), (0, "0 seconds")],
)
def test_a_time_is_said_in_the_largest_whole_unit(seconds: float, said: str) -> None:
    assert duration_text(seconds) == said


def test_every_reset_has_a_word() -> None:
    assert all(quota_text(each) for each in QuotaReset)
    assert quota_text(None) == ""


def test_a_variable_is_named_after_provider_and_credential() -> None:
    assert variable_name("acme", "api_key") == "ACME_API_KEY"
    assert variable_name("acme-eu.2", "api_key") == "ACME_EU_2_API_KEY"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("search", Page[Recipe]), ("search_next", Page[Recipe]), ("fetch", Recipe), ("nutrition", Nutrition)],
)
def test_what_an_operation_answers_is_said_by_the_capability(name: str, kind: object) -> None:
    assert answer_type(make(capabilities={"recipes": Own}), "recipes", name) == kind
