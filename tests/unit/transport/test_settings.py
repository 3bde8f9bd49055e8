"""From the configuration to the transport: every key arrives, and what cannot work is refused by its name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import trustme

from fairlead.config.read import parse_settings
from fairlead.config.settings import Connection
from fairlead.config.sources import ProcessSources
from fairlead.errors import ConfigError, InvalidSettingError, UnresolvedReferenceError
from fairlead.model.secret import Secret
from fairlead.runtime.assemble import _options
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.registry import load_provider
from fairlead.transport.connect import connect
from fairlead.transport.http import HttpOptions
from fairlead.transport.tls import TlsOptions

_PIN = "A" * 42
PINS = f'pins = ["sha256/{_PIN}A=", "sha256/{_PIN}E="]'
CANARY = "canary-8731"
ENVIRONMENT = {"LOGIN": f"us:{CANARY}", "PASSWORD": CANARY}


def made_of(text: str) -> list[HttpOptions]:
    made: list[HttpOptions] = []

    def note(options: HttpOptions):
        made.append(options)
        return connect(msgspec.structs.replace(options, tls=TlsOptions()))

    Fairlead(
        parse_settings(f'[connections.shop]\nbase_url = "https://shop.test/v1"\n{text}'),
        source="fairlead.toml",
        environment=ENVIRONMENT,
        connect=note,
    )
    return made


def opened(text: str, base_url: str = "https://shop.test") -> Fairlead:
    return Fairlead(
        parse_settings(f'[connections.shop]\nbase_url = "{base_url}"\n{text}'),
        source="fairlead.toml",
        environment=ENVIRONMENT,
    )


def test_every_key_arrives():
    text = (
        f'tls = {{ {PINS}, client_cert = "/c", client_key = "/k", client_key_password = "env:PASSWORD" }}\n'
        'proxy = "http://proxy.test:3128"\nproxy_login = "env:LOGIN"\nallow_private_proxy = true\n'
        "http2 = true\nfollow_redirects = 3\n"
    )
    (options,) = made_of(text)
    assert options.tls.pins == tuple(parse_settings(f"[connections.a]\ntls = {{ {PINS} }}").connections["a"].tls.pins)
    assert (options.tls.client_cert, options.tls.client_key) == ("/c", "/k")
    assert options.tls.client_key_password == Secret(CANARY)
    assert (options.proxy, options.proxy_login) == ("http://proxy.test:3128", Secret(f"us:{CANARY}"))
    assert (options.allow_private_proxy, options.http2, options.follow_redirects) == (True, True, 3)
    assert CANARY not in repr(options)


def test_none_of_it_is_on_unless_it_is_declared():
    assert made_of("") == [HttpOptions(base_url="https://shop.test/v1", pool=50)]


def test_a_provider_may_ask_for_http2():
    provider = msgspec.structs.replace(load_provider("spoonacular"), http2=True)
    made = _options(Connection(), provider, "https://shop.test", "here", ProcessSources({}), pool=1)
    assert made.http2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('tls = { pins = ["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] }', r"tls\.pins needs at least two"),
        ('tls = { pins = ["a", "b"] }', r"tls\.pins holds something that is no pin"),
        ('tls = { client_cert = "/nowhere/a.pem", client_key = "/nowhere/a.key" }',
         r"tls\.client_cert: /nowhere/a\.pem and /nowhere/a\.key cannot be used: No such file or directory"),
        ('tls = { client_key = "/nowhere/a.key" }', r"tls\.client_key is set without"),
        ('ca_file = "/nowhere/ca.pem"', r"ca_file: /nowhere/ca\.pem cannot be used: No such file or directory"),
        ('proxy = "proxy.test"', r"proxy is not a usable URL"),
        ('proxy_login = "env:LOGIN"', r"proxy_login is set without a proxy"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("http2", ["", "http2 = true"])
@pytest.mark.parametrize("redirects", ["", "follow_redirects = 1"])
def test_what_cannot_work_is_refused_at_start_by_its_key(text: str, problem: str, http2: str, redirects: str):
    with pytest.raises(InvalidSettingError, match=rf"^fairlead\.toml: connections\.shop\.{problem}"):
        opened(f"{text}\n{http2}\n{redirects}")


def test_pins_are_for_https():
    with pytest.raises(InvalidSettingError, match=r"connections\.shop\.tls is set, and base_url is not https"):
        opened(f"tls = {{ {PINS} }}", "http://shop.test")


@pytest.mark.parametrize("key", ["proxy_login", "tls.client_key_password"])
def test_secrets_are_references_that_lead_somewhere(key: str):
    with pytest.raises(InvalidSettingError, match=rf"connections\.shop\.{key} holds a secret in plain text") as caught:
        opened(f'{key} = "{CANARY}"')
    assert CANARY not in str(caught.value)
    with pytest.raises(UnresolvedReferenceError, match=rf"connections\.shop\.{key}: the environment has no NOBODY"):
        opened(f'{key} = "env:NOBODY"')


@pytest.mark.parametrize("text", ["follow_redirects = -1", "follow_redirects = 21", "http2 = 2", "tls = { pin = [] }"])
def test_so_is_what_is_no_setting(text: str):
    with pytest.raises(ConfigError, match=r"^configuration: connections\.shop\."):
        parse_settings(f"[connections.shop]\n{text}")


def test_what_is_not_asked_for_is_not_loaded():
    code = """
import sys
from fairlead.transport.connect import connect
from fairlead.transport.http import HttpOptions
connect(HttpOptions(base_url="https://shop.test"))
print({"aiosmtplib", "cryptography", "h2"} & {name.partition(".")[0] for name in sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert done.stdout.strip() == "set()"


def test_mail_says_which_package_it_lacks():
    code = """
import sys
sys.modules["aiosmtplib"] = None
from fairlead.errors import InvalidSettingError
from fairlead.transport.connect import connect
from fairlead.transport.http import HttpOptions
try:
    connect(HttpOptions(base_url="smtp://mail.test"))
except InvalidSettingError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert done.stdout == "base_url: the package aiosmtplib is missing. Run: pip install fairlead[smtp]\n"


async def test_what_can_work_is_opened(tmp_path: Path):
    certificate = trustme.CA().issue_cert("us@fairlead.test")
    file = tmp_path / "us.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(file))
    for http2 in ("false", "true"):
        fl = opened(
            f'tls = {{ {PINS}, client_cert = "{file}" }}\nproxy = "http://proxy.test:3128"\n'
            f'proxy_login = "env:LOGIN"\nhttp2 = {http2}\nfollow_redirects = 2'
        )
        await fl.close()
