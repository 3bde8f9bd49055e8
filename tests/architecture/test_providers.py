"""What every provider declares is whole. Its behaviour is shown in `tests/providers/`."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pkgutil import iter_modules
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from fairlead import capabilities, providers
from fairlead.errors import FairleadError, TransportError
from fairlead.model.outcome import Effect
from fairlead.spec.provider import Auth, Basic, Bearer, Hmac, Provider, SigV4
from fairlead.spec.webhook import BasicScheme, Challenge, EitherScheme, HmacScheme, Scheme


class Declared(NamedTuple):
    module: str
    provider: Provider


ALL = tuple(
    Declared(each.name, import_module(f"{providers.__name__}.{each.name}").PROVIDER)
    for each in iter_modules(providers.__path__)
)
CAPABILITIES = {each.name for each in iter_modules(capabilities.__path__)}

each_provider = pytest.mark.parametrize("declared", ALL, ids=lambda declared: declared.module)


def fields_of(auth: Auth) -> set[str]:
    match auth:
        case Basic(user=user, password=password, fixed_user=fixed, path=path):
            return {password, *path} | ({user} if not fixed else set())
        case Bearer(field=field):
            return {field}
        case Hmac(field=field, id_header=None):
            return {field}
        case Hmac(field=field, id_field=identity):
            return {field, identity}
        case SigV4(access_key_id=identity, secret_access_key=secret, region_field=region):
            return {identity, secret, *([region] if region else [])}
        case keys:
            return {key.field for key in keys}


def fields_of_scheme(scheme: Scheme) -> set[str]:
    match scheme:
        case EitherScheme(by_header=(_, first), otherwise=second):
            return fields_of_scheme(first) | fields_of_scheme(second)
        case BasicScheme(user=user, password=password):
            return {user, password}
        case HmacScheme(field=field, challenge=Challenge(token=token, topic=topic)):
            return {field, *(pair[1] for pair in (token, topic) if pair)}
        case single:
            return {single.field}


def test_there_are_providers() -> None:
    assert ALL


@each_provider
def test_its_id_is_its_file(declared: Declared) -> None:
    assert isinstance(declared.provider, Provider)
    assert declared.provider.id == declared.module
    assert declared.provider.title
    assert declared.provider.api_version


@each_provider
@pytest.mark.parametrize("field", ["base_url", "docs_url"])
def test_its_addresses_are_secure(declared: Declared, field: str) -> None:
    url = getattr(declared.provider, field)
    parts = urlsplit(url)
    secure = {"https", "smtp"} if field == "base_url" else {"https"}  # mail goes on in TLS, or not at all
    assert parts.scheme in secure
    assert (parts.query, parts.username) == ("", None)
    assert parts.hostname
    assert field != "base_url" or not url.endswith("/")


@each_provider
def test_its_credentials_are_explained(declared: Declared) -> None:
    names = [credential.name for credential in declared.provider.credentials]
    assert len(names) == len(set(names))
    for credential in declared.provider.credentials:
        assert re.fullmatch("[a-z][a-z0-9_]*", credential.name)
        assert credential.label
        assert credential.help
        re.compile(credential.pattern or "")


@each_provider
def test_it_signs_with_credentials_that_it_asks_for(declared: Declared) -> None:
    provider = declared.provider
    names = {credential.name for credential in provider.credentials}
    assert fields_of(provider.auth) <= names
    required = {credential.name for credential in provider.credentials if credential.is_required}
    assert required <= fields_of(provider.auth)
    if isinstance(provider.auth, Basic | Bearer):
        assert fields_of(provider.auth) <= required


@each_provider
def test_its_capabilities_are_known_and_made_for_a_connection(declared: Declared) -> None:
    assert declared.provider.capabilities or declared.provider.webhooks
    assert declared.provider.capabilities.keys() <= CAPABILITIES
    for make in declared.provider.capabilities.values():
        made = make("my-connection")
        assert made.connection == "my-connection"
        for operation, effect in made.EFFECTS.items():
            assert inspect.isfunction(getattr(type(made), operation))
            assert isinstance(effect, Effect)


@each_provider
def test_it_can_be_tried_by_a_read(declared: Declared) -> None:
    if not declared.provider.capabilities:
        assert declared.provider.probe is None, "There is nothing yet that a probe would speak for."
        return
    assert declared.provider.probe is not None
    operation = declared.provider.probe()
    assert next(operation).effect is Effect.READ
    operation.close()


@each_provider
def test_its_plans_are_whole(declared: Declared) -> None:
    provider = declared.provider
    assert provider.default_plan is None or provider.default_plan in provider.plans
    assert (provider.default_plan is None) == (not provider.plans)
    for plan in provider.plans.values():
        assert plan.per_s > 0
        assert plan.requests > 0
        assert plan.concurrent is None or plan.concurrent > 0


@each_provider
def test_its_rules_have_evidence_and_can_be_reached(declared: Declared) -> None:
    seen: set[tuple[int, str | None]] = set()
    for rule in declared.provider.errors:
        assert re.search(r"\d{4}", rule.evidence), "Say when it was read, or the number of the RFC."
        assert issubclass(rule.error, FairleadError)
        assert not issubclass(rule.error, TransportError)
        assert rule.code is None or declared.provider.error_code_at or declared.provider.error_code_header
        assert not seen & {(rule.status, rule.code), (rule.status, None)}, "An earlier rule takes all it would."
        seen.add((rule.status, rule.code))


@each_provider
def test_its_terms_have_a_source(declared: Declared) -> None:
    terms = declared.provider.terms
    if not declared.provider.capabilities:
        assert terms is None, "Nothing is asked, so no answer is kept."
        return
    assert terms is not None
    assert re.search(r"\d{4}", terms.source), "Say where the terms were read, and when."
    assert terms.cache_max_age_s is None or terms.cache_max_age_s >= 0


@each_provider
def test_it_says_what_it_hands_on(declared: Declared) -> None:
    assert bool(declared.provider.data_sent) == bool(declared.provider.capabilities)


@each_provider
def test_its_webhooks_are_whole(declared: Declared) -> None:
    webhooks = declared.provider.webhooks
    if webhooks is None:
        return
    credentials = {each.name: each for each in declared.provider.credentials}
    assert set(webhooks.secrets) == fields_of_scheme(webhooks.scheme)
    assert {credentials[name].is_required for name in webhooks.secrets} == {False}
    assert re.search(r"\d{4}", webhooks.source), "Say where it is known from, and when that was read."
