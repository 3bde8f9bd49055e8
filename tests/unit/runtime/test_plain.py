"""An API that is declared by settings alone: what they do, and that every mistake is told with its file and key."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import Any

import msgspec
import pytest

from fairlead import errors
from fairlead.auth.sigv4 import verify_v4
from fairlead.model.message import Response
from fairlead.model.outcome import Outcome
from fairlead.model.secret import Secret
from scripted import CANARY, ENVIRONMENT, RESET, Line, World, answer, build_world, plain

EVIDENCE = 'evidence = "docs.shop.test/errors, 2026-11-23"'
TWICE = f'{{ status = 409, error = "conflict", {EVIDENCE} }}'


def build(settings: str, line: Line | list[Line]) -> World:
    return build_world(plain(settings=settings), {"shop": line})


SIGV4 = 'auth = { scheme = "sigv4", service = "ses", region = "eu-west-1" }'
BROKEN = [
    # Pagination.
    ('pagination = "page"', "pagination: Expected a table of settings."),
    ("pagination = {}", "pagination lacks 'style'."),
    ('pagination = { style = "pages" }', "pagination.style: Expected one of 'offset', 'page', 'cursor'"),
    ('pagination = { style = "page", max_page = 1 }', "pagination.max_page is not a setting. Did you mean 'max_pages'"),
    ('pagination = { style = "page", max_pages = 0 }', "pagination.max_pages: Expected `int` >= 1."),
    ('pagination = { style = "page", first = -1 }', "pagination.first: Expected `int` >= 0."),
    ('pagination = { style = "page", size = 0, size_param = "n" }', "pagination.size: Expected `int` >= 1."),
    ('pagination = { style = "page", size = 10 }', "pagination lacks 'size_param'. size and size_param go together."),
    ('pagination = { style = "page", size_param = "n" }', "pagination lacks 'size'."),
    ('pagination = { style = "page", size = 1, size_param = "page" }', "pagination.size_param is the same as param."),
    ('pagination = { style = "page", size = 1, size_param = "" }', "pagination.size_param is empty."),
    ('pagination = { style = "page", param = "" }', "pagination.param is empty."),
    ('pagination = { style = "page", total_at = "total" }',
     "pagination.total_at is not for the style 'page'. It has: first, has_more_at, pages_at, param."),
    ('pagination = { style = "offset", pages_at = "pages" }', "pagination.pages_at is not for the style 'offset'."),
    ('pagination = { style = "link", param = "p" }',
     "pagination.param is not for the style 'link'. It has: no keys of its own."),
    ('pagination = { style = "link", cursor_at = "a" }', "pagination.cursor_at is not for the style 'link'."),
    ('pagination = { style = "next_url", has_more_at = "a" }', "pagination.has_more_at is not for the style"),
    ('pagination = { style = "cursor" }', "pagination must say in one way where the cursor is."),
    ('pagination = { style = "token" }', "pagination must say in one way where the cursor is."),
    ('pagination = { style = "cursor", cursor_at = "a", cursor_header = "b" }', "pagination must say in one way"),
    ('pagination = { style = "cursor", cursor_header = "b c" }', "pagination.cursor_header: 'b c' is not a header"),
    ('pagination = { style = "cursor", cursor_at = "" }', "pagination.cursor_at is not a place in a body."),
    ('pagination = { style = "cursor", cursor_of_last = "a..b" }', "pagination.cursor_of_last is not a place"),
    ('pagination = { style = "page", items_at = ".items" }', "pagination.items_at is not a place in a body."),
    ('pagination = { style = "page", has_more_at = "a." }', "pagination.has_more_at is not a place in a body."),
    ('pagination = { style = "offset", total_at = "." }', "pagination.total_at is not a place in a body."),
    ('pagination = { style = "next_url", next_url_at = "" }', "pagination.next_url_at is not a place in a body."),
    # The version, idempotency, errors.
    ('api_version = "2024-01"', "api_version: Expected a table of settings."),
    ('api_version = { header = "x-version" }', "api_version lacks 'value'."),
    ('api_version = { header = "x version", value = "1" }', "api_version.header: 'x version' is not a header name."),
    ('api_version = { header = "x-version", value = "1\\r\\nx: y" }', "api_version.value: The header 'x-version'"),
    ('idempotency_header = "no header"', "idempotency_header: 'no header' is not a header name."),
    ('error_code_at = ""', "error_code_at is not a place in a body."),
    ('error_message_at = "a..b"', "error_message_at is not a place in a body."),
    ('ok_codes = ["OK"]', "ok_codes means nothing without error_code_at."),
    ('errors = [{ status = 409, error = "conflict" }]', "errors[0] lacks 'evidence'."),
    ("errors = { status = 409 }", "errors: Expected `array`, got `object`."),
    ("errors = [1]", "errors[0]: Expected a table of settings."),
    (f'errors = [{{ status = 99, error = "conflict", {EVIDENCE} }}]', "errors[0].status: Expected `int` >= 200."),
    (f'errors = [{{ status = 409, error = "conflict", {EVIDENCE}, cod = "x" }}]',
     "errors[0].cod is not a setting. Did you mean 'code'?"),
    (f'errors = [{{ status = 409, error = "conflicts", {EVIDENCE} }}]',
     "errors[0].error is not the code of an error that a vendor can answer with. Did you mean 'conflict'?"),
    (f'errors = [{{ status = 409, error = "connect", {EVIDENCE} }}]', "errors[0].error is not the code of an error"),
    ('errors = [{ status = 409, error = "conflict", evidence = " " }]', "errors[0].evidence is empty."),
    (f'errors = [{{ status = 409, error = "conflict", {EVIDENCE}, outcome = "maybe" }}]',
     "errors[0].outcome: Expected one of 'done', 'not_done', 'unknown'."),
    (f'errors = [{{ status = 409, code = "x", error = "conflict", {EVIDENCE} }}]', "errors[0] needs the code of the"),
    (f'errors = [{{ status = 200, error = "conflict", {EVIDENCE} }}]', "errors[0] needs the code of the error."),
    (f"errors = [{TWICE}, {TWICE}]",
     "errors[1] never fits."),
    # Signing.
    ('auth = { scheme = "hmac" }', "auth does not say where the signature goes."),
    ('auth = { scheme = "hmac", header = "x y" }', "auth.header: 'x y' is not a header name."),
    ('auth = { scheme = "hmac", header = "x", timestamp_header = "" }', "auth.timestamp_header: '' is not a header"),
    ('auth = { scheme = "hmac", header = "x", id_header = "x y" }', "auth.id_header: 'x y' is not a header name."),
    ('auth = { scheme = "hmac", header = "x", message = "{time}" }',
     "auth.message has {time}, which is nothing that can be signed. There are: body, method, path, query, timestamp."),
    ('auth = { scheme = "hmac", header = "x", encoding = "base32" }', "auth.encoding: Expected one of 'hex'"),
    ('auth = { scheme = "hmac", header = "x", prefix = "a\\nb" }', "auth.prefix: The header 'x' has a line break"),
    ('auth = { scheme = "hmac", header = "x", query = "q" }', "auth.query is not for the scheme 'hmac'."),
    ('auth = { scheme = "hmac", header = "x" }', "credentials.secret is missing."),
    ('auth = { scheme = "hmac", header = "x", id_header = "y" }\ncredentials = { secret = "env:KEY" }',
     "credentials.id is missing."),
    ('auth = { scheme = "key", header = "x", query = "q" }', "auth has both header and query."),
    ('auth = { scheme = "bearer", header = "x" }',
     "auth.header is not for the scheme 'bearer'. It has: no keys of its own."),
    ('auth = { scheme = "key", header = "x", prefix = "y" }', "auth.prefix is not for the scheme 'key'."),
    ('auth = { scheme = "bearer", region = "eu-west-1" }', "auth.region is not for the scheme 'bearer'."),
    ('auth = { scheme = "sigv4" }', "auth does not say the service."),
    ('auth = { scheme = "sigv4", service = "s3" }', "auth does not say the region."),
    ('auth = { scheme = "sigv4", service = "s3", region = "" }', "auth does not say the region."),
    ('auth = { scheme = "sigv4", service = "S3", region = "eu-west-1" }', "auth.service is not one of AWS's names."),
    ('auth = { scheme = "sigv4", service = "s3", region = "eu/west" }', "auth.region is not one of AWS's names."),
    ('auth = { scheme = "sigv4", service = "s3", region = "eu-west-1", header = "x" }',
     "auth.header is not for the scheme 'sigv4'. It has: region, service."),
    (SIGV4, "credentials.access_key_id is missing."),
    (f'{SIGV4}\ncredentials = {{ access_key_id = "env:ID" }}', "credentials.secret_access_key is missing."),
    (f'{SIGV4}\ncredentials = {{ access_key_id = "env:ID", secret_access_key = "{CANARY}" }}',
     "credentials.secret_access_key holds a secret in plain text."),
    (f"{SIGV4}\nfollow_redirects = 1", "follow_redirects does not go with the scheme 'sigv4'."),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "said"), BROKEN, ids=[f"{at}" for at in range(len(BROKEN))])
def test_a_mistake_is_told_with_its_file_and_key(settings: str, said: str) -> None:
    text = f'[connections.shop]\nbase_url = "https://shop.test"\n{settings}'
    with pytest.raises(errors.ConfigError) as caught:
        build_world(text, {"shop": []})
    assert str(caught.value).startswith(f"test.toml: connections.shop.{said}")
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [
        'auth = { scheme = "bearer" }',
        'api_version = { header = "x", value = "1" }',
        'idempotency_header = "x"',
        'error_code_at = "code"',
        'error_message_at = "message"',
        'ok_codes = ["0"]',
        f'errors = [{{ status = 409, error = "conflict", {EVIDENCE} }}]',
    ],
)
def test_what_a_provider_says_is_not_said_again(setting: str) -> None:
    text = f'[connections.food]\nprovider = "spoonacular"\ncredentials = {{ api_key = "env:KEY" }}\n{setting}'
    with pytest.raises(
        errors.InvalidSettingError, match=f"connections.food.{setting.partition(' ')[0]} is for connections"
    ):
        build_world(text, {"food": []})


def test_the_lists_of_a_provider_may_be_paged_by_settings() -> None:
    text = '[connections.food]\nprovider = "spoonacular"\ncredentials = { api_key = "env:KEY" }\n'
    text += 'base_url = "https://food.test"\npagination = { style = "link" }'
    world = build_world(text, {"food": []})
    assert world.connection("food").provider.pagination is not None


# --- What they do ---------------------------------------------------------------------------------------------------


async def test_the_version_is_pinned_unless_a_request_has_its_own() -> None:
    world = build('api_version = { header = "X-Version", value = "2024-01" }', answer())
    await world.fl.http("shop").get("/x")
    await world.fl.http("shop").get("/x", headers={"x-version": "2025-01"})
    sent = [{name.lower(): value for name, value in each.headers} for each in world.sent("shop")]
    assert [each["x-version"] for each in sent] == ["2024-01", "2025-01"]
    assert [name.lower() for name, _ in world.sent("shop")[1].headers].count("x-version") == 1


async def test_the_idempotency_header_is_the_vendors() -> None:
    world = build('idempotency_header = "X-Request-Id"', [RESET, answer()])
    await world.fl.http("shop").post("/x", json={}, idempotency_key="k")
    assert [dict(each.headers)["X-Request-Id"] for each in world.sent("shop")] == ["k", "k"]
    none = build('idempotency_header = ""', [])
    with pytest.raises(errors.UnsupportedFeatureError):
        await none.fl.http("shop").post("/x", idempotency_key="k")


async def test_every_try_is_signed_with_its_time() -> None:
    text = """
