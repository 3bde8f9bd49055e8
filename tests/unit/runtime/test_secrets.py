"""A credential is in the signed request, and nowhere else: whatever fails, and whatever the vendor says."""

import io
import traceback
from base64 import b64encode
from urllib.parse import quote, quote_plus

import msgspec
import pytest

from fairlead import errors
from fairlead.model.exchange import Broken
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Failure, Phase
from fairlead.observe.logs import Logs
from fairlead.observe.metrics import Metrics
from scripted import CANARY, World, answer, build_world, plain, recipes

HEADER = 'auth = { scheme = "key", header = "x-key" }\ncredentials = { key = "env:KEY" }'
QUERY = 'auth = { scheme = "key", query = "key" }\ncredentials = { key = "env:KEY" }'
BEARER = 'auth = { scheme = "bearer" }\ncredentials = { token = "env:KEY" }'
BASIC = 'auth = { scheme = "basic" }\ncredentials = { user = "env:ID", password = "env:KEY" }'
SIGV4 = """
auth = { scheme = "sigv4", service = "s3", region = "eu-west-1" }
credentials = { access_key_id = "env:ID", secret_access_key = "env:KEY", session_token = "env:KEY" }
"""
SCHEMES = {"header": HEADER, "query": QUERY, "bearer": BEARER, "basic": BASIC, "sigv4": SIGV4}
PAIR = b64encode(f"an-id:{CANARY}".encode()).decode()

#: Every form in which a vendor may quote a credential that it was sent.
FORMS = [
    CANARY,
    quote(CANARY),
    quote(CANARY, safe=""),
    quote_plus(CANARY),
    quote_plus(CANARY).lower(),
    f"Bearer {CANARY}",
    f"GET /things?key={quote_plus(CANARY)}",
    f"{CANARY}{CANARY}",
    f"  {CANARY}\n\n{CANARY}",
    "x" * 190 + CANARY,  # where the quote is cut
]
STATUSES = [400, 401, 402, 403, 404, 408, 409, 410, 421, 422, 425, 429, 500, 501, 503, 302]


def traces() -> set[str]:
    """Return whatever of the canary would give it away."""
    return {CANARY, CANARY[:8], quote_plus(CANARY), PAIR, PAIR[:12]}


def assert_unseen(text: str) -> None:
    for trace in traces():
        assert trace not in text


def connection(auth: str) -> str:
    return f'[connections.shop]\nbase_url = "https://shop.test"\n{auth}\nretry = {{ max_attempts = 1 }}\n'


def assert_nothing_is_seen(world: World, error: errors.FairleadError) -> None:
    everything = [error, error.__cause__, error.__context__]
    for each in [each for each in everything if each is not None]:
        assert_unseen(str(each))
        assert_unseen(repr(each))
        assert_unseen(repr(each.args))
        assert_unseen(repr(vars(each)))
    assert_unseen("".join(traceback.format_exception(error)))
    assert_unseen(repr(world.events))
    assert_unseen(msgspec.json.encode(world.events).decode())
    lines = io.StringIO()
    metrics = Metrics()
    for event in world.events:
        Logs(lines)(event)
        metrics(event)
    assert_unseen(lines.getvalue())
    assert_unseen(metrics.render().decode())
    assert_unseen(repr(vars(world.connection("shop") if "shop" in world.fl.connections else world.connection("one"))))


@pytest.mark.parametrize("auth", SCHEMES.values(), ids=SCHEMES)
async def test_the_signed_request_holds_the_credential(auth):
    world = build_world(connection(auth), {"shop": [answer()]})
    response = await world.fl.http("shop").get("/x")
    sent = world.sent("shop")[0]
    assert CANARY in repr((sent.query, sent.headers)) or PAIR in repr(sent.headers)
    for each in (sent, response, response.call):
        assert_unseen(repr(each))
    assert_unseen(repr(world.events))


@pytest.mark.parametrize("auth", SCHEMES.values(), ids=SCHEMES)
@pytest.mark.parametrize("form", FORMS)
async def test_a_vendor_that_quotes_the_credential_is_not_quoted(auth, form):
    await assert_masked(auth, form)


@pytest.mark.parametrize("form", [PAIR, f"Basic {PAIR}", quote_plus(PAIR), f"authorization: Basic {PAIR}"])
async def test_a_vendor_that_quotes_the_header_of_basic_is_not_quoted(form):
    await assert_masked(BASIC, form)


async def assert_masked(auth: str, form: str) -> None:
    world = build_world(connection(auth), {"shop": [answer(401, {"message": f"The key {form} is not known."})]})
    with pytest.raises(errors.AuthenticationError) as caught:
        await world.fl.http("shop").get("/x")
    assert "***" in str(caught.value) or form.startswith("x")
    assert_nothing_is_seen(world, caught.value)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", STATUSES)
