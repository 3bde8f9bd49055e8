"""The capability over HTTP, with every header that says how an answer came about."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from fairlead.model.message import Response
from fairlead.observe.events import AttemptFinished, CallFinished
from fairlead.runtime.ports import SystemClock
from fairlead.testing.faults import Faults
from gateway.served import VENDOR_KEYS, problem, served

pytestmark = pytest.mark.uvloop  # as `fairlead serve` runs

DEAD = Faults(error_share=1.0)


def content(answer: Response) -> dict[str, Any]:
    assert answer.status == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    document: dict[str, Any] = json.loads(answer.body)
    return document


async def test_a_search_is_answered_with_recipes_and_how_it_came_about() -> None:
    async with served() as all_:
        answer = await all_.client.search("tomato pasta")
        page = content(answer)
    assert page["items"][0]["title"]
    assert page["items"][0]["ref"]["connection"] == "spoonacular"
    assert "call" not in page  # the report travels in the headers
    headers = answer.headers
    assert re.fullmatch("[0-9a-f]{32}", headers["fairlead-call-id"])
    assert headers["fairlead-served-by"] == "spoonacular"
    assert headers["fairlead-attempts"] == "1"
    assert headers["fairlead-cache"] == "miss"
    assert re.fullmatch(r"\d+\.\d\d", headers["fairlead-overhead-ms"])
    assert headers["age"] == "0"


async def test_the_other_vendor_serves_when_the_first_fails() -> None:
    async with served() as all_:
        all_.first.faults = DEAD
        answer = await all_.client.search()
    assert answer.status == 200
    assert (answer.headers["fairlead-served-by"], answer.headers["fairlead-attempts"]) == ("edamam", "2")


async def test_an_answer_from_the_cache_says_so_and_how_old_it_is() -> None:
    async with served() as all_:
        fresh = await all_.client.search()
        all_.clock.advance(42.0)
        kept = await all_.client.search()
        all_.clock.advance(60.0)
        all_.first.faults = all_.second.faults = DEAD
        stale = await all_.client.search()
    assert fresh.body == kept.body == stale.body
    assert [each.headers["fairlead-cache"] for each in (fresh, kept, stale)] == ["miss", "hit", "stale"]
    assert [each.headers["age"] for each in (fresh, kept, stale)] == ["0", "42", "102"]
    assert [each.headers["fairlead-attempts"] for each in (fresh, kept, stale)] == ["1", "0", "2"]
    assert len({each.headers["fairlead-call-id"] for each in (fresh, kept, stale)}) == 3


@pytest.mark.parametrize("is_first_down", [False, True])
async def test_the_next_page_comes_from_the_vendor_of_the_first(*, is_first_down: bool) -> None:
    vendor = "edamam" if is_first_down else "spoonacular"
    async with served() as all_:
        if is_first_down:
            await all_.first.go_down()
        one = await all_.client.search("pasta")
        await all_.first.come_up()
        link = one.headers["link"]
        two = await all_.client.follow(link)
        first, second = content(one), content(two)
    assert link.endswith('>; rel="next"')
    assert one.headers["fairlead-served-by"] == two.headers["fairlead-served-by"] == vendor
    assert not {each["title"] for each in first["items"]} & {each["title"] for each in second["items"]}
    assert not any(key in link for key in VENDOR_KEYS.values())


async def test_the_last_page_has_no_next() -> None:
    async with served() as all_:
        answer = await all_.client.search("pasta")
        pages = 1
        while "link" in answer.headers:
            answer = await all_.client.follow(answer.headers["link"])
            pages += 1
        page = content(answer)
    assert pages > 1
    assert "next" not in page


async def test_a_recipe_and_its_nutrients_come_from_the_vendor_that_named_it() -> None:
    async with served() as all_:
        found = content(await all_.client.search())["items"][0]
        path = f"/v1/recipes/{found['ref']['connection']}/{found['ref']['id']}"
        recipe = await all_.client.ask(path)
        nutrition = await all_.client.ask(f"{path}/nutrition")
        nutrients = content(nutrition)["nutrients"]
    assert content(recipe)["title"] == found["title"]
    assert content(recipe)["ingredients"]
    assert "energy" in {each["code"] for each in nutrients}
    assert recipe.headers["fairlead-served-by"] == nutrition.headers["fairlead-served-by"] == "spoonacular"


async def test_words_narrow_a_search() -> None:
    async with served() as all_:
        everything = content(await all_.client.search("quick"))
        words = {"q": "quick", "diets": "vegan,gluten-free", "max_minutes": "45"}
        some = content(await all_.client.ask("/v1/recipes/search", words))
    assert 0 < some["total"] < everything["total"]
    assert all({"vegan", "gluten-free"} <= set(each["diets"]) for each in some["items"])


WRONG: tuple[tuple[dict[str, str], str], ...] = (
    ({}, "needs q"),
    ({"q": ""}, "needs q"),
    ({"q": "  "}, "no text"),
    ({"q": "pasta", "diet": "vegan"}, "'diets'"),
    ({"q": "pasta", "diets": "carnivore"}, "is not a diet"),
    ({"q": "pasta", "max_minutes": "soon"}, "max_minutes"),
    ({"q": "pasta", "max_minutes": "9" * 5000}, "max_minutes"),
    ({"cursor": "10"}, "needs connection"),
)


async def test_a_wrong_search_is_told_what_is_wrong() -> None:
    async with served() as all_:
        for query, said in WRONG:
            document = problem(await all_.client.ask("/v1/recipes/search", query), 400, "invalid_argument")
            assert said in document["detail"]
        assert all_.first.books.requests == all_.second.books.requests == 0


async def test_any_text_can_be_searched_for() -> None:
    texts = ("crème brûlée", "寿司", "🍝", "Ω\u0301", 'a&b=c+d%20"<>', "x" * 5000, "x" * 40_000)
    async with served() as all_:
        for text in texts:
            assert content(await all_.client.search(text))["items"] == []
        assert all_.first.books.operations == {"searchRecipes": len(texts)}


async def test_what_is_too_long_for_everybody_harms_nobody() -> None:
    async with served() as all_:
        answer = await all_.client.search("x" * 1_000_000)
        assert (await all_.client.search("pasta")).status == 200
    assert answer.status == 431  # by the server itself, before there is a request


async def test_head_answers_as_get_does_without_the_body() -> None:
    async with served() as all_:
        got = await all_.client.search()
        head = await all_.client.search(method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(got.body))
    assert head.headers["fairlead-served-by"] == "spoonacular"


async def test_the_deadline_of_the_caller_holds() -> None:
    async with served(clock=SystemClock()) as all_:
        all_.first.faults = all_.second.faults = Faults(hang_share=1.0)
        answer = await all_.client.search(headers={"fairlead-deadline-ms": "150"})
        document = json.loads(answer.body)
        finished = [event for event in all_.events if isinstance(event, CallFinished)]
    assert answer.status in {503, 504}
    assert document["code"] in {"unavailable", "deadline_exceeded"}
    assert document["outcome"] == "not_done"
    assert finished[0].total_s < 2.0  # and not the five seconds of the route


async def test_a_deadline_that_is_none_is_refused() -> None:
    async with served() as all_:
        for value in ("0", "-1", "1.5", "soon", "", "²", "9" * 5000):
            answer = await all_.client.search(headers={"fairlead-deadline-ms": value})
            assert "fairlead-deadline-ms" in problem(answer, 400, "invalid_argument")["detail"]
        assert not all_.first.books.requests


async def test_the_correlation_id_of_the_caller_joins_everything() -> None:
    async with served() as all_:
        answer = await all_.client.search(headers={"fairlead-correlation-id": "order-66"})
        alone = await all_.client.search("soup")
        calls = [event for event in all_.events if isinstance(event, CallFinished)]
        attempts = [event for event in all_.events if isinstance(event, AttemptFinished)]
    assert [call.call_id for call in calls] == [each.headers["fairlead-call-id"] for each in (answer, alone)]
    assert [call.correlation_id for call in calls] == ["order-66", calls[1].call_id]
    assert [attempt.call_id for attempt in attempts] == [call.call_id for call in calls]
