"""Errors over HTTP: problem documents, with a status for every class, and never a secret or a detail of a bug."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from starlette.requests import Request
from starlette.responses import Response as Reply
from starlette.routing import Route

from fairlead import errors
from fairlead.gateway.answers import render_error
from fairlead.model.attempt import Attempt
from fairlead.model.outcome import Outcome
from fairlead.testing.faults import Faults
from gateway.served import CONFIG, KEY, VENDOR_KEYS, problem, served
from raw_server import reply, serve
from stages import http

pytestmark = pytest.mark.uvloop  # as `fairlead serve` runs

STATUSES = {
    errors.FairleadError: 500,
    errors.ConfigError: 500,
    errors.ConfigFileError: 500,
    errors.UnknownSettingError: 500,
    errors.InvalidSettingError: 500,
    errors.MissingCredentialError: 500,
    errors.UnresolvedReferenceError: 500,
    errors.UsageError: 400,
    errors.InvalidArgumentError: 400,
    errors.UnknownProviderError: 400,
    errors.UnknownConnectionError: 404,
    errors.UnknownRouteError: 404,
    errors.UnknownCallError: 404,
    errors.KeyReusedError: 422,
    errors.SuppressedError: 422,
    errors.CallCancelledError: 503,
    errors.SignatureError: 403,
    errors.WebhookError: 403,
    errors.UnsupportedFeatureError: 501,
    errors.RejectedError: 503,
    errors.CircuitOpenError: 503,
    errors.PausedError: 503,
    errors.RateLimitedError: 503,
    errors.BulkheadFullError: 503,
    errors.DeadlineExceededError: 504,
    errors.HostBlockedError: 502,
    errors.UnhealthyError: 503,
    errors.DrillError: 503,
    errors.StateLostError: 503,
    errors.TransportError: 502,
    errors.ConnectError: 502,
    errors.ConnectionLostError: 502,
    errors.AttemptTimeoutError: 504,
    errors.AnswerTooLargeError: 502,
    errors.ChecksumError: 502,
    errors.ProviderError: 502,
    errors.AuthenticationError: 502,
    errors.ForbiddenError: 502,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.InvalidRequestError: 422,
    errors.DeclinedError: 402,
    errors.ThrottledError: 503,
    errors.QuotaExhaustedError: 503,
    errors.UnavailableError: 503,
    errors.UnexpectedAnswerError: 502,
    errors.FileError: 500,
    errors.WebhookError: 403,
    errors.OutcomeUnknownError: 502,
    errors.StorageError: 503,
}


def family(kind: type[errors.FairleadError]) -> Iterator[type[errors.FairleadError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from family(each)


def test_every_error_has_a_status() -> None:
    assert {kind: render_error(kind()).status_code for kind in family(errors.FairleadError)} == STATUSES


def test_a_problem_says_what_happened_to_whom_and_what_was_tried() -> None:
    error = errors.UnavailableError("It is down.", hint="Wait.", outcome=Outcome.NOT_DONE, retry_after_s=1.2)
    tried = Attempt(connection="a", outcome=Outcome.NOT_DONE, status=503, error="unavailable")
    refused = Attempt(connection="a", outcome=Outcome.NOT_DONE, was_tried=False, error="circuit_open")
    error.locate(connection="a", operation="recipes.search", call_id="c1", attempts=(tried, refused))
    answer = render_error(error)
    assert json.loads(bytes(answer.body)) == {
        "type": "urn:fairlead:error:unavailable",
        "title": "The vendor cannot serve now.",
        "status": 503,
        "detail": "a: recipes.search: It is down. Wait.",
        "code": "unavailable",
        "outcome": "not_done",
        "call_id": "c1",
        "connection": "a",
        "operation": "recipes.search",
        "attempts": [
            {
                "connection": "a", "outcome": "not_done", "seconds": 0.0, "was_tried": True, "status": 503,
                "error": "unavailable",
            },
            {
                "connection": "a", "outcome": "not_done", "seconds": 0.0, "was_tried": False, "status": None,
                "error": "circuit_open",
            },
        ],
    }  # fmt: skip
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["fairlead-call-id"] == "c1"
    assert answer.headers["fairlead-attempts"] == "1"


@pytest.mark.parametrize("kind", [errors.NotFoundError, errors.AuthenticationError, errors.DeadlineExceededError])
def test_only_an_error_that_passes_says_when_to_come_back(kind: type[errors.FairleadError]) -> None:
    assert "retry-after" not in render_error(kind(retry_after_s=3.0)).headers


async def test_when_every_quota_is_used_up_the_answer_says_when_the_first_is_back() -> None:
    async with served() as all_:
        all_.first.faults = all_.second.faults = Faults(is_quota_exhausted=True)
        answer = await all_.client.search("pasta")
        again = await all_.client.search("soup")
    document = problem(answer, 503, "unavailable")
    assert [attempt["connection"] for attempt in document["attempts"]] == ["spoonacular", "edamam"]
    assert "spoonacular:" in document["detail"]
    assert "edamam:" in document["detail"]
    assert 0 < int(answer.headers["retry-after"]) <= 90
    assert int(again.headers["retry-after"]) <= 90
    assert again.headers["fairlead-call-id"] != answer.headers["fairlead-call-id"]


NOWHERE = (
    ("/v1/recipes/nobody/1", 404, "unknown_connection"),
    ("/v1/recipes/spoonacular/999999999", 404, "not_found"),
    ("/v1/recipes/spoonacular/999999999/nutrition", 404, "not_found"),
    ("/v1/recipes/edamam/none", 404, "not_found"),
    ("/v1/recipes/spoonacular/none", 422, "invalid_request"),
    ("/v1/recipes/spoonacular/..%2F..%2Fadmin", 404, "unknown_path"),
    ("/v1/recipes", 404, "unknown_path"),
    ("/v1/recipes/search/", 404, "unknown_path"),
    ("/v2/anything", 404, "unknown_path"),
    ("/", 404, "unknown_path"),
)


async def test_a_path_that_leads_nowhere_is_a_problem() -> None:
    async with served() as all_:
        for path, status, code in NOWHERE:
            problem(await all_.client.ask(path), status, code)


async def test_a_method_that_is_not_there_is_a_problem() -> None:
    async with served() as all_:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = await all_.client.search(method=method)
            problem(answer, 405, "unknown_method")
            assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
        assert not all_.first.books.requests


async def test_a_route_that_nobody_serves_is_a_problem() -> None:
    plain = '[connections.api]\nbase_url = "{first}"\nallow_private = true\n'
    async with served(config=plain) as all_:
        problem(await all_.client.search(), 404, "unknown_route")
        assert (await all_.client.ask("/readyz")).status == 200


async def test_a_bug_of_ours_is_answered_without_its_details(capfd: pytest.CaptureFixture[str]) -> None:
    async def fail(_: Request) -> Reply:
        raise ZeroDivisionError(f"with {KEY}")

    async with served() as all_:
        all_.app.router.routes.append(Route("/bug", fail))
        answer = await all_.client.ask("/bug")
        assert (await all_.client.search()).status == 200
    document = problem(answer, 500, "internal")
    assert document.keys() == {"type", "title", "status", "code"}
    assert "ZeroDivisionError" in capfd.readouterr().err


@pytest.mark.parametrize(
    "faults",
    [
        Faults(),
        Faults(error_share=1.0),
        Faults(error_share=1.0, error_status=403),
        Faults(reset_share=1.0),
        Faults(malformed_share=1.0),
        Faults(wrong_type_share=1.0),
        Faults(is_throttled=True),
        Faults(is_quota_exhausted=True),
    ],
)
async def test_no_answer_ever_holds_a_secret(faults: Faults) -> None:
    async with served() as all_:
        all_.first.faults = all_.second.faults = faults
        answers = [await all_.client.search(text) for text in ("pasta", "soup")]
        paths = ("/v1/recipes/edamam/0", "/v1/recipes/spoonacular/0", "/readyz", "/metrics")
        answers += [await all_.client.ask(path) for path in paths]
    for answer in answers:
        shown = answer.text + str(answer.headers.pairs)
        assert "canary" not in shown


async def test_a_vendor_that_quotes_the_key_is_masked() -> None:
    key = VENDOR_KEYS["SPOONACULAR_API_KEY"]
    body = json.dumps({"message": f"The key {key} is blocked.\r\nSet-Cookie: a=b"}).encode()
    lone = CONFIG.replace('["spoonacular", "edamam"]', '["spoonacular"]')
    async with serve(reply(http(401, body))) as raw, served(config=lone, first_url=raw.url()) as all_:
        document = problem(await all_.client.search(), 502, "authentication")
    assert "The key *** is blocked." in document["detail"]
    assert "\n" not in document["detail"]
