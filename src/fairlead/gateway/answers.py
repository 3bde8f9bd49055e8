"""Answers and errors as HTTP: `fairlead-*` headers beside the content, and problems as RFC 9457 has them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from fairlead import errors
from fairlead.gateway.exchange import Exchange
from fairlead.model.answer import Answer
from fairlead.model.attempt import Attempt
from fairlead.model.call import CallReport, drilled

#: The first class that fits decides.
STATUSES: tuple[tuple[type[errors.FairleadError], int], ...] = (
    (errors.UnknownConnectionError, 404),
    (errors.UnknownRouteError, 404),
    (errors.UnknownCallError, 404),
    (errors.KeyReusedError, 422),
    (errors.SuppressedError, 422),
    (errors.UnsupportedFeatureError, 501),
    (errors.SignatureError, 403),
    (errors.WebhookError, 403),
    (errors.UsageError, 400),
    (errors.DeadlineExceededError, 504),
    (errors.HostBlockedError, 502),
    (errors.RejectedError, 503),
    (errors.AttemptTimeoutError, 504),
    (errors.TransportError, 502),
    (errors.NotFoundError, 404),
    (errors.ConflictError, 409),
    (errors.InvalidRequestError, 422),
    (errors.ThrottledError, 503),
    (errors.QuotaExhaustedError, 503),
    (errors.UnavailableError, 503),
    (errors.DeclinedError, 402),
    (errors.ProviderError, 502),
    (errors.OutcomeUnknownError, 502),
    (errors.StorageError, 503),
    (errors.FairleadError, 500),
)


def render_json(content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return something of our own as JSON."""
    return Response(msgspec.json.encode(content), status, media_type="application/json", headers=headers)


def render_answer(answer: Answer, *, headers: dict[str, str] | None = None) -> Response:
    """Return the content as JSON, and the report of the call as headers."""
    body = msgspec.json.encode(msgspec.structs.replace(answer, call=None))
    report = answer.call
    reported = {**report_headers(report), "age": str(int(report.age_s))} if report else {}
    return Response(body, media_type="application/json", headers={**reported, **(headers or {})})


def report_headers(report: CallReport) -> dict[str, str]:
    """Return how an answer came about, as headers."""
    return {
        "fairlead-call-id": report.call_id,
        "fairlead-served-by": report.served_by,
        **_tried(report.attempts),
        "fairlead-cache": report.cache,
        "fairlead-overhead-ms": f"{report.overhead_s * 1000:.2f}",
    }


def error_headers(error: errors.FairleadError) -> dict[str, str]:
    """Return how an error came about, as headers."""
    return {"fairlead-call-id": error.call_id, **_tried(error.attempts)} if error.call_id else {}


def _tried(attempts: Sequence[Attempt]) -> dict[str, str]:
    """Return how many exchanges there were, and what in them was treated as failed, or made to go wrong."""
    tried = 0
    chaos: dict[str, None] = {}
    is_drill = False
    for attempt in attempts:
        tried += attempt.was_tried
        is_drill |= attempt.error == errors.DrillError.code
        if attempt.chaos:
            chaos[attempt.chaos] = None
    found = {"fairlead-attempts": str(tried)}
    if is_drill:
        found["fairlead-drill"] = ",".join(drilled(attempts))
    if chaos:
        found["fairlead-chaos"] = ", ".join(chaos)
    return found


def status_of(kind: type[errors.FairleadError]) -> int:
    """Return the status with which an error is answered."""
    return next(status for each, status in STATUSES if issubclass(kind, each))


def render_error(error: errors.FairleadError) -> Response:
    """Return an error as a problem document. Its text holds no secret."""
    status = status_of(type(error))
    headers = error_headers(error)
    if error.retry_after_s is not None and status == 503:
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
    return render_problem(
        status,
        error.code,
        errors.default_message(type(error)),
        str(error),
        headers=headers,
        outcome=error.outcome,
        call_id=error.call_id,
        connection=error.connection,
        operation=error.operation,
        attempts=error.attempts,
        **_decline_of(error),
    )


def _decline_of(error: errors.FairleadError) -> dict[str, str | None]:
    """Return why a payment was refused, and who should act."""
    if not isinstance(error, errors.DeclinedError):
        return {}
    return {"decline": error.decline, "actor": error.actor, "vendor_code": error.vendor_code}


def render_problem(
    status: int, code: str, title: str, detail: str = "", *, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """Return a problem document (RFC 9457). `title` is the same for every problem with this code."""
    problem = {
        "type": f"urn:fairlead:error:{code}", "title": title, "status": status, "detail": detail, "code": code, **more
    }  # fmt: skip
    body = msgspec.json.encode({key: value for key, value in problem.items() if value})
    return Response(
        body, status, media_type="application/problem+json", headers={"fairlead-error": code, **(headers or {})}
    )


def send_rendered(exchange: Exchange, answer: Response) -> None:
    """Send one of our own answers."""
    body = bytes(answer.body)
    exchange.begin(answer.status_code, b"".join([b"%b: %b\r\n" % field for field in answer.raw_headers]), len(body))
    exchange.end(body)
