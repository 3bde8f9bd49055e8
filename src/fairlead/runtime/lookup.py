"""Read what stands at a vendor's public address, through the pipeline: the certificate of a signer, a confirmation."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

from fairlead.model.fetch import Fetch
from fairlead.model.message import Response
from fairlead.runtime.http import HttpFacade

# Whoever signs with one certificate uses it for months. There are few of them, and a stranger may name many addresses.
_KEPT_S = 3600.0
_MOST_KEPT = 64
_PATIENCE_S = 5.0


class Lookups:
    """Reads addresses that verification has checked. `open_origin` gives the way to a server by its origin."""

    def __init__(self, open_origin: Callable[[str], HttpFacade], monotonic: Callable[[], float]) -> None:
        self._open_origin = open_origin
        self._monotonic = monotonic
        self._kept: OrderedDict[str, tuple[float, Response]] = OrderedDict()

    async def fetch(self, wanted: Fetch) -> Response:
        """Return what stands there; raise `FairleadError` where nothing good does."""
        now = self._monotonic()
        until, response = self._kept.get(wanted.url, (0.0, None))
        if response is not None and now < until:
            return response
        parts = urlsplit(wanted.url)
        facade = self._open_origin(f"{parts.scheme}://{parts.netloc}")
        query = parse_qsl(parts.query, keep_blank_values=True)
        response = await facade.get(parts.path or "/", query=query, deadline_s=_PATIENCE_S)
        if wanted.is_kept:
            self._kept[wanted.url] = (now + _KEPT_S, response)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return response
