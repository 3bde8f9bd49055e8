"""Django in one file: a middleware names each request, and turns errors into answers.

$ gunicorn --preload --workers 2 django_app:application
$ curl "http://127.0.0.1:8000/recipes?q=pasta"
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable
from contextvars import ContextVar
from uuid import uuid4

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from fairlead import FairleadError
from fairlead.errors import NotFoundError, UsageError
from fairlead.observe.events import CallFinished, Event, EventStream
from fairlead.runtime.ports import Ports
from fairlead.sync import Fairlead

logging.basicConfig(level=logging.INFO)
request_id: ContextVar[str] = ContextVar("request_id")


def log(event: Event) -> None:
    """Log each call. It runs in the background, and sees the context of whoever called."""
    if isinstance(event, CallFinished):
        seconds, error = event.total_s, event.error or "ok"
        logging.getLogger("fairlead").info("%s %s %s %.3f s", request_id.get("-"), event.operation, error, seconds)


# One for all: made at import, before gunicorn forks, it has an event loop and sockets of its own in every worker.
fl = Fairlead.from_config(ports=Ports(events=EventStream((log,))))


class FairleadMiddleware:
    """Keep the request's id in the context, and answer where a vendor could not."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id.set(request.headers.get("X-Request-Id") or uuid4().hex)
        return self.get_response(request)

    def process_exception(self, _request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Say what the caller can do about it; the rest stands in the log."""
        if not isinstance(error, FairleadError):
            return None
        status = 404 if isinstance(error, NotFoundError) else 400 if isinstance(error, UsageError) else 503
        headers = {"Retry-After": str(math.ceil(error.retry_after_s))} if error.retry_after_s else {}
        return JsonResponse({"error": error.code, "call_id": error.call_id}, status=status, headers=headers)


def search(request: HttpRequest) -> HttpResponse:
    """Search, for as long as somebody at a screen waits."""
    page = fl.recipes.search(request.GET.get("q", "pasta"), deadline_s=3, correlation_id=request_id.get())
    return JsonResponse({"recipes": [recipe.title for recipe in page.items], "served_by": page.served_by})


urlpatterns = [path("recipes", search)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], MIDDLEWARE=[f"{__name__}.FairleadMiddleware"])
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
