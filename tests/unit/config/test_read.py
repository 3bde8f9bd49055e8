from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.read import parse_settings, read_settings
from fairlead.config.settings import Settings
from fairlead.errors import ConfigError, ConfigFileError, InvalidSettingError, UnknownSettingError

CANARY = "sk_live_8731"
GOOD = """
deadline_s = 5

[connections.one]
provider = "one"
plan = "free"
credentials = { api_key = "env:ONE" }
retry.max_attempts = 2
concurrency = { limit = 3 }

[connections.two]
base_url = "https://two.example"
auth = { scheme = "key", header = "x-key" }

[routes.recipes]
connections = ["one", "two"]
cache.ttl_s = 0
"""


def complaint(text: str, kind: type[ConfigError]) -> str:
    with pytest.raises(kind) as caught:
        parse_settings(text, source="my.toml")
    assert type(caught.value) is kind
    return str(caught.value)


def test_a_configuration_is_read() -> None:
    settings = parse_settings(GOOD)
    one, two = settings.connections["one"], settings.connections["two"]
    assert (settings.deadline_s, one.retry.max_attempts, one.retry.base_s) == (5.0, 2, 0.1)
    assert one.concurrency is not None
    assert (one.concurrency.limit, one.concurrency.queue, two.concurrency) == (3, 100, None)
    assert (two.auth.scheme, two.auth.header) == ("key", "x-key")
    assert settings.routes["recipes"].connections == ["one", "two"]
    assert settings.routes["recipes"].cache.ttl_s == 0


def test_nothing_is_a_configuration_too() -> None:
    assert parse_settings("") == Settings()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('deadline_s = "{}"', "deadline_s"),
        ('connections = "{}"', "connections"),
        ('connections.one = "{}"', "connections.one"),
        ('connections.one.provider = ["{}"]', "connections.one.provider"),
        ('connections.one.credentials = "{}"', "connections.one.credentials"),
        ('connections.one.credentials.api_key = ["{}"]', "connections.one.credentials.api_key"),
        ('connections.one.auth.scheme = "{}"', "connections.one.auth.scheme"),
        ('connections.one.auth = "{}"', "connections.one.auth"),
        ('connections.one.retry = ["{}"]', "connections.one.retry"),
        ('connections.one.retry.max_attempts = "{}"', "connections.one.retry.max_attempts"),
        ('connections.one.concurrency.limit = "{}"', "connections.one.concurrency.limit"),
        ('connections.one.allow_private = "{}"', "connections.one.allow_private"),
        ('connections.one.rate = {{ requests = 1, per_s = "{}" }}', "connections.one.rate.per_s"),
        ('routes.recipes.connections = "{}"', "routes.recipes.connections"),
        ('routes.recipes.connections = ["a", {{ b = "{}" }}]', "routes.recipes.connections"),
        ('gateway.port = "{}"', "gateway.port"),
        ('gateway.api_keys = [["{}"]]', "gateway.api_keys"),
    ],
)
def test_a_wrong_value_is_named_by_its_place_and_not_shown(text: str, place: str) -> None:
    said = complaint(text.format(CANARY), InvalidSettingError)
    assert said.startswith(f"my.toml: {place}: Expected ")
    assert CANARY not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("deadline_s = 0", "deadline_s: Expected `float` > 0.0."),
        ("deadline_s = nan", "deadline_s: Expected `float` > 0.0."),
        ("deadline_s = true", "deadline_s: Expected `float`, got `bool`."),
        ("connections.a.breaker.failure_share = 1.5", "connections.a.breaker.failure_share: Expected `float` <= 1.0."),
        ("connections.a.concurrency.limit = 0", "connections.a.concurrency.limit: Expected `int` >= 1."),
        ("connections.a.retry.max_attempts = 1.5", "connections.a.retry.max_attempts: Expected `int`, got `float`."),
        ("routes.r.connections = []", "routes.r.connections: Expected `array` of length >= 1."),
        ("gateway.port = 65536", "gateway.port: Expected `int` <= 65535."),
        ("connections.a.auth.scheme = 'x'",
         "connections.a.auth.scheme: Expected one of 'bearer', 'basic', 'key', 'hmac', 'sigv4', 'none'."),
        ("routes.r.deadline_s = 1", "routes.r lacks 'connections'."),
        ("connections.a.rate.per_s = 1", "connections.a.rate lacks 'requests'."),
    ],
)  # fmt: skip
def test_what_is_expected_is_said(text: str, said: str) -> None:
    assert complaint(text, InvalidSettingError).startswith(f"my.toml: {said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('connection.one.provider = "{}"', "my.toml: connection is not a setting. Did you mean 'connections'?"),
        ('connections.one.providr = "{}"',
         "my.toml: connections.one.providr is not a setting. Did you mean 'provider'?"),
        ('connections.one.retry.attempts = "{}"',
         "my.toml: connections.one.retry.attempts is not a setting. Did you mean 'max_attempts'?"),
        ('zzz = "{}"', f"my.toml: zzz is not a setting. Known here: {', '.join(Settings.__struct_fields__)}."),
        ('gateway."a b" = "{}"',
         ("my.toml: gateway.a b is not a setting. Known here: host, port, api_keys, replay_bytes, "
          "max_connections, head_s, body_s, idle_s.")),
    ],
)  # fmt: skip
def test_an_unknown_key_is_named_with_the_one_that_was_meant(text: str, said: str) -> None:
    assert complaint(text.format(CANARY), UnknownSettingError) == said


@pytest.mark.parametrize(
    "text",
    [
        f'a = "{CANARY}',
        f"a = {CANARY}",
        f'a = "{CANARY}" "{CANARY}"',
        f'a = "\\q{CANARY}"',
        f'a = "{CANARY}"\na = "{CANARY}"',
        f'[a]\nb = "{CANARY}"\n[a]',
        f'a = "{CANARY}\0"',
        f'"{CANARY}',
    ],
)
def test_what_is_no_toml_is_not_shown(text: str) -> None:
    said = complaint(text, ConfigFileError)
    assert said.startswith("my.toml is not TOML: ")
    assert CANARY not in said


def test_toml_that_is_too_much_for_its_reader() -> None:
    assert "4300" in complaint(f"deadline_s = {'9' * 5000}", ConfigFileError)
    assert "nested too deeply" in complaint(f"a = {'[' * 5000}", ConfigFileError)


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_no_text_does_harm(text: str) -> None:
    with suppress(ConfigError):
        parse_settings(text)


# --- Files --------------------------------------------------------------------------------------------------------


def test_a_file_is_read_and_named(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(GOOD)
    assert read_settings(path) == read_settings(str(path)) == parse_settings(GOOD)
    path.write_text("deadline_s = 0")
    with pytest.raises(InvalidSettingError) as caught:
        read_settings(path)
    assert str(caught.value).startswith(f"{path}: deadline_s: ")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match=r"my\.toml does not exist"):
        read_settings(tmp_path / "my.toml")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match="Is a directory"):
        read_settings(tmp_path)
    (tmp_path / "my.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigFileError, match=r"my\.toml cannot be read: it is not UTF-8 text"):
        read_settings(tmp_path / "my.toml")
