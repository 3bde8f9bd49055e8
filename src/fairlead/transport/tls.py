"""TLS as every connection has it: 1.2 or newer, chain and host name verified; pins and a client certificate on wish."""

from __future__ import annotations

import ssl

import msgspec

from fairlead.errors import InvalidSettingError
from fairlead.model.secret import Secret
from fairlead.transport.pinning import parse_pins, require_pins


class TlsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection asks of TLS beyond the usual; `client_key` may be left out where `client_cert` holds both."""

    pins: tuple[str, ...] = ()
    client_cert: str | None = None
    client_key: str | None = None
    client_key_password: Secret | None = None
    #: For mail: do without, where the server is on this machine.
    plain_on_loopback: bool = False


_NOTHING = TlsOptions()


def prepare_tls(base_url: str, ca_file: str | None, wanted: TlsOptions) -> ssl.SSLContext | None:
    """Check what is asked for, and return the context that has it; None where the usual one will do.

    The usual one is left for `load_tls(None, TlsOptions())` when it is needed: reading the system's certificates
    takes a while. Raises `InvalidSettingError`, whose message begins with the setting.
    """
    is_mail = base_url.lower().startswith(("smtp:", "smtps:"))
    if wanted != _NOTHING and not is_mail and not base_url.lower().startswith("https:"):
        raise InvalidSettingError("tls is set, and base_url is not https.", hint="Write base_url as https://...")
    if wanted.plain_on_loopback and not is_mail:
        raise InvalidSettingError("tls.plain_on_loopback is for mail servers.", hint="Leave it out.")
    if wanted != _NOTHING or ca_file is not None:
        return load_tls(ca_file, wanted)
    return None


def load_tls(ca_file: str | None, wanted: TlsOptions) -> ssl.SSLContext:
    """Return a client's context; raise `InvalidSettingError`, whose message begins with the setting."""
    try:
        tls = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise InvalidSettingError(
            f"ca_file: {ca_file} cannot be used: {_reason(error)}.", hint="Name a file of PEM certificates."
        ) from None
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    _show_certificate(tls, wanted)
    if wanted.pins:
        require_pins(tls, parse_pins(wanted.pins))
    return tls


def _show_certificate(tls: ssl.SSLContext, wanted: TlsOptions) -> None:
    """Load the client's certificate and key."""
    if wanted.client_cert is None:
        if wanted.client_key is not None or wanted.client_key_password is not None:
            raise InvalidSettingError("tls.client_key is set without tls.client_cert.", hint="Name both files.")
        return
    secret = wanted.client_key_password
    password = secret.reveal() if secret is not None else ""
    try:
        # Without a password of ours, OpenSSL would ask for one on the terminal.
        tls.load_cert_chain(wanted.client_cert, wanted.client_key, password=lambda: password)
    except (OSError, ValueError) as error:  # the latter for a password longer than OpenSSL takes
        files = " and ".join(filter(None, (wanted.client_cert, wanted.client_key)))
        raise InvalidSettingError(
            f"tls.client_cert: {files} cannot be used: {_reason(error)}.",
            hint="Name PEM files of a certificate and its key, and tls.client_key_password where the key has one.",
        ) from None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error.args[-1] if error.args else error)
