"""Flask: take what a vendor sends, and act on each event once.

$ gunicorn --preload --workers 2 webhooks_flask:app
"""

from __future__ import annotations

from contextlib import closing

import pysqlite3
from flask import Flask, Response, request

from fairlead.runtime.handlers import Received
from fairlead.storage.jobs import Statement
from fairlead.sync import Fairlead

# The same module as Fairlead's: two SQLite libraries in one process harm a file that both have open.
with closing(pysqlite3.connect("webhooks.db")) as database:
    database.execute("CREATE TABLE IF NOT EXISTS paid (event TEXT PRIMARY KEY, payment TEXT)")

app = Flask(__name__)
# One for all: made at import, before gunicorn forks, it handles events in every worker.
fl = Fairlead.from_config("webhooks.toml")


@fl.on("payment.succeeded")
def note_payment(event: Received) -> Statement:
    """Return what is committed together with the end of the event: so it happens once, whatever dies meanwhile."""
    payment = event.neutral.subject if event.neutral else None
    return Statement("INSERT INTO paid VALUES (?, ?)", (event.key, payment))


@app.route("/webhooks/<connection>", methods=["GET", "POST"])
def receive(connection: str) -> Response:
    """Hand a delivery over as it came: address, headers and raw body may all be signed."""
    reply = fl.webhooks.receive(
        connection, url=request.url, headers=list(request.headers), body=request.get_data(), method=request.method
    )
    return Response(reply.body, reply.status, list(reply.headers))
