"""TLS: who may answer (chain, name, date, pins), how well it is kept secret, and who we are."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.hazmat.primitives.serialization import load_pem_private_key as load_key

from fairlead.errors import InvalidSettingError
from fairlead.model.exchange import Broken
from fairlead.model.message import Response
from fairlead.model.outcome import Effect, Failure, Phase
from fairlead.model.secret import Secret
from fairlead.transport.pinning import pin_of
from fairlead.transport.tls import TlsOptions, load_tls
from raw_server import Peer, serve
from stages import CANARY, PATIENCE_S, Authority, Client, options, request_for
from talks import FINE

HOST = "127.0.0.1"
#: Pins of keys that nobody here has.
RESERVE = "sha256/" + "A" * 43 + "="
OTHER = "sha256/" + "B" * 42 + "A="


def server_with(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def pin(certificate: trustme.LeafCert) -> str:
    return pin_of(ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode()))


# --- Version ------------------------------------------------------------------------------------------------------


def test_tls_is_at_least_1_2_and_verified(authority: Authority) -> None:
    pins = TlsOptions(pins=(RESERVE, OTHER))
    for chosen in (load_tls(None, TlsOptions()), load_tls(authority.file, TlsOptions()), load_tls(None, pins)):
        assert chosen.minimum_version is ssl.TLSVersion.TLSv1_2
        assert (chosen.verify_mode, chosen.check_hostname) == (ssl.CERT_REQUIRED, True)


@contextmanager
def made_old(context: ssl.SSLContext) -> Iterator[ssl.SSLContext]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        context.set_ciphers("ALL:@SECLEVEL=0")
    except ssl.SSLError:
        pytest.skip("This OpenSSL has no TLS 1.1.")
    yield context


async def test_tls_1_1_is_refused(client: Client, authority: Authority) -> None:
    tolerant = ssl.create_default_context(cafile=authority.file)
    with made_old(authority.server(HOST)) as old, made_old(tolerant):
        async with client.serve(authority, FINE, tls=old) as (server, wanted):
            try:
                _, writer = await asyncio.open_connection(HOST, server.port, ssl=tolerant)
            except (ssl.SSLError, ConnectionError):
                pytest.skip("This OpenSSL refuses TLS 1.1 itself.")
            writer.close()
            await writer.wait_closed()
            result = await client.exchange(wanted, request_for(Effect.ONCE))
    assert isinstance(result, Broken)
    assert result.failure in {Failure.TLS, Failure.RESET}  # as the server says why, or hangs up
    assert not result.phase.was_sent
    assert not server.requests


async def test_tls_1_2_is_enough(client: Client, authority: Authority) -> None:
    context = authority.server(HOST)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with client.serve(authority, FINE, tls=context) as (_, wanted):
        assert isinstance(await client.exchange(wanted, request_for(Effect.ONCE)), Response)


# --- Certificate --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expires"),
    [("other.example", None), (HOST, dt.datetime(2020, 1, 1, tzinfo=dt.UTC))],
    ids=["wrong name", "expired"],
)
@pytest.mark.parametrize("has_pins", [False, True], ids=["unpinned", "pinned"])
async def test_a_certificate_that_does_not_fit_is_refused_pinned_or_not(
    name: str,
    expires: dt.datetime | None,
    client: Client,
    authority: Authority,
    *,
    has_pins: bool,
) -> None:
    certificate = authority.ca.issue_cert(name, not_after=expires)
    tls = TlsOptions(pins=(pin(certificate), RESERVE)) if has_pins else TlsOptions()
    async with client.serve(authority, FINE, tls=server_with(certificate), tls_options=tls) as (server, wanted):
        result = await client.exchange(wanted, request_for(Effect.ONCE))
    assert isinstance(result, Broken)
    assert (result.failure, result.phase) == (Failure.TLS, Phase.CONNECTING)
    assert HOST in result.detail
    assert not server.requests


# --- Pins ---------------------------------------------------------------------------------------------------------


async def test_a_pinned_key_is_let_in(client: Client, authority: Authority) -> None:
    certificate = authority.ca.issue_cert(HOST)
    tls = TlsOptions(pins=(RESERVE, pin(certificate)))
    async with client.serve(authority, FINE, tls=server_with(certificate), tls_options=tls) as (_, wanted):
        assert isinstance(await client.exchange(wanted, request_for(Effect.ONCE)), Response)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_another_key_is_not_though_its_certificate_is_good(
    version: ssl.TLSVersion, client: Client, authority: Authority
) -> None:
    context = server_with(authority.ca.issue_cert(HOST))
    context.maximum_version = context.minimum_version = version
    tls = TlsOptions(pins=(RESERVE, OTHER))
    async with client.serve(authority, FINE, tls=context, tls_options=tls) as (server, wanted):
        result = await client.exchange(wanted, request_for(Effect.ONCE))
    assert result == Broken(Failure.TLS, Phase.CONNECTING, f"{wanted.base_url} (its key matches no pin)")
    assert not server.requests


async def test_no_byte_comes_out_of_a_handshake_that_matches_no_pin(client: Client, authority: Authority) -> None:
    """Below HTTP: what the server can decrypt is nothing at all."""
    read: list[bytes] = []

    async def listen(peer: Peer) -> None:
        while data := await peer.read():
            read.append(data)

    context = authority.server(HOST)
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with serve(listen, tls=context) as server:
        wanted = options(server.url("https"), ca_file=authority.file, tls=TlsOptions(pins=(RESERVE, OTHER)))
        for effect in Effect:
            result = await client.exchange(wanted, request_for(effect))
            assert isinstance(result, Broken)
            assert result.failure is Failure.TLS
    assert not read


async def test_a_pinned_key_of_somebody_untrusted_is_refused(client: Client, authority: Authority) -> None:
    certificate = trustme.CA().issue_cert(HOST)
    tls = TlsOptions(pins=(RESERVE, pin(certificate)))
    async with client.serve(authority, FINE, tls=server_with(certificate), tls_options=tls) as (server, wanted):
        result = await client.exchange(wanted, request_for(Effect.ONCE))
    assert isinstance(result, Broken)
    assert (result.failure, result.phase) == (Failure.TLS, Phase.CONNECTING)
    assert not server.requests


async def test_a_renewed_certificate_keeps_its_pin_and_a_new_key_comes_by_the_reserve(
    client: Client, authority: Authority
) -> None:
    now, later = authority.ca.issue_cert(HOST), authority.ca.issue_cert(HOST)
    tls = TlsOptions(pins=(pin(now), pin(later)))
    for certificate in (now, later):
        async with client.serve(authority, FINE, tls=server_with(certificate), tls_options=tls) as (_, wanted):
            assert isinstance(await client.exchange(wanted, request_for(Effect.ONCE)), Response)


def test_a_pin_is_what_openssl_says(authority: Authority, tmp_path: Path) -> None:
    """The command of `docs/explanation/transport.md`."""
    certificate = authority.ca.issue_cert(HOST)
    file = tmp_path / "server.pem"
    certificate.cert_chain_pems[0].write_to_path(str(file))
    page = (Path(__file__).parents[3] / "docs" / "explanation" / "transport.md").read_text(encoding="utf-8")
    (command,) = (line for line in page.splitlines() if line.startswith("openssl x509 "))
    command = f"set -o pipefail; {command.replace('server.pem', str(file))}"
    done = subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True)  # noqa: S603, S607
    assert f"sha256/{done.stdout.strip()}" == pin(certificate)


@pytest.mark.parametrize(
    ("pins", "problem"),
    [
        ((RESERVE,), "at least two"),
        ((RESERVE, RESERVE), "at least two"),
        ((RESERVE, "sha256/AAAA"), "no pin"),
        ((RESERVE, "sha256/" + "!" * 44), "no pin"),
        ((RESERVE, "sha1/" + "A" * 43 + "="), "no pin"),
        ((RESERVE, "A" * 43 + "="), "no pin"),
        ((RESERVE, "sha256/é" + "A" * 42 + "="), "no pin"),
        ((RESERVE, ""), "no pin"),
        ((RESERVE, "sha256/" + "A" * 20 + " \n" + "A" * 23 + "="), "no pin"),
    ],
)
def test_pins_that_cannot_work_are_refused(pins: tuple[str, ...], problem: str, client: Client) -> None:
    with pytest.raises(InvalidSettingError, match=rf"^tls\.pins .*{problem}"):
        client.make(options("https://shop.test", tls=TlsOptions(pins=pins)))


def test_pins_without_tls_are_refused(client: Client) -> None:
    with pytest.raises(InvalidSettingError, match="base_url is not https"):
        client.make(options("http://shop.test", tls=TlsOptions(pins=(RESERVE, OTHER))))


# --- Who we are ---------------------------------------------------------------------------------------------------


class Files:
    """A client's certificate in every shape that people keep it in."""

    def __init__(self, authority: Authority, folder: Path) -> None:
        made = authority.ca.issue_cert("us@fairlead.test")
        self.both, self.cert, self.key = folder / "both.pem", folder / "cert.pem", folder / "key.pem"
        self.locked, self.other = folder / "locked.pem", folder / "other.pem"
        made.private_key_and_cert_chain_pem.write_to_path(str(self.both))
        made.cert_chain_pems[0].write_to_path(str(self.cert))
        made.private_key_pem.write_to_path(str(self.key))
        key = load_key(made.private_key_pem.bytes(), None)
        lock = BestAvailableEncryption(CANARY.encode())
        self.locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
        authority.ca.issue_cert("them@fairlead.test").private_key_pem.write_to_path(str(self.other))


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> Files:
    return Files(authority, tmp_path)