[connections.shop]
base_url = "https://shop.test/v1"
auth = { scheme = "hmac", header = "x-signature", id_header = "x-id" }
credentials = { secret = "env:KEY", id = "env:ID" }
"""
    world = build_world(text, {"shop": [RESET, answer()]})
    await world.fl.http("shop").get("/x")
    stamps = []
    for request in world.sent("shop"):
        headers = dict(request.headers)
        message = f"GET\n/v1/x\n{headers['x-timestamp']}\n".encode()
        assert headers["x-signature"] == hmac.new(CANARY.encode(), message, hashlib.sha256).hexdigest()
        assert headers["x-id"] == ENVIRONMENT["ID"]
        stamps.append(int(headers["x-timestamp"]))
    assert stamps[0] == 1_767_268_800
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("token", ["", ', session_token = "env:TOKEN"'])
async def test_every_try_is_signed_for_aws_with_its_time(token: str) -> None:
    text = f"""
[connections.shop]
base_url = "https://shop.test:443/v1/"
{SIGV4}
credentials = {{ access_key_id = "env:ID", secret_access_key = "env:KEY"{token} }}
"""
    world = build_world(text, {"shop": [RESET, answer()]}, environment={**ENVIRONMENT, "TOKEN": "a-token"})
    await world.fl.http("shop").get("/x", query={"q": "a b"})
    stamps = []
    for request in world.sent("shop"):
        stamps.append(dict(request.headers)["x-amz-date"])
        headers = [(name.encode(), value.encode()) for name, value in (("host", "shop.test"), *request.headers)]
        now = datetime.fromisoformat(stamps[-1]).timestamp()
        verified = verify_v4("GET", b"/v1/x", b"q=a%20b", headers, secrets=[Secret(CANARY)], now=now, body=b"")
        assert (verified.access_key_id, verified.service) == (ENVIRONMENT["ID"], "ses")
        assert dict(request.headers).get("x-amz-security-token") == ("a-token" if token else None)
    assert stamps[0] == "20260101T120000Z"
    assert stamps == sorted(stamps)


RULES = f"""
error_code_at = "error.code"
error_message_at = "error.text"
errors = [
    {{ status = 409, code = "busy", error = "unavailable", is_transient = true, {EVIDENCE} }},
    {{ status = 409, error = "not_found", {EVIDENCE} }},
    {{ status = 500, code = "twice", error = "conflict", outcome = "not_done", {EVIDENCE} }},
    {{ status = 200, code = "gone", error = "not_found", {EVIDENCE} }},
    {{ status = 200, code = "down", error = "unavailable", is_transient = true, {EVIDENCE} }},
]
"""


def refusal(status: int, code: Any, text: str = "no") -> Response:
    return answer(status, {"error": {"code": code, "text": text}})


@pytest.mark.parametrize(
    ("line", "kind", "outcome", "sent"),
    [
        (refusal(409, "busy"), errors.UnavailableError, Outcome.NOT_DONE, 3),
        (refusal(409, "else"), errors.NotFoundError, Outcome.NOT_DONE, 1),
        (refusal(500, "twice"), errors.ConflictError, Outcome.NOT_DONE, 1),
        (refusal(200, "gone"), errors.NotFoundError, Outcome.NOT_DONE, 1),
        (refusal(200, "down"), errors.OutcomeUnknownError, Outcome.UNKNOWN, 1),
        (refusal(200, "odd"), errors.OutcomeUnknownError, Outcome.UNKNOWN, 1),
        (refusal(200, {"why": 1}), errors.OutcomeUnknownError, Outcome.UNKNOWN, 1),
    ],
)
async def test_a_rule_says_what_a_post_came_to(line: Response, kind: type, outcome: Outcome, sent: int) -> None:
    world = build(f"{RULES}\nbreaker = {{ min_attempts = 20 }}", line)
    with pytest.raises(errors.FairleadError) as caught:
        await world.fl.http("shop").post("/x", json={})
    assert (type(caught.value), caught.value.outcome) == (kind, outcome)
    assert len(world.sent("shop")) == sent
    world.assert_at_rest()


async def test_a_good_status_with_an_error_is_an_error() -> None:
    world = build(RULES, refusal(200, "odd", f"no such {CANARY}"))
    with pytest.raises(errors.ProviderError, match=r'refused \(HTTP 200\): "no such \*\*\*"') as caught:
        await world.fl.http("shop").get("/x")
    assert caught.value.status == 200
    lost = build(RULES, [refusal(200, "down"), answer()])
    assert (await lost.fl.http("shop").get("/x")).status == 200


@pytest.mark.parametrize("code", [None, 0, False, "", [], {}, "0", "OK"])
async def test_what_means_success_is_no_error(code: Any) -> None:
    world = build('error_code_at = "error.code"\nok_codes = ["OK", "0"]', refusal(200, code))
    assert (await world.fl.http("shop").get("/x")).status == 200


@pytest.mark.parametrize("body", [b"", b"plain text", b"[]", b"7", b'{"error": null}', b'{"error": "x"}'])
async def test_an_answer_that_has_no_place_for_the_code_is_no_error(body: bytes) -> None:
    world = build('error_code_at = "error.code"', answer(200, body))
    assert (await world.fl.http("shop").get("/x")).body == body


async def test_without_its_place_nobody_looks_for_a_code() -> None:
    world = build("", answer(200, {"code": "x", "error": "y", "message": "z"}))
    assert (await world.fl.http("shop").get("/x")).status == 200


# --- Answers as models ----------------------------------------------------------------------------------------------


class Size(msgspec.Struct, rename="camel"):
    """A model with its own names and defaults."""

    width_mm: int
    depth_mm: int = 0


async def test_an_answer_is_read_as_the_model_with_its_names_and_defaults() -> None:
    world = build("", answer(200, {"widthMm": 7, "colour": "red"}))
    assert await world.fl.http("shop").get("/x", model=Size) == Size(7)
    assert await world.fl.http("shop").post("/x", json={}, model=Size) == Size(7)
    lists = build("", answer(200, [{"widthMm": 7}]))
    assert await lists.fl.http("shop").get("/x", model=list[Size]) == [Size(7)]


async def test_an_answer_of_another_shape_is_told_with_its_path() -> None:
    world = build("", answer(200, {"widthMm": CANARY}))
    with pytest.raises(errors.UnexpectedAnswerError, match=r"shop: http\.get: The answer has another shape") as caught:
        await world.fl.http("shop").get("/x", model=Size)
    assert (caught.value.path, len(world.sent("shop"))) == ("$.widthMm", 1)
    assert CANARY not in str(caught.value)
    with pytest.raises(errors.OutcomeUnknownError):
        await world.fl.http("shop").post("/x", json={}, model=Size)


async def test_a_page_of_a_proxy_in_its_place_is_asked_again() -> None:
    world = build("", [answer(200, b"<h1>"), answer(200, {"widthMm": 7})])
    assert (await world.fl.http("shop").get("/x", model=Size)).width_mm == 7
