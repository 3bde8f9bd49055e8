"""What a vendor made stays with that vendor: recipes, and the pages of a list."""

import pytest

from fairlead import errors
from fairlead.model.call import Ref
from scripted import RESET, SOUP, answer, build_world, found, recipes, route

QUICK = "retry = { max_attempts = 1 }"
TWO = recipes("one", QUICK) + recipes("two", QUICK) + route("one", "two")
TWENTY = [f"Soup {at}" for at in range(20)]


async def test_a_recipe_is_fetched_where_its_ref_points():
    world = build_world(TWO, {"one": [], "two": [answer(content={"id": 7, "title": "Soup"})]})
    recipe = await world.fl.recipes.fetch("two:7")
    assert recipe.ref == Ref("two", "7")
    assert world.sent("two")[0].path == "/recipes/7/information"


async def test_a_ref_from_a_search_leads_back():
    world = build_world(TWO, {"one": [RESET], "two": [SOUP, answer(content={"id": 0, "title": "Soup"})]})
    page = await world.fl.recipes.search("soup")
    assert (await world.fl.recipes.fetch(page.items[0].ref)).title == "Soup"


@pytest.mark.parametrize("ask", ["fetch", "nutrition", "next_page"])
async def test_a_ref_is_never_followed_elsewhere(ask):
    world = build_world(TWO, {"one": [RESET], "two": []})
    with pytest.raises(errors.ConnectionLostError) as caught:
        await getattr(world.fl.recipes, ask)(Ref("one", "7"))
    assert caught.value.connection == "one"


@pytest.mark.parametrize("ask", ["fetch", "nutrition", "next_page"])
async def test_a_ref_to_nowhere_is_refused(ask):
    world = build_world(TWO, {"one": [], "two": []})
    with pytest.raises(errors.UnknownConnectionError, match=r"'three' is not a connection .* There are: one, two"):
        await getattr(world.fl.recipes, ask)(Ref("three", "7"))


async def test_a_ref_to_a_connection_outside_the_route_is_refused():
    world = build_world(recipes("one") + recipes("two") + route("one"), {"one": [], "two": []})
    with pytest.raises(errors.UnknownConnectionError):
        await world.fl.recipes.fetch("two:7")


@pytest.mark.parametrize("text", ["", "one", "one:", ":7"])
async def test_a_text_that_is_no_ref_is_refused(text):
    world = build_world(TWO, {"one": [], "two": []})
    with pytest.raises(errors.InvalidArgumentError):
        await world.fl.recipes.fetch(text)


async def test_pages_stay_with_the_vendor_that_began():
    world = build_world(
        TWO, {"one": [RESET], "two": [found(*TWENTY, total=60), found(*TWENTY, offset=20, total=60), RESET]}
    )
    pages = world.fl.recipes.iter_pages("soup")
    assert (await anext(pages)).served_by == "two"
    assert (await anext(pages)).items[0].ref == Ref("two", "20")
    with pytest.raises(errors.ConnectionLostError):
        await anext(pages)
    assert len(world.sent("one")) == 1


async def test_a_page_is_asked_for_when_it_is_wanted_and_not_before():
    world = build_world(TWO, {"one": [found(*TWENTY, total=60)], "two": []})
    pages = world.fl.recipes.iter_pages("soup")
    assert not world.sent("one")
    async for page in pages:
        assert page.next is not None
        break
    assert len(world.sent("one")) == 1


async def test_the_last_page_ends_the_list():
    world = build_world(TWO, {"one": [found(*TWENTY, total=21), found("Last", offset=20, total=21)], "two": []})
    titles = [recipe.title async for page in world.fl.recipes.iter_pages("soup") for recipe in page]
    assert titles == [*TWENTY, "Last"]


async def test_a_cursor_holds_no_credential():
    world = build_world(TWO, {"one": [found(*TWENTY, total=60)], "two": []})
    page = await world.fl.recipes.search("soup")
    assert "canary" not in str(page.next)


async def test_a_recipe_that_is_not_there_is_not_looked_for_elsewhere():
    world = build_world(TWO, {"one": [answer(404)], "two": []})
    with pytest.raises(errors.NotFoundError):
        await world.fl.recipes.fetch("one:7")