def asking(authority: Authority) -> ssl.SSLContext:
    """Build a server that wants to know who we are."""
    context = authority.server(HOST)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(context)
    return context


@pytest.mark.parametrize("shape", ["two files", "one file", "with a password"])
async def test_a_client_certificate_is_shown(shape: str, files: Files, client: Client, authority: Authority) -> None:
    tls = {
        "two files": TlsOptions(client_cert=str(files.cert), client_key=str(files.key)),
        "one file": TlsOptions(client_cert=str(files.both)),
        "with a password": TlsOptions(
            client_cert=str(files.cert), client_key=str(files.locked), client_key_password=Secret(CANARY)
        ),
    }[shape]
    async with client.serve(authority, FINE, tls=asking(authority), tls_options=tls) as (server, wanted):
        result = await client.exchange(wanted, request_for(Effect.ONCE))
    assert isinstance(result, Response)
    assert len(server.requests) == 1


async def test_without_it_the_server_hears_nothing(client: Client, authority: Authority) -> None:
    async with client.serve(authority, FINE, tls=asking(authority)) as (server, wanted):
        result = await client.exchange(wanted, request_for(Effect.ONCE), timeout_s=PATIENCE_S)
    assert isinstance(result, Broken)
    assert result.failure in {Failure.TLS, Failure.RESET}
    assert not server.requests


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda files: TlsOptions(client_cert=str(files.cert)), r"cert\.pem cannot be used"),
        (
            lambda files: TlsOptions(client_cert=str(files.cert), client_key=str(files.other)),
            r"cert\.pem and .*other\.pem cannot be used: .*mismatch",
        ),
        (
            lambda files: TlsOptions(client_cert=str(files.cert), client_key=str(files.locked)),
            r"cert\.pem and .*locked\.pem cannot be used",
        ),
        (
            lambda files: TlsOptions(
                client_cert=str(files.cert), client_key=str(files.locked), client_key_password=Secret("wrong-7731")
            ),
            r"cert\.pem and .*locked\.pem cannot be used",
        ),
        (
            lambda files: TlsOptions(
                client_cert=str(files.cert), client_key=str(files.locked), client_key_password=Secret("long" * 1000)
            ),
            r"cert\.pem and .*locked\.pem cannot be used",
        ),
        (lambda _: TlsOptions(client_cert="/nowhere/cert.pem"), r"/nowhere/cert\.pem cannot be used: No such file"),
        (lambda files: TlsOptions(client_cert=str(files.key)), r"key\.pem cannot be used"),
        (lambda files: TlsOptions(client_key=str(files.key)), "set without"),
    ],
    ids=["no key", "another key", "no password", "wrong password", "endless password", "no file", "a key", "key alone"],
)
def test_files_that_cannot_work_are_refused_at_once(
    make: Callable[[Files], TlsOptions], problem: str, files: Files, client: Client
) -> None:
    with pytest.raises(InvalidSettingError, match=rf"^tls\.client_(cert|key).*{problem}") as caught:
        client.make(options("https://shop.test", tls=make(files)))
    assert "7731" not in str(caught.value)
