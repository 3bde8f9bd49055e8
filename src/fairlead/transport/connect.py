"""The one place that chooses a client: HTTP/1.1, HTTP/2 where it is asked for, redirects around either, and mail."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from urllib.parse import urlsplit

import msgspec

from fairlead.errors import InvalidSettingError
from fairlead.model.exchange import Transport
from fairlead.transport.http import HttpOptions, HttpTransport
from fairlead.transport.redirects import Redirecting


def connect(options: HttpOptions) -> Transport:
    """Return what sends requests to `base_url`; nothing is opened yet.

    Raises `InvalidSettingError`, whose message begins with the setting, for options that cannot work.
    """
    if options.base_url.lower().startswith(("smtp:", "smtps:")):
        made: Transport = _extra("fairlead.transport.mail", "base_url", "smtp").MailTransport(options)
        return made
    if not options.follow_redirects:
        return _choose(options)
    parts = urlsplit(options.base_url)
    inner = _choose(msgspec.structs.replace(options, base_url=f"{parts.scheme}://{parts.netloc}"))
    return Redirecting(inner, options.base_url, limit=options.follow_redirects)


def _choose(options: HttpOptions) -> Transport:
    if not options.http2:
        return HttpTransport(options)
    made: Transport = _extra("fairlead.transport.http2", "http2", "http2").Http2Transport(options)
    return made


def _extra(module: str, setting: str, extra: str) -> ModuleType:
    """Load what stands on a library that not everybody has."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "fairlead":
            raise
        raise InvalidSettingError(
            f"{setting}: the package {error.name} is missing.", hint=f"Run: pip install fairlead[{extra}]"
        ) from None
