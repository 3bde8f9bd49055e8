"""Plain GETs by way of the cache, as RFC 9111 says, section by section. The rules alone are tested in `unit/spec`."""

from email.utils import formatdate

import pytest

from fairlead import errors
from fairlead.model.call import CacheUse
from fairlead.model.outcome import Effect
from fairlead.observe.events import CallFinished
from fairlead.testing.clock import NOON
from scripted import RESET, TIMEOUT, Gate, Line, World, answer, build_world, gather_errors, plain, report, turns

QUICK = "retry = { max_attempts = 1 }\nbreaker = { min_attempts = 100 }"


def shop(settings: str = "", more: str = QUICK) -> str:
    return plain(settings=f"{more}\ncache = {{ {settings} }}")


def world_of(*lines: Line, settings: str = "") -> World:
    return build_world(shop(settings), {"shop": list(lines)})


def sent(world: World) -> list[dict[str, str]]:
    return [dict(each.headers) for each in world.sent("shop")]


def at(seconds: float) -> str:
    return formatdate(NOON + seconds, usegmt=True)


LATER = answer(content="later")
SAME = answer(304, b"")


def said(control: str, **headers: str) -> dict[str, str]:
    return {"cache_control": control, **headers}


def asks(control: str) -> dict[str, str]:
    return {"cache-control": control}


