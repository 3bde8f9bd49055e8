"""The way out through an HTTP proxy, where one is declared; the environment's proxies are never used.

HTTPS passes through a tunnel (CONNECT, RFC 9110 §9.3.6), so the proxy sees the vendor's name and no more. Plain HTTP is
handed over as it is (absolute-form, RFC 9112 §3.2.2), so the proxy reads all of it.
"""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import urlsplit

import msgspec

from fairlead.errors import InvalidSettingError
from fairlead.model.secret import Secret


class ProxyRefused(Exception):  # noqa: N818  # a fact about the proxy
    """The proxy wants nothing to do with us, so the vendor saw nothing."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the proxy answered {status}")


class Proxy(msgspec.Struct, frozen=True):
    """Where the proxy is, and how it knows us."""

    host: str
    port: int
    login: tuple[str, Secret] | None = None

    @property
    def url(self) -> str:
        """The proxy's address as a URL."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def authorization(self) -> dict[str, str]:
        """Return the field that tells the proxy who we are (RFC 7617), where it wants to know."""
        if self.login is None:
            return {}
        user, password = self.login
        return {"Proxy-Authorization": f"Basic {b64encode(f'{user}:{password.reveal()}'.encode()).decode()}"}


def parse_proxy(url: str | None, login: Secret | None) -> Proxy | None:
    """Check what is asked for; raise `InvalidSettingError`, whose message begins with the setting."""
    if url is None:
        if login is not None:
            raise InvalidSettingError("proxy_login is set without a proxy.", hint='Add proxy = "http://host:port".')
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    is_plain = not (parts.path.rstrip("/") or parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme != "http" or not parts.hostname or port is None or not is_plain or any(char <= " " for char in url):
        raise InvalidSettingError(
            "proxy is not a usable URL.", hint="Write http://host:port; user and password go into proxy_login."
        )
    if login is None:
        return Proxy(parts.hostname, port)
    user, colon, password = login.reveal().partition(":")
    if not (user and colon):
        raise InvalidSettingError("proxy_login is not user:password.", hint="Write both, with a colon between them.")
    return Proxy(parts.hostname, port, (user, Secret(password)))
