"""TheMealDB: the suite that every provider of recipes passes, and what is different here: no pages, filters, errors."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from contract_check import Contract, whole_contract
from fairlead import errors
from fairlead.capabilities.recipes import DIETS, RecipeQuery, normalise_unit
from fairlead.errors import AuthenticationError, NotFoundError, ThrottledError, UnsupportedFeatureError
from fairlead.model.message import Request, Response
from fairlead.providers.themealdb import PROVIDER
from fairlead.testing import catalogue
from fairlead.testing.fakes.themealdb import API_KEY, TEST_KEY, TEST_KEY_MEALS, TheMealDBFake
from provider_suite import Live, RecipesSuite
from scripted import CANARY, SOUP, World, answer, build_world, recipes, report

UNSUPPORTED = [
    *(RecipeQuery(text="soup", diets=(diet,)) for diet in sorted(DIETS)),
    RecipeQuery(text="soup", max_total_time_s=3600),
]


class TestTheMealDB(RecipesSuite):
    provider = PROVIDER
    fake = TheMealDBFake
    credentials = {"api_key": API_KEY}  # noqa: RUF012  # declared as a ClassVar in the suite
    folder = Path(__file__).parent
    contract_file = "themealdb/UNOFFICIAL.mealdb.openapi.json"
    unknown_id = "1"
    bad_request = Request.get("/{api_key}/lookup.php")
    quota_error = ThrottledError

    async def tour(self, live: Live) -> None:
        page = await live.run(self.recipes().search(RecipeQuery(text="tomato pasta")))
        await live.run(self.recipes().search(RecipeQuery(text="crème & brûlée?")))
        await live.run(self.recipes().fetch(page.items[0].ref.id))
        assert self.provider.probe is not None
        await live.run(self.provider.probe())

    # The third-party description has the key in its server's address, and not in its paths.

    def whole(self) -> Contract:
        theirs = whole_contract(self.contract_file).operations
        return Contract([each._replace(path="/{apiKey}" + each.path) for each in theirs])

    @pytest.fixture(params=["reduced", "whole"])
    def contract(self, request: pytest.FixtureRequest) -> Contract:
        return self.reduced() if request.param == "reduced" else self.whole()

    def test_the_reduced_contract_has_no_operation_that_the_whole_one_lacks(self) -> None:
        whole = {(each.method, each.path): each for each in self.whole().operations}
        for each in self.reduced().operations:
            assert each.query.keys() <= whole[each.method, each.path].query.keys()

    # The vendor says no in good answers.

    async def test_wrong_credentials_are_refused_as_the_overlay_says(self) -> None:
        async with self.live() as (_, fake), Live(PROVIDER, {"api_key": "wrong"}, fake.url) as stranger:
            await self.check_refusal(stranger, AuthenticationError)

    async def test_missing_credentials_are_refused_as_the_overlay_says(self) -> None:
        async with self.live() as (_, fake), Live(PROVIDER, {}, fake.url) as stranger:
            await self.check_refusal(stranger, AuthenticationError)

    async def check_refusal(self, live: Live, expected: type[errors.FairleadError]) -> None:
        for operation in (self.recipes().search(RecipeQuery(text="soup")), self.recipes().fetch(self.unknown_id)):
            with pytest.raises(expected):
                await live.run(operation)
            self.overlay().check(live.exchanges[-1][1])

    async def test_an_unknown_recipe_is_answered_as_the_overlay_says(self) -> None:
        async with self.live() as (live, _):
            for identifier in (self.unknown_id, "soup", "", "-1", "9" * 5000):
                with pytest.raises(NotFoundError):
                    await live.run(self.recipes().fetch(identifier))
                self.overlay().check(live.exchanges[-1][1])

    async def test_a_wrong_request_is_answered_as_the_overlay_says(self) -> None:
        async with self.live() as (live, _):
            response = await live.exchange(self.bad_request)
        assert isinstance(response, Response)
        self.overlay().check(response)

    async def test_a_path_that_is_not_there_is_a_matter_of_the_key(self) -> None:
        async with self.live() as (live, _):
            for request in (Request.get("/search.php"), Request.post("/{api_key}/search.php")):
                response = await live.exchange(request)
                assert isinstance(response, Response)
                assert response.status == 404
                self.check_error(response, AuthenticationError)

    # The vendor has neither pages nor filters nor nutrients.

    async def test_pages_follow_each_other_to_the_end_without_repeating(self) -> None:
        async with self.live() as (live, _):
            page = await live.run(self.recipes().search(RecipeQuery(text="soup")))
        assert len({each.ref for each in page}) == len(page) == 33
        assert (page.total, page.next) == (None, None)

    async def test_a_cursor_holds_no_credential(self) -> None:
        with pytest.raises(UnsupportedFeatureError):
            self.recipes().search_next("query=soup")

    async def test_filters_are_kept(self) -> None:
        for query in UNSUPPORTED:
            with pytest.raises(UnsupportedFeatureError):
                next(self.recipes().search(query))
        with pytest.raises(UnsupportedFeatureError):
            self.recipes().nutrition("52772")

    def test_every_operation_is_a_read(self) -> None:
        for operation in (self.recipes().search(RecipeQuery(text="soup")), self.recipes().fetch("1")):
            assert next(operation).effect is self.recipes().EFFECTS["fetch"]

    def test_an_identifier_cannot_leave_its_place_in_the_path(self) -> None:
        request = next(self.recipes().fetch("../../x?y=1"))
        assert (request.path, request.query) == ("/{api_key}/lookup.php", (("i", "../../x?y=1"),))

    # What only this fake has.

    async def test_the_public_test_key_is_given_less(self) -> None:
        async with self.live() as (_, fake), Live(PROVIDER, {"api_key": TEST_KEY}, fake.url) as guest:
            page = await guest.run(self.recipes().search(RecipeQuery(text="soup")))
        assert (len(page), page.total) == (TEST_KEY_MEALS, None)

    @pytest.mark.parametrize("version", ["v1", "v2"])
    async def test_both_versions_are_served(self, version: str) -> None:
        async with self.live() as (_, fake), Live(PROVIDER, self.credentials, f"{fake.url}/api/json/{version}") as live:
            assert await live.run(self.recipes().search(RecipeQuery(text="tomato pasta")))

    async def test_names_amounts_units_and_steps_are_those_of_the_catalogue(self) -> None:
        async with self.live() as (live, _):
            page = await live.run(self.recipes().search(RecipeQuery(text="pasta")))
        for recipe in page:
            known = catalogue.recipes()[int(recipe.ref.id)]
            assert (recipe.title, recipe.cuisines, recipe.steps) == (known.title, (known.cuisine.lower(),), known.steps)
            assert [(each.name.lower(), each.amount, each.unit) for each in recipe.ingredients] == [
                (each.name, each.amount, normalise_unit(each.unit)) for each in known.ingredients
            ]


# --- Behind the pipeline -------------------------------------------------------------------------------------------

MEALS = """
[connections.meals]
provider = "themealdb"
base_url = "https://meals.test/api/json/v1"
credentials = { api_key = "env:KEY" }
retry = { max_attempts = 1 }
"""
ROUTE = '[routes.recipes]\nconnections = ["meals", "other"]\n'
MEAL = answer(content={"meals": [{"idMeal": "1", "strMeal": "Soup"}]})
#: The canary, as it stands in a path.
SENT = "canary%2B8731%2Fx%3D"


def assert_unseen(world: World, *shown: object) -> None:
    texts = [repr(shown), *map(str, shown), repr(world.events), *map(repr, world.sent("meals"))]
    for text in texts:
        assert CANARY not in text
        assert SENT not in text
        assert "canary" not in text.lower()


async def test_the_key_is_in_the_path_and_is_shown_nowhere() -> None:
    world = build_world(MEALS + ROUTE.replace(', "other"', ""), {"meals": MEAL})
    page = await world.fl.recipes.search("soup")
    assert [each.path for each in world.sent("meals")] == [f"/{SENT}/search.php"]
    assert [repr(each) for each in world.sent("meals")] == ["Request(GET /{api_key}/search.php, read)"]
    assert_unseen(world, page)


@pytest.mark.parametrize(
    "refusal",
    [
        answer(401, {"message": f"{CANARY} is wrong"}),
        answer(404, {"message": f"There is no /api/json/v1/{SENT}/search.php"}),
        answer(404, {"message": f"There is no /api/json/v1/{SENT.lower()}/search.php"}),
        answer(content={"meals": {"Message": f"{CANARY} has no access"}}),
        answer(content={"meals": f"{CANARY} has no access"}),
        answer(content={"meals": [{"idMeal": "1", "strMeal": [CANARY]}]}),
        answer(content=f"<h1>{SENT}</h1>".encode()),
    ],
)
async def test_a_vendor_that_quotes_the_path_is_not_quoted(refusal: Response) -> None:
    world = build_world(MEALS + ROUTE.replace(', "other"', ""), {"meals": refusal})
    with pytest.raises(errors.ProviderError) as caught:
        await world.fl.recipes.search("soup")
    assert_unseen(world, caught.value, vars(caught.value), msgspec.json.encode(world.events))


@pytest.mark.parametrize("query", UNSUPPORTED, ids=str)
async def test_what_the_vendor_lacks_is_asked_of_the_next(query: RecipeQuery) -> None:
    world = build_world(MEALS + recipes("other") + ROUTE, {"meals": MEAL, "other": SOUP})
    page = await world.fl.recipes.search(query.text, diets=query.diets, max_total_time_s=query.max_total_time_s)
    assert report(page).served_by == "other"
    assert world.sent("meals") == []


@pytest.mark.parametrize("refusal", [answer(404), answer(content={"meals": {"Message": "No access."}})])
async def test_a_key_that_is_not_accepted_does_not_end_a_search(refusal: Response) -> None:
    world = build_world(MEALS + recipes("other") + ROUTE, {"meals": refusal, "other": SOUP})
    assert report(await world.fl.recipes.search("soup")).served_by == "other"
