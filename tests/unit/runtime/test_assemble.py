"""What is wrong with a configuration is told with its file and key, before anything is opened, without secrets."""

from collections.abc import Mapping
from itertools import count, takewhile

import pytest

from fairlead import errors
from fairlead.config.read import parse_settings
from fairlead.resilience.rate import RateLimit
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.ports import Ports
from fairlead.testing.clock import FakeClock
from fairlead.transport.http import HttpOptions
from scripted import CANARY, ENVIRONMENT, ScriptedTransport, answer, build_world, plain, recipes, route

SHOP = '[connections.shop]\nbase_url = "https://shop.test"\n'
GOOD = plain("good")


def assemble(text: str, environment: Mapping[str, str] = ENVIRONMENT) -> tuple[Fairlead, list[HttpOptions]]:
    """Return a Fairlead, and the options of the transports it made."""
    made: list[HttpOptions] = []
    opened: list[ScriptedTransport] = []

    def connect(options: HttpOptions) -> ScriptedTransport:
        made.append(options)
        opened.append(ScriptedTransport(FakeClock()))
        return opened[-1]

    try:
        fl = Fairlead(
            parse_settings(text, source="app.toml"),
            source="app.toml",
            environment=environment,
            ports=Ports(),
            connect=connect,
        )
    finally:
        assert not any(transport.sent for transport in opened)
    return fl, made


