"""Spoonacular: the suite that every provider of recipes passes, and what only its fake has."""

from pathlib import Path

from fairlead.capabilities.recipes import RecipeQuery
from fairlead.errors import InvalidRequestError, QuotaExhaustedError
from fairlead.model.message import Request, Response
from fairlead.providers.spoonacular import PROVIDER, SEARCH_POINTS
from fairlead.testing.clock import FakeClock
from fairlead.testing.fakes.spoonacular import API_KEY, SpoonacularFake
from provider_suite import Live, RecipesSuite


class TestSpoonacular(RecipesSuite):
    provider = PROVIDER
    fake = SpoonacularFake
    credentials = {"api_key": API_KEY}  # noqa: RUF012  # declared as a ClassVar in the suite
    folder = Path(__file__).parent
    contract_file = "spoonacular/spoonacular-openapi-3.json"
    unknown_id = "1"
    bad_request = Request.get("/recipes/complexSearch", query={"query": "soup", "number": "101"})
    quota_error = QuotaExhaustedError

    async def test_a_search_costs_the_points_that_the_adapter_reckons_with(self) -> None:
        async with self.live() as (live, _):
            await live.run(self.recipes().search(RecipeQuery(text="soup")))
        [(request, response)] = live.exchanges
        assert float(response.headers["x-api-quota-request"]) == request.cost == SEARCH_POINTS

    async def test_a_bulk_costs_the_points_that_the_adapter_reckons_with(self) -> None:
        async with self.live() as (live, _):
            for identifiers in (["700001"], ["700001", "700002", "700003", "700003"]):
                await live.run(self.recipes().fetch_many(identifiers))
        costs = [(float(reply.headers["x-api-quota-request"]), asked.cost) for asked, reply in live.exchanges]
        assert costs == [(1.0, 1.0), (2.0, 2.0)]

    async def test_a_wrong_id_among_several_is_refused_as_the_overlay_says(self) -> None:
        async with self.live() as (live, _):
            response = await live.exchange(Request.get("/recipes/informationBulk", query={"ids": "700001,soup"}))
        assert isinstance(response, Response)
        self.check_error(response, InvalidRequestError)

    async def test_points_come_back_at_midnight_utc(self) -> None:
        clock = FakeClock()  # noon
        async with self.live(points_per_day=2, clock=clock) as (live, _):
            for _ in range(2):
                await live.run(self.recipes().nutrition("700001"))
            response = await live.refusal(self.recipes().nutrition("700001"))
            assert response.status == 402
            assert "limit of 2 has" in response.text
            assert response.headers["x-api-quota-left"] == "0.000"
            clock.advance(12 * 3600 - 1)
            assert (await live.refusal(self.recipes().nutrition("700001"))).status == 402
            clock.advance(1)
            await live.run(self.recipes().nutrition("700001"))

    async def test_every_key_has_its_own_points(self) -> None:
        async with self.live(points_per_day=1, api_keys=(API_KEY, "second")) as (live, fake):
            await live.run(self.recipes().nutrition("700001"))
            other = Request.get("/recipes/700001/nutritionWidget.json", query={"apiKey": "second"})
            assert (await live.refusal(self.recipes().nutrition("700001"))).status == 402
            async with Live(self.provider, {}, fake.url) as stranger:
                response = await stranger.exchange(other)
        assert isinstance(response, Response)
        assert response.status == 200

    async def test_without_the_extras_a_search_gives_only_the_bare_results(self) -> None:
        async with self.live() as (live, _):
            response = await live.exchange(
                Request.get("/recipes/complexSearch", query={"query": "soup", "number": "1"})
            )
        assert isinstance(response, Response)
        assert response.json()["results"][0].keys() == {"id", "title", "image", "imageType"}

    async def test_unknown_paths_and_methods_are_not_found(self) -> None:
        async with self.live() as (live, _):
            for request in (Request.get("/food/trivia"), Request.post("/recipes/complexSearch")):
                response = await live.exchange(request)
                assert isinstance(response, Response)
                assert response.status == 404
