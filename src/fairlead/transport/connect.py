"""The one place that chooses a client: HTTP/1.1, HTTP/2 where it is asked for, and redirects around either."""

from __future__ import annotations

from importlib import import_module
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
    if not options.follow_redirects:
        return _choose(options)
    parts = urlsplit(options.base_url)
    inner = _choose(msgspec.structs.replace(options, base_url=f"{parts.scheme}://{parts.netloc}"))
    return Redirecting(inner, options.base_url, limit=options.follow_redirects)


def _choose(options: HttpOptions) -> Transport:
    if not options.http2:
        return HttpTransport(options)
    try:
        module = import_module("fairlead.transport.http2")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "fairlead":
            raise
        raise InvalidSettingError(
            f"http2: the package {error.name} is missing.", hint="Run: pip install fairlead[http2]"
        ) from None
    made: Transport = module.Http2Transport(options)
    return made
