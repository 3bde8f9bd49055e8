"""A gateway on a real server on loopback, in front of both recipe fakes, and a client for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette

from fairlead.cli.serve import listen
from fairlead.config.read import parse_settings
from fairlead.gateway.app import build_app
from fairlead.gateway.server import build_server
from fairlead.model.message import Query, Response, build_request
from fairlead.model.ports import Clock
from fairlead.model.secret import Secret
from fairlead.observe.events import Event, EventStream
from fairlead.observe.metrics import Metrics
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.ports import Ports
from fairlead.testing.clock import FakeClock
from fairlead.testing.fakes.edamam import EdamamFake
from fairlead.testing.fakes.spoonacular import SpoonacularFake
from fairlead.transport.http import HttpOptions, HttpTransport

#: Nobody waits longer for an answer.
PATIENCE_S = 10.0
KEY = "canary-gateway-key"
VENDOR_KEYS = {
    "SPOONACULAR_API_KEY": "canary-spoonacular-key",
    "EDAMAM_APP_ID": "canary-edamam-id",
    "EDAMAM_APP_KEY": "canary-edamam-key",
}

CONFIG = """
[connections.spoonacular]
provider = "spoonacular"
base_url = "{first}"
allow_private = true
cache_permitted = true
quota_reset_s = 90
credentials = {{ api_key = "env:SPOONACULAR_API_KEY" }}
rate = {{ requests = 1000 }}
retry = {{ max_attempts = 1 }}
breaker = {{ min_attempts = 2, window = 2, open_s = 30 }}

[connections.edamam]
provider = "edamam"
base_url = "{second}"
allow_private = true
cache_permitted = true
quota_reset_s = 600
credentials = {{ app_id = "env:EDAMAM_APP_ID", app_key = "env:EDAMAM_APP_KEY" }}
rate = {{ requests = 1000 }}
retry = {{ max_attempts = 1 }}
breaker = {{ min_attempts = 2, window = 2, open_s = 30 }}

[routes.recipes]
connections = ["spoonacular", "edamam"]
deadline_s = 5
cache = {{ ttl_s = 60, stale_if_error_s = 3600 }}
"""


class Client:
    """Sends requests to the gateway as an application would, with the gateway's key unless told otherwise."""

    def __init__(self, url: str) -> None:
        self._transport = HttpTransport(HttpOptions(base_url=url, allow_private=True))

    async def ask(
        self,
        path: str,
        query: Query | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        key: str | None = KEY,
        body: bytes = b"",
    ) -> Response:
        held = {} if key is None else {"fairlead-key": key}
        request = build_request(method, path, query=query, headers={**held, **(headers or {})}, body=body)
        answer = await self._transport.exchange(request, timeout_s=PATIENCE_S)
        assert isinstance(answer, Response), answer
        return answer

    async def search(self, text: str = "pasta", **options: Any) -> Response:
        return await self.ask("/v1/recipes/search", {"q": text}, **options)

    async def follow(self, link: str) -> Response:
        """Follow a Link header as it stands."""
        path, _, query = link[1 : link.index(">")].partition("?")
        return await self.ask(path, parse_qsl(query))

    async def close(self) -> None:
        await self._transport.close()


@dataclass
class Served:
    """All that a test may want to touch."""

    client: Client
    app: Starlette
    fl: Fairlead
    clock: FakeClock
    events: list[Event]
    first: SpoonacularFake
    second: EdamamFake
    url: str


@asynccontextmanager
async def served(
    *,
    keys: list[str] | None = None,
    clock: Clock | None = None,
    config: str = CONFIG,
    first_url: str | None = None,
    environment: Mapping[str, str] = VENDOR_KEYS,
) -> AsyncIterator[Served]:
    """Serve; the engine's time stands still unless the test brings a clock, and nothing else is made up."""
    first = SpoonacularFake(api_keys=[VENDOR_KEYS["SPOONACULAR_API_KEY"]])
    second = EdamamFake(applications={VENDOR_KEYS["EDAMAM_APP_ID"]: VENDOR_KEYS["EDAMAM_APP_KEY"]})
    events: list[Event] = []
    still = FakeClock()
    async with first, second:
        metrics = Metrics()
        fl = Fairlead(
            parse_settings(config.format(first=first_url or first.url, second=second.url)),
            environment=environment,
            ports=Ports(clock=clock or still, random=lambda: 0.0, events=EventStream((events.append, metrics))),
        )
        app = build_app(fl, metrics, keys=[Secret(key) for key in keys or [KEY]])
        listener = listen("127.0.0.1", 0)
        server = build_server(app, handles_signals=False)
        serving = asyncio.create_task(server.serve([listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = Client(url)
        try:
            yield Served(client, app, fl, still, events, first, second, url)
        finally:
            await client.close()
            server.should_exit = True
            await serving


def problem(answer: Response, status: int, code: str) -> dict[str, Any]:
    """Check the frame of a problem document, and return it."""
    assert answer.status == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["fairlead-error"] == code
    document: dict[str, Any] = json.loads(answer.body)
    assert (document["status"], document["code"]) == (status, code)
    assert document["type"] == f"urn:fairlead:error:{code}"
    assert document["title"].endswith(".")
    return document
