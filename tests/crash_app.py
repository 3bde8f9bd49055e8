"""An application for crashes: a gateway that takes webhooks, and a handler with two effects.

One is a row of the same database. The other is a charge at a vendor that knows no idempotency key: a call in the
background, which may be made once.

It is run as a program, killed, and run again over the same store.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from fairlead.cli.serve import listen
from fairlead.gateway.app import build_app
from fairlead.gateway.server import build_server
from fairlead.model.outcome import Effect
from fairlead.observe.metrics import Metrics
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.handlers import Received
from fairlead.storage.jobs import Statement

#: What the effects are: one row for each event that was handled.
INSERT = "INSERT INTO effects (key) VALUES ({})"


def build(config: str) -> Fairlead:
    """Return the application's Fairlead, with its handler."""
    fl = Fairlead.from_config(config)

    async def charge(event: Received) -> None:
        await fl.http("till").post(
            "/charges",
            json={"event": event.key},
            effect=Effect.ONCE,  # the key is for us alone: the vendor honours none
            background=True,
            idempotency_key=event.idempotency_key,
        )

    if fl.settings.storage.url.startswith("postgresql"):

        @fl.on("acme:*", transaction=True)
        async def handle_in_transaction(event: Received, connection: Any) -> None:
            await connection.execute(INSERT.format("$1"), event.key)

        # Apart from it: what keeps a call wants a connection to the database, too, and a transaction holds one.
        fl.on("acme:*")(charge)

    else:

        @fl.on("acme:*")
        async def handle(event: Received) -> Statement:
            await charge(event)
            return Statement(INSERT.format("?"), (event.key,))

    return fl


def main(config: str) -> None:
    """Serve until somebody kills it."""
    fl = build(config)
    listener = listen("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)  # noqa: T201  # whoever started it wants to know
    asyncio.run(build_server(build_app(fl, Metrics(), keys=None)).serve([listener]))


if __name__ == "__main__":
    main(sys.argv[1])