BROKEN = [
    (
        '[connections.food]\nprovider = "spoonaculer"',
        errors.UnknownProviderError,
        "app.toml: connections.food.provider: There is no provider 'spoonaculer'. Did you mean 'spoonacular'?",
    ),
    (
        '[connections.food]\nprovider = "nothing-like-it"',
        errors.UnknownProviderError,
        "app.toml: connections.food.provider: There is no provider 'nothing-like-it'. There are: ",
    ),
    (
        '[connections.food]\nprovider = "spoonacular"',
        errors.MissingCredentialError,
        'app.toml: connections.food.credentials.api_key is missing. Add api_key = "env:SPOONACULAR_API_KEY".',
    ),
    (
        '[connections.food]\nprovider = "spoonacular"\ncredentials = { api_kee = "env:KEY" }',
        errors.UnknownSettingError,
        "app.toml: connections.food.credentials.api_kee is not a credential of this connection. Did you mean 'api_key'",
    ),
    (
        f'{SHOP}credentials = {{ token = "env:KEY" }}',
        errors.UnknownSettingError,
        "app.toml: connections.shop.credentials.token is not a credential of this connection. It takes: none.",
    ),
    (
        f'{SHOP}auth = {{ scheme = "bearer" }}',
        errors.MissingCredentialError,
        "app.toml: connections.shop.credentials.token is missing.",
    ),
    (
        f'{SHOP}auth = {{ scheme = "basic" }}\ncredentials = {{ user = "env:ID" }}',
        errors.MissingCredentialError,
        "app.toml: connections.shop.credentials.password is missing.",
    ),
    (
        f'{SHOP}auth = {{ scheme = "bearer" }}\ncredentials = {{ token = "{CANARY}" }}',
        errors.InvalidSettingError,
        "app.toml: connections.shop.credentials.token holds a secret in plain text.",
    ),
    (
        f'{SHOP}auth = {{ scheme = "bearer" }}\ncredentials = {{ token = "env:ABSENT" }}',
        errors.UnresolvedReferenceError,
        "app.toml: connections.shop.credentials.token: the environment has no ABSENT.",
    ),
    (
        f'{SHOP}auth = {{ scheme = "bearer" }}\ncredentials = {{ token = "env:EMPTY" }}',
        errors.UnresolvedReferenceError,
        "app.toml: connections.shop.credentials.token: the environment has no EMPTY.",
    ),
    (
        f'{SHOP}auth = {{ scheme = "bearer" }}\ncredentials = {{ token = "file:/nowhere/at/all" }}',
        errors.UnresolvedReferenceError,
        "app.toml: connections.shop.credentials.token: /nowhere/at/all cannot be read or is empty.",
    ),
    (
        f'{SHOP}auth = {{ scheme = "bearer" }}\ncredentials = {{ token = "env:LINES" }}',
        errors.InvalidSettingError,
        "app.toml: connections.shop.credentials.token has a line break in it.",
    ),
    (
        f'{SHOP}auth = {{ scheme = "key" }}\ncredentials = {{ key = "env:KEY" }}',
        errors.InvalidSettingError,
        "app.toml: connections.shop.auth does not say where the key goes.",
    ),
    (
        f'{SHOP}auth = {{ scheme = "key", header = "x key" }}\ncredentials = {{ key = "env:KEY" }}',
        errors.InvalidSettingError,
        "app.toml: connections.shop.auth.header",
    ),
    (
        "[connections.shop]\nallow_private = true",
        errors.InvalidSettingError,
        "app.toml: connections.shop has neither a provider nor a base_url.",
    ),
    (
        '[connections.food]\nprovider = "spoonacular"\nplan = "gourmet"\ncredentials = { api_key = "env:KEY" }',
        errors.InvalidSettingError,
        "app.toml: connections.food.plan: Spoonacular has no plan 'gourmet'. It has: free, cook",
    ),
    (
        GOOD + "breaker = { open_s = 90 }",
        errors.InvalidSettingError,
        "app.toml: connections.good.breaker.open_s (90 s) is longer than breaker.max_open_s (60 s). Raise max_open_s",
    ),
    (
        f'{SHOP}plan = "gold"',
        errors.InvalidSettingError,
        "app.toml: connections.shop.plan: shop has no plan 'gold'. It has: none.",
    ),
    (
        GOOD + recipes("food") + "[routes.recipes]\nconnections = ['fod']",
        errors.InvalidSettingError,
        "app.toml: routes.recipes.connections names 'fod', which is no connection. Did you mean 'food'?",
    ),
    (
        GOOD + "[routes.recipes]\nconnections = ['zzz']",
        errors.InvalidSettingError,
        "app.toml: routes.recipes.connections names 'zzz', which is no connection. There are: good.",
    ),
    (
        GOOD + "[routes.recipes]\nconnections = ['good']",
        errors.InvalidSettingError,
        "app.toml: routes.recipes.connections names 'good', whose provider 'http' has no recipes.",
    ),
    (
        recipes("food") + "[routes.recipies]\nconnections = ['food']",
        errors.InvalidSettingError,
        "app.toml: routes.recipies.connections names 'food', whose provider 'spoonacular' has no recipies.",
    ),
]
SECRETS = {**ENVIRONMENT, "EMPTY": "", "LINES": f"{CANARY}\nx-admin: 1"}


@pytest.mark.parametrize(
    ("text", "kind", "message"), BROKEN, ids=[f"{kind.code}-{at}" for at, (_, kind, _) in enumerate(BROKEN)]
)
def test_a_mistake_is_told_with_its_file_and_key(text, kind, message):
    with pytest.raises(kind) as caught:
        assemble(text, SECRETS)
    assert str(caught.value).startswith(message)
    assert caught.value.is_request_fault
    for shown in (str(caught.value), repr(caught.value), repr(caught.value.__cause__), caught.value.hint):
        assert CANARY not in shown


