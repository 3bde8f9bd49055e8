"""Flask: errors become its own answers, and the caller's request id goes through.

$ gunicorn --preload --workers 2 flask_app:app
$ curl "http://127.0.0.1:8000/recipes?q=pasta"
"""

from __future__ import annotations

import math
from typing import Any
from uuid import uuid4

from flask import Flask, g, request

from fairlead import FairleadError
from fairlead.errors import NotFoundError, UsageError
from fairlead.observe.events import EventStream
from fairlead.observe.logs import Logs
from fairlead.runtime.ports import Ports
from fairlead.sync import Fairlead

app = Flask(__name__)
# One for all: made at import, before gunicorn forks, it has an event loop and sockets of its own in every worker.
fl = Fairlead.from_config(ports=Ports(events=EventStream((Logs(),))))


@app.before_request
def take_request_id() -> None:
    """Name the request as its caller does; `g` is Flask's context."""
    g.request_id = request.headers.get("X-Request-Id") or uuid4().hex


@app.get("/recipes")
def search() -> dict[str, Any]:
    """Search, for as long as somebody at a screen waits."""
    page = fl.recipes.search(request.args.get("q", "pasta"), deadline_s=3, correlation_id=g.request_id)
    recipes = [{"id": str(recipe.ref), "title": recipe.title} for recipe in page.items]
    return {"recipes": recipes, "served_by": page.served_by}


@app.get("/recipes/<ref>")
def fetch(ref: str) -> dict[str, Any]:
    """Fetch one, from the vendor that named it."""
    recipe = fl.recipes.fetch(ref, deadline_s=3, correlation_id=g.request_id)
    return {"title": recipe.title, "ingredients": [each.text for each in recipe.ingredients]}


@app.errorhandler(FairleadError)
def explain(error: FairleadError) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Say what the caller can do about it; the rest stands in the log, under the call's id."""
    status = 404 if isinstance(error, NotFoundError) else 400 if isinstance(error, UsageError) else 503
    headers = {"Retry-After": str(math.ceil(error.retry_after_s))} if error.retry_after_s else {}
    return {"error": error.code, "call_id": error.call_id}, status, headers