async def test_no_status_shows_the_credential(method, status):
    said = {"message": f"{CANARY} is wrong", "code": CANARY, "error": CANARY}
    world = build_world(connection(HEADER), {"shop": [answer(status, said, x_echo=CANARY, retry_after=CANARY)]})
    with pytest.raises(errors.FairleadError) as caught:
        await world.fl.http("shop").request(method, "/x", query={"q": CANARY}, headers={"x-own": CANARY})
    assert_nothing_is_seen(world, caught.value)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("failure", list(Failure))
async def test_no_failure_shows_the_credential(method, failure):
    world = build_world(connection(QUERY), {"shop": [Broken(failure, Phase.WAITING, "https://shop.test")]})
    with pytest.raises(errors.FairleadError) as caught:
        await world.fl.http("shop").request(method, "/x", json={"q": CANARY})
    assert_nothing_is_seen(world, caught.value)


@pytest.mark.parametrize(
    "body",
    [
        f"<h1>{CANARY}</h1>".encode(),
        msgspec.json.encode({"results": CANARY}),
        msgspec.json.encode({"results": [{"id": CANARY, "title": CANARY}]}),
        msgspec.json.encode(CANARY),
        CANARY.encode(),
    ],
)
async def test_an_answer_that_cannot_be_read_is_not_quoted(body):
    strange = Response(status=200, headers=Headers([("content-type", "text/html")]), body=body)
    world = build_world(recipes("one", "retry = { max_attempts = 1 }"), {"one": [strange]})
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        await world.fl.recipes.search("soup")
    assert_nothing_is_seen(world, caught.value)


async def test_a_provider_that_stumbles_over_a_secret_does_not_tell_it():
    def begin(_connection):
        response = yield Request.get("/x")
        raise ValueError(response.text[:0])

    world = build_world(connection(HEADER), {"shop": [answer(content={"key": CANARY})]})
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        await world.drive(begin)
    assert_nothing_is_seen(world, caught.value)


async def test_a_refusal_in_the_body_that_quotes_the_credential_is_masked():
    def begin(_connection):
        response = yield Request.get("/x")
        raise errors.AuthenticationError(f"The vendor says: {response.json()['error']}")

    world = build_world(connection(HEADER), {"shop": [answer(content={"error": f"{CANARY} is not known"})]})
    with pytest.raises(errors.AuthenticationError) as caught:
        await world.drive(begin)
    assert str(caught.value) == "shop: test.drive: The vendor says: *** is not known"
    assert_nothing_is_seen(world, caught.value)


async def test_when_all_fail_the_summary_shows_no_credential():
    said = {"message": f"{CANARY} is wrong"}
    world = build_world(plain("one") + plain("two"), {"one": answer(401, said), "two": answer(403, said)})

    def begin(_connection):
        return (yield Request.get("/x"))

    with pytest.raises(errors.UnavailableError) as caught:
        await world.drive(begin)
    assert str(caught.value).count("***") == 2
    assert_nothing_is_seen(world, caught.value)


async def test_a_credential_that_begins_like_another_is_masked_whole():
    world = build_world(
        connection(BASIC),
        {"shop": [answer(401, {"message": "abc-secret-tail of abc is wrong"})]},
        environment={"ID": "abc", "KEY": "abc-secret-tail"},
    )
    with pytest.raises(errors.AuthenticationError) as caught:
        await world.fl.http("shop").get("/x")
    assert "secret-tail" not in str(caught.value)


async def test_secret_key_and_session_token_are_masked_and_only_the_token_is_sent():
    said = {"message": "no a-secret-key, no a-token, no an-id"}
    world = build_world(
        connection(SIGV4.replace('session_token = "env:KEY"', 'session_token = "env:TOKEN"')),
        {"shop": [answer(403, said)]},
        environment={"ID": "an-id", "KEY": "a-secret-key", "TOKEN": "a-token"},
    )
    with pytest.raises(errors.ForbiddenError, match=r'"no \*\*\*, no \*\*\*, no \*\*\*"'):
        await world.fl.http("shop").get("/x")
    sent = repr((world.sent("shop")[0].query, world.sent("shop")[0].headers))
    assert "a-token" in sent
    assert "a-secret-key" not in sent


async def test_what_a_vendor_says_is_kept_short_and_on_one_line():
    world = build_world(plain(), {"shop": [answer(422, {"message": "too\nlong\t" + "o" * 5000})]})
    with pytest.raises(errors.InvalidRequestError) as caught:
        await world.fl.http("shop").get("/x")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