@pytest.mark.parametrize(
    "url",
    [
        "https://user:canary-8731@shop.test",
        "https://:canary-8731@shop.test",
        "https://canary-8731@shop.test",
        "https://@shop.test",
        "https://shop.test/?key=canary-8731",
        "https://shop.test/#canary-8731",
        "ftp://canary-8731",
        "shop.test",
        "//shop.test",
        "https://",
        "https:///path",
        "https://shop.test:port",
        "https://shop.test:99999",
        "https://[::1",
        "https://shop test",
        "https://shop.test/a b",
        "https://shop.test\\n",
        "",
        "javascript:alert(1)",
        "file:///etc/passwd",
    ],
)
def test_a_url_that_cannot_be_used_is_told_and_not_shown(url):
    with pytest.raises(errors.InvalidSettingError) as caught:
        assemble(f'[connections.shop]\nbase_url = "{url}"')
    assert str(caught.value).startswith("app.toml: connections.shop")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://shop.test", "https://shop.test/v1/", "https://[::1]:8443", "https://127.0.0.1:1/x"]
)
def test_a_url_that_can_be_used_is_used(url):
    _, made = assemble(f'[connections.shop]\nbase_url = "{url}"')
    assert made[0].base_url == url


def test_a_provider_brings_its_own_url_which_the_settings_may_replace():
    food = '[connections.food]\nprovider = "spoonacular"\ncredentials = { api_key = "env:KEY" }\n'
    assert assemble(food)[1][0].base_url == "https://api.spoonacular.com"
    assert assemble(food + 'base_url = "https://proxy.test"')[1][0].base_url == "https://proxy.test"


def test_the_settings_reach_the_transport():
    _, made = assemble(
        SHOP
        + "allow_private = true\nca_file = '/ca.pem'\nmax_answer_bytes = 77\n"
        + "timeouts = { connect_s = 1.5, read_s = 2.5 }\nconcurrency = { limit = 7 }\n"
    )
    assert made == [
        HttpOptions(
            base_url="https://shop.test",
            allow_private=True,
            ca_file="/ca.pem",
            connect_s=1.5,
            read_s=2.5,
            max_answer_bytes=77,
            pool=7,
        )
    ]


def test_a_plan_sets_the_limits_unless_the_settings_do():
    free, _ = assemble(recipes("one", is_limited=True))
    chef, _ = assemble(recipes("one", 'plan = "chef"', is_limited=True))
    own, _ = assemble(recipes("one", 'plan = "chef"'))
    assert [each.connection("one").concurrency.limit for each in (free, chef, own)] == [2, 20, 50]
    rates = [each.connection("one").rate for each in (free, chef, own)]
    assert [admitted_at_once(rate) for rate in rates] == [1, 20, 100_000]


def admitted_at_once(rate: RateLimit | None) -> int:
    assert rate is not None
    return sum(1 for _ in takewhile(lambda wait: wait == 0, (rate.admit(0.0) for _ in count())))


def test_a_secret_may_come_from_a_file(tmp_path):
    file = tmp_path / "key"
    file.write_text(f"{CANARY}\n")
    fl, _ = assemble(f'{SHOP}auth = {{ scheme = "bearer" }}\ncredentials = {{ token = "file:{file}" }}')
    assert fl.connection("shop").credentials["token"].reveal() == CANARY


def test_what_is_not_secret_may_stand_in_the_file():
    fl, _ = assemble(
        '[connections.food]\nprovider = "edamam"\ncredentials = { app_id = "my-app", app_key = "env:KEY" }'
    )
    assert fl.connection("food").credentials["app_id"].reveal() == "my-app"
    assert "account_user" not in fl.connection("food").credentials


def test_names_that_are_not_there_are_told_with_those_that_are():
    world = build_world(plain("one") + plain("two"), {"one": [], "two": []})
    with pytest.raises(errors.UnknownConnectionError, match=r"There is no connection 'three'\. There are: one, two"):
        world.fl.http("three")
    with pytest.raises(errors.UnknownRouteError, match="No connection serves recipes"):
        _ = world.fl.recipes
    with pytest.raises(errors.UnknownConnectionError, match="There are: none"):
        assemble("")[0].connection("one")


async def test_a_route_may_leave_a_connection_out():
    world = build_world(
        recipes("one") + recipes("two") + route("two"), {"one": [], "two": answer(content={"results": []})}
    )
    assert (await world.fl.recipes.search("soup")).served_by == "two"
