"""Edamam: the suite that every provider of recipes passes, and what only its fake has."""

from pathlib import Path

import pytest

from fairlead.capabilities.recipes import RecipeQuery
from fairlead.errors import ThrottledError
from fairlead.model.message import Request, Response
from fairlead.providers.edamam import PROVIDER
from fairlead.testing.clock import FakeClock
from fairlead.testing.fakes.edamam import APP_ID, APP_KEY, EdamamFake
from provider_suite import Live, RecipesSuite


class TestEdamam(RecipesSuite):
    provider = PROVIDER
    fake = EdamamFake
    credentials = {"app_id": APP_ID, "app_key": APP_KEY}  # noqa: RUF012  # declared as a ClassVar in the suite
    folder = Path(__file__).parent
    contract_file = "edamam/UNOFFICIAL.edamam-recipe-search-api-openapi.yml"
    unknown_id = "0" * 32
    bad_request = Request.get("/api/recipes/v2", query={"q": "soup"})
    quota_error = ThrottledError

    async def test_the_fake_repeats_the_credentials_in_its_links_as_the_vendor_does(self) -> None:
        async with self.live() as (live, fake):
            await live.run(self.recipes().search(RecipeQuery(text="soup")))
        href = live.exchanges[0][1].json()["_links"]["next"]["href"]
        assert href.startswith(f"{fake.url}/api/recipes/v2?")
        assert f"app_key={APP_KEY}" in href

    async def test_calls_of_a_minute_are_limited(self) -> None:
        clock = FakeClock()
        async with self.live(calls_per_minute=2, clock=clock) as (live, _):
            for _ in range(2):
                await live.run(self.recipes().search(RecipeQuery(text="soup")))
            assert (await live.refusal(self.recipes().search(RecipeQuery(text="soup")))).status == 429
            clock.advance(60)
            await live.run(self.recipes().search(RecipeQuery(text="soup")))

    async def test_calls_of_a_month_are_limited(self) -> None:
        clock = FakeClock()  # the first of January, at noon
        async with self.live(calls_per_month=1, clock=clock) as (live, _):
            await live.run(self.recipes().search(RecipeQuery(text="soup")))
            clock.advance(30 * 86400)
            assert (await live.refusal(self.recipes().search(RecipeQuery(text="soup")))).status == 429
            clock.advance(86400)
            await live.run(self.recipes().search(RecipeQuery(text="soup")))

    async def test_the_account_user_travels_in_its_header_where_it_is_needed(self) -> None:
        async with self.live(needs_account_user=True) as (live, fake):
            assert (await live.refusal(self.recipes().search(RecipeQuery(text="soup")))).status == 401
            async with Live(PROVIDER, {**self.credentials, "account_user": "ann"}, fake.url) as ann:
                await ann.run(self.recipes().search(RecipeQuery(text="soup")))

    @pytest.mark.parametrize(
        "query",
        [
            {"type": "secret", "q": "soup"},
            {"type": "public"},
            {"type": "public", "q": "soup", "health": "hungry"},
            {"type": "public", "q": "soup", "time": "soon"},
            {"type": "public", "q": "soup", "_cont": "not ours"},
        ],
    )
    async def test_wrong_parameters_are_refused_with_a_list_of_errors(self, query: dict[str, str]) -> None:
        async with self.live() as (live, _):
            response = await live.exchange(Request.get("/api/recipes/v2", query=query))
        assert isinstance(response, Response)
        assert response.status == 400
        self.overlay().check(response)

    @pytest.mark.parametrize(("time", "longest"), [("1-30", 30), ("30", 30), ("60+", 1000)])
    async def test_a_range_of_minutes_is_read_in_all_its_forms(self, time: str, longest: int) -> None:
        query = {"type": "public", "q": "chicken", "time": time, "diet": "high-protein", "field": "totalTime"}
        async with self.live() as (live, _):
            response = await live.exchange(Request.get("/api/recipes/v2", query=query))
        assert isinstance(response, Response)
        hits = response.json()["hits"]
        assert hits
        for hit in hits:
            assert hit["recipe"].keys() == {"totalTime"}
            assert (60 if time == "60+" else 0) <= hit["recipe"]["totalTime"] <= longest