# section, what it is, fields of the stored answer, seconds until the second request, its fields, what answers it,
# and what the cache did
CASES = [
    ("4.2", "fresh", said("max-age=60"), 59, {}, None, "hit"),
    ("4.2", "no longer fresh", said("max-age=60"), 60, {}, LATER, "miss"),
    ("4.2.1", "Expires", {"expires": at(60), "date": at(0)}, 59, {}, None, "hit"),
    ("4.2.1", "Expires is over", {"expires": at(60), "date": at(0)}, 60, {}, LATER, "miss"),
    ("4.2.1", "for shared caches", said("s-maxage=60"), 1, {}, LATER, "miss"),
    ("4.2.2", "no guessing", {"last_modified": at(-1e6)}, 1, {}, SAME, "revalidated"),
    ("4.2.3", "Age", said("max-age=60", age="50"), 10, {}, LATER, "miss"),
    ("4.2.3", "Date", said("max-age=60", date=at(-50)), 10, {}, LATER, "miss"),
    ("4.3", "validated by ETag", said("max-age=9", etag='"1"'), 9, {}, SAME, "revalidated"),
    ("4.3.3", "replaced", said("max-age=9", etag='"1"'), 9, {}, LATER, "miss"),
    ("5.2.2.4", "no-cache", said("no-cache, max-age=60", etag='"1"'), 1, {}, SAME, "revalidated"),
    ("5.2.2.5", "no-store", said("no-store, max-age=60"), 1, {}, LATER, "miss"),
    ("5.2.2.7", "private", said("private, max-age=60"), 1, {}, None, "hit"),
    ("5.2.1.4", "request no-cache", said("max-age=60"), 1, asks("no-cache"), LATER, "miss"),
    ("5.2.1.1", "request max-age", said("max-age=60"), 9, asks("max-age=9"), LATER, "miss"),
    ("5.2.1.3", "request min-fresh", said("max-age=60"), 9, asks("min-fresh=52"), LATER, "miss"),
    ("5.2.1.5", "request no-store", said("max-age=60"), 1, asks("no-store"), LATER, "off"),
    ("5.2.1.7", "only-if-cached", said("max-age=60"), 9, asks("only-if-cached"), None, "hit"),
    ("RFC 8246", "immutable", said("max-age=60, immutable"), 9, asks("max-age=0"), None, "hit"),
    ("RFC 5861 3", "in the background", said("max-age=9, stale-while-revalidate=9"), 17, {}, LATER, "refreshing"),
    ("RFC 5861 3", "over", said("max-age=9, stale-while-revalidate=9"), 18, {}, LATER, "miss"),
    ("RFC 5861 4", "in need", said("max-age=9, stale-if-error=9"), 17, {}, RESET, "stale"),
    ("5.2.2.2", "must-revalidate", said("max-age=9, must-revalidate, stale-while-revalidate=9"), 10, {}, LATER, "miss"),
    ("4.1", "Vary fits", said("max-age=60", vary="Accept"), 1, {"accept": "a"}, None, "hit"),
    ("4.1", "Vary does not fit", said("max-age=60", vary="Accept"), 1, {"accept": "b"}, LATER, "miss"),
    ("4.1", "Vary on everything", said("max-age=60", vary="*"), 1, {}, LATER, "miss"),
    ("3.3", "a part", said("max-age=60"), 1, {"range": "bytes=0-1"}, LATER, "off"),
    ("4.3.2", "the caller's own condition", said("max-age=60"), 1, {"if-none-match": '"x"'}, LATER, "off"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("stored", "age_s", "asked", "line", "use"), [case[2:] for case in CASES], ids=[f"{a}: {b}" for a, b, *_ in CASES]
)
async def test_section(stored, age_s, asked, line, use):
    world = world_of(answer(content="first", **stored), *([line] if line else []))
    first = await world.fl.http("shop").get("/x", headers={"accept": "a"})
    assert report(first).cache is CacheUse.MISS
    world.clock.advance(age_s)
    again = await world.fl.http("shop").get("/x", headers={"accept": "a", **asked})
    await turns()
    is_new = use in {"miss", "off"}
    assert (report(again).cache, again.json()) == (use, "later" if is_new else "first")
    assert len(world.sent("shop")) == 2 - (line is None)


async def test_it_is_off_unless_it_is_declared():
    world = build_world(plain(), {"shop": answer(content=1, cache_control="max-age=60")})
    for _ in range(2):
        assert report(await world.fl.http("shop").get("/x")).cache is CacheUse.OFF
    assert len(world.sent("shop")) == 2


async def test_section_5_1_a_kept_answer_tells_its_age():
    world = world_of(answer(content=1, cache_control="max-age=60", age="5"))
    first = await world.fl.http("shop").get("/x")
    world.clock.advance(10.7)
    again = await world.fl.http("shop").get("/x")
    assert (first.headers["age"], again.headers["age"]) == ("5", "15")
    assert report(again).age_s == pytest.approx(15.7)
    assert (again.status, again.body, again.headers["content-type"]) == (200, b"1", "application/json")


async def test_section_4_3_1_the_request_asks_by_both_validators_and_is_seen_like_any_other():
    stored = answer(content=1, etag='"1"', last_modified=at(-100))
    world = world_of(stored, answer(304, b"", cache_control="max-age=60", x_new="1"))
    await world.fl.http("shop").get("/x", headers={"accept": "a"})
    again = await world.fl.http("shop").get("/x", headers={"accept": "a"})
    third = await world.fl.http("shop").get("/x", headers={"accept": "a"})
    asked = sent(world)[1]
    assert (asked["if-none-match"], asked["if-modified-since"], asked["accept"]) == ('"1"', at(-100), "a")
    assert "x-key" in asked  # it is signed
    assert (report(again).attempts[0].status, report(third).cache) == (304, CacheUse.HIT)
    assert (again.status, again.json(), again.headers["x-new"], third.headers["x-new"]) == (200, 1, "1", "1")
    assert [each.cache for each in world.told(CallFinished)] == ["miss", "revalidated", "hit"]


async def test_section_4_3_3_a_vendor_that_fails_when_asked_is_retried_and_then_bridged():
    world = build_world(
        shop("stale_if_error_s = 100", "retry = { max_attempts = 2 }"),
        {"shop": [answer(content=1, cache_control="max-age=9", etag='"1"'), answer(500), TIMEOUT, answer(503), SAME]},
    )
    await world.fl.http("shop").get("/x")
    world.clock.advance(20)
    assert report(await world.fl.http("shop").get("/x")).cache is CacheUse.STALE
    assert [each.get("if-none-match") for each in sent(world)] == [None, '"1"', '"1"']
    assert report(await world.fl.http("shop").get("/x")).cache is CacheUse.REVALIDATED


async def test_section_4_3_4_a_304_about_another_answer_is_no_answer():
    world = world_of(answer(content=1, etag='"1"'), answer(304, b"", etag='"2"'), LATER)
    await world.fl.http("shop").get("/x")
    again = await world.fl.http("shop").get("/x")
    assert (again.json(), report(again).cache) == ("later", CacheUse.MISS)
    assert "if-none-match" not in sent(world)[2]


async def test_section_3_what_may_not_be_stored_ends_what_was():
    one, two = answer(content=1, cache_control="max-age=9"), answer(content=2, cache_control="no-store")
    world = world_of(one, two, RESET, settings="stale_if_error_s = 1000")
    await world.fl.http("shop").get("/x")
    world.clock.advance(10)
    await world.fl.http("shop").get("/x")
    with pytest.raises(errors.ConnectionLostError):
        await world.fl.http("shop").get("/x")


async def test_section_4_1_several_variants_are_kept_side_by_side():
    one, other = (answer(content=n, cache_control="max-age=60", vary="accept-language") for n in ("de", "fr"))
    world = world_of(one, other)
    said = [
        (await world.fl.http("shop").get("/x", headers={"Accept-Language": language})).json()
        for language in ("de", "fr", "de", "fr")
    ]
    assert said == ["de", "fr", "de", "fr"]
    assert len(world.sent("shop")) == 2


@pytest.mark.parametrize("field", ["authorization", "Cookie"])
async def test_an_answer_to_one_person_is_not_anothers(field):
    world = world_of(*(answer(content=n, cache_control="max-age=60") for n in ("a", "b")))
    said = [(await world.fl.http("shop").get("/me", headers={field: who})).json() for who in ("a", "b", "a")]
    assert said == ["a", "b", "a"]


async def test_tenants_paths_and_queries_are_apart():
    world = build_world(shop(), {"shop": answer(content=1, cache_control="max-age=60")})
    http = world.fl.http("shop")
    for call in (
        http.get("/x"), http.get("/y"), http.get("/x", query={"a": 1}), http.get("/x", query={"a": 2}),
        http.get("/x", tenant="t"),
    ):  # fmt: skip
        assert report(await call).cache is CacheUse.MISS
    assert report(await http.get("/x", query={"a": 2})).cache is CacheUse.HIT


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST"])
async def test_section_2_other_methods_are_not_kept(method):
    world = build_world(shop(), {"shop": answer(content=1, cache_control="max-age=60")})
    for _ in range(2):
        assert report(await world.fl.http("shop").request(method, "/x")).cache is CacheUse.OFF


@pytest.mark.parametrize(
    ("method", "path", "answered", "is_forgotten"),
    [
        ("POST", "/x", answer(201), True),
        ("PUT", "/x", answer(204, b""), True),
        ("DELETE", "/x", answer(200), True),
        ("PATCH", "/x", TIMEOUT, True),  # nobody knows what became of it
        ("POST", "/x", answer(422), False),
        ("POST", "/y", answer(201), False),
        ("POST", "/y", answer(201, location="/v1/x"), True),
        ("POST", "/y", answer(201, location="https://shop.test/v1/x?a=1"), True),
        ("POST", "/y", answer(201, content_location="x"), True),
        ("POST", "/y", answer(201, location="https://elsewhere.test/v1/x"), False),
        ("POST", "/y", answer(201, location="http://["), False),
        ("POST", "/y", answer(201, location="/v2/x"), False),
        ("HEAD", "/x", answer(200, b""), False),
    ],
)
async def test_section_4_4_an_unsafe_request_forgets_what_it_was_about(method, path, answered, is_forgotten):
    text = shop().replace("https://shop.test", "https://shop.test/v1")
    kept = answer(content=1, cache_control="max-age=60")
    world = build_world(text, {"shop": [kept, answered, kept]})
    await world.fl.http("shop").get("/x", query={"page": 2})
    await gather_errors([world.fl.http("shop").request(method, path)])
    use = report(await world.fl.http("shop").get("/x", query={"page": 2})).cache
    assert use is (CacheUse.MISS if is_forgotten else CacheUse.HIT)


async def test_a_post_that_is_declared_a_read_forgets_nothing():
    kept = answer(content=1, cache_control="max-age=60")
    world = world_of(kept, answer())
    await world.fl.http("shop").get("/x")
    await world.fl.http("shop").post("/x", effect=Effect.READ)
    assert report(await world.fl.http("shop").get("/x")).cache is CacheUse.HIT


async def test_plain_answers_can_be_invalidated_by_path():
    world = build_world(shop(), {"shop": answer(content=1, cache_control="max-age=60")})
    for path in ("/x", "/y"):
        await world.fl.http("shop").get(path)
    assert await world.fl.invalidate("shop:/x") == 1
    assert report(await world.fl.http("shop").get("/y")).cache is CacheUse.HIT
    assert await world.fl.invalidate("shop") == 1


@pytest.mark.parametrize(
    ("status", "headers", "settings", "keeps_s"),
    [
        (404, {}, "", 0),
        (404, {}, "negative_ttl_s = 30", 30),
        (410, {}, "negative_ttl_s = 30", 30),
        (404, {"cache_control": "max-age=9"}, "negative_ttl_s = 30", 9),
        (404, {"cache_control": "max-age=9"}, "", 9),
        (404, {"cache_control": "no-store"}, "negative_ttl_s = 30", 0),
        (404, {"vary": "*"}, "negative_ttl_s = 30", 0),
        (422, {"cache_control": "max-age=9"}, "negative_ttl_s = 30", 0),
    ],
)
async def test_what_is_not_there_is_kept_as_long_as_declared(status, headers, settings, keeps_s):
    refusal = answer(status, {"message": "No."}, **headers)
    world = world_of(refusal, LATER, settings=settings)
    with pytest.raises(errors.FairleadError) as first:
        await world.fl.http("shop").get("/x")
    if keeps_s:
        world.clock.advance(keeps_s - 0.1)
        with pytest.raises(errors.NotFoundError) as again:
            await world.fl.http("shop").get("/x")
        assert (str(again.value), again.value.status) == (str(first.value), status)
        assert again.value.response
        assert again.value.response.json() == {"message": "No."}
        assert world.told(CallFinished)[-1].cache is CacheUse.NEGATIVE
        world.clock.advance(0.1)
    assert (await world.fl.http("shop").get("/x")).json() == "later"


async def test_a_thing_that_is_gone_is_not_served_in_need():
    world = world_of(answer(content=1, cache_control="max-age=9"), answer(404), RESET, settings="stale_if_error_s = 99")
    await world.fl.http("shop").get("/x")
    world.clock.advance(10)
    caught = await gather_errors(world.fl.http("shop").get("/x") for _ in range(1))
    caught += await gather_errors([world.fl.http("shop").get("/x")])
    assert [each.code for each in caught] == ["not_found", "connection_lost"]


async def test_a_kept_answer_is_read_as_the_callers_model():
    world = world_of(answer(content={"a": 1}, etag='"1"'), SAME)
    for _ in range(2):
        assert await world.fl.http("shop").get("/x", model=dict[str, int]) == {"a": 1}


async def test_a_kept_answer_that_does_not_fit_the_model_says_where():
    world = world_of(answer(content={"a": "x"}, cache_control="max-age=60"))
    await world.fl.http("shop").get("/x")
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        await world.fl.http("shop").get("/x", model=dict[str, int])
    assert (caught.value.connection, caught.value.operation, caught.value.path) == ("shop", "http.get", "$[...]")


async def test_nothing_kept_and_nothing_but_that_wanted():
    world = world_of()
    with pytest.raises(errors.UnavailableError, match="Nothing that is kept"):
        await world.fl.http("shop").get("/x", headers={"cache-control": "only-if-cached"})


async def test_those_who_ask_the_same_share_what_may_be_kept():
    gate = Gate()
    world = world_of(gate)
    calls = [world.fl.http("shop").get("/x") for _ in range(5)]
    asking = gather_errors(calls)
    gate.open(answer(content=1, cache_control="max-age=60"))
    uses = [report(each).cache for each in await asking]
    assert sorted(uses) == ["miss", *["shared"] * 4]


async def test_what_may_not_be_kept_is_not_shared_either():
    """RFC 9111 §4: only what is stored may answer others; a lottery ticket is for one."""
    tickets = iter(range(5))
    world = build_world(shop(), {"shop": lambda _: answer(content=next(tickets), cache_control="no-store")})
    drawn = await gather_errors(world.fl.http("shop").get("/x") for _ in range(5))
    assert sorted(each.json() for each in drawn) == [0, 1, 2, 3, 4]
    assert {report(each).cache for each in drawn} == {CacheUse.MISS}


async def test_guessing_where_it_is_wanted():
    world = world_of(answer(content=1, last_modified=at(-1000)), settings="guess_share = 0.1")
    await world.fl.http("shop").get("/x")
    world.clock.advance(99)
    assert report(await world.fl.http("shop").get("/x")).cache is CacheUse.HIT


async def test_streams_and_raw_answers_pass_by():
    world = build_world(shop(), {"shop": answer(content=1, cache_control="max-age=60")})
    for _ in range(2):
        async with world.fl.http("shop").stream("GET", "/x") as response:
            assert report(response).cache is CacheUse.OFF
