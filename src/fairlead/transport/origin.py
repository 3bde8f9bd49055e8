"""Where a connection's base URL leads, taken apart once."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

_PORTS = {"http": 80, "https": 443, "smtp": 587, "smtps": 465}


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Scheme, host and port (RFC 6454 §4), and the path that every request's path is added to."""

    scheme: str
    #: As names are looked up: ASCII, an address of IPv6 without its brackets. Empty for what cannot be a name.
    host: str
    port: int
    #: Host, and the port where it is not the scheme's own, as the Host header has them (RFC 9110 §7.2).
    authority: str
    path: str

    @property
    def is_secure(self) -> bool:
        """Whether TLS comes before the first word."""
        return self.scheme in {"https", "smtps"}

    @property
    def url(self) -> str:
        """Scheme and authority: what messages name."""
        return f"{self.scheme}://{self.authority}"


def parse_origin(base_url: str) -> Origin:
    """Take a base URL apart that was checked when the configuration was read."""
    parts = urlsplit(base_url)
    scheme = parts.scheme.lower()
    host = _ascii(parts.hostname or "")
    port = parts.port or _PORTS[scheme]
    shown = f"[{host}]" if ":" in host else host.rstrip(".")  # the root's dot is for looking up alone
    authority = shown if port == _PORTS[scheme] else f"{shown}:{port}"
    return Origin(scheme=scheme, host=host, port=port, authority=authority, path=parts.path.rstrip("/"))


def _ascii(host: str) -> str:
    """Return a name as the name system has it (RFC 5891)."""
    if host.isascii():
        return host
    import idna  # noqa: PLC0415  # few names need its tables

    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        return ""
