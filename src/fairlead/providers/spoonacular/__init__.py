"""Spoonacular: recipes, with ingredients, steps and nutrients.

Docs: https://spoonacular.com/food-api/docs. Version: 2.0.2 of the vendor's OpenAPI description (2025-12-02), which
declares no 402, 429 or 5xx; what is known of those stands, with its evidence, in `tests/providers/spoonacular/`.
The API itself has no version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, quote, urlencode

from fairlead.capabilities.recipes import Nutrition, Recipe, RecipeQuery, Recipes
from fairlead.errors import FairleadError, InvalidRequestError, QuotaExhaustedError, UnexpectedAnswerError
from fairlead.model.call import Ref
from fairlead.model.message import Request, Response
from fairlead.model.operation import Operation
from fairlead.model.page import Page
from fairlead.providers.spoonacular.mapping import (
    WireRecipe,
    WireResults,
    WireWidget,
    build_recipe,
    parse_widget_nutrient,
)
from fairlead.spec.answer import decode
from fairlead.spec.batch import split_answer
from fairlead.spec.outcomes import ErrorRule, Wait
from fairlead.spec.provider import ApiKey, Credential, LimitHeaders, Place, Plan, Provider, QuotaReset, Terms

SEARCH = "/recipes/complexSearch"
BULK = "/recipes/informationBulk"
PAGE_SIZE = 20
MAX_OFFSET = 900
# 1 point, and 0.085 a result with information and nutrients: measured by users (10 results, 1.85 points; 2026).
SEARCH_POINTS = 1 + 0.085 * PAGE_SIZE
# Nobody can have more digits; and what is no number would part or spoil the list of ids.
IDENTIFIER = re.compile("[0-9]{1,18}")
# A cursor comes back from the application: only these of its parameters are sent on.
CURSOR_KEYS = frozenset({"query", "diet", "intolerances", "maxReadyTime", "offset"})

DIETS = {
    "vegan": "vegan",
    "vegetarian": "vegetarian",
    "pescetarian": "pescetarian",
    "gluten-free": "gluten free",
    "paleo": "paleo",
    "ketogenic": "ketogenic",
    "low-fodmap": "low fodmap",
}


class SpoonacularRecipes(Recipes):
    """Search, fetch and nutrients."""

    def search(self, query: RecipeQuery) -> Operation[Page[Recipe]]:
        """Follow GET /recipes/complexSearch."""
        wanted = {
            "query": query.text,
            "diet": ",".join(DIETS[diet] for diet in query.diets if diet in DIETS) or None,
            "intolerances": "dairy" if "dairy-free" in query.diets else None,
            "maxReadyTime": query.max_total_time_s and max(1, query.max_total_time_s // 60),
        }
        return (yield from self._page({name: str(value) for name, value in wanted.items() if value}))

    def search_next(self, cursor: str) -> Operation[Page[Recipe]]:
        """Follow GET /recipes/complexSearch, from where the last page ended."""
        return (yield from self._page({name: value for name, value in parse_qsl(cursor) if name in CURSOR_KEYS}))

    def fetch(self, identifier: str) -> Operation[Recipe]:
        """Follow GET /recipes/{id}/information."""
        path = f"/recipes/{quote(identifier, safe='')}/information"
        response = yield Request.get(path, query={"includeNutrition": True})
        return build_recipe(decode(response, WireRecipe), self.connection)

    def fetch_many(self, identifiers: Sequence[str]) -> Operation[Mapping[str, Recipe | FairleadError]]:
        """Follow GET /recipes/informationBulk, which leaves out the ids that it does not know.

        The vendor's documentation: a point for the first recipe, and half a point for every further one.
        """
        numbers = {each: int(each) for each in identifiers if IDENTIFIER.fullmatch(each)}
        parts: dict[str, Response] = {}
        if numbers:
            ids = ",".join(map(str, dict.fromkeys(numbers.values())))
            cost = 1 + 0.5 * (len(set(numbers.values())) - 1)
            response = yield Request.get(BULK, query={"ids": ids, "includeNutrition": True}, cost=cost)
            parts = split_answer(response)
        found = {each: parts[str(number)] for each, number in numbers.items() if str(number) in parts}
        wrong = {each: InvalidRequestError("The id must be a number.") for each in identifiers if each not in numbers}
        return {**wrong, **{each: self._read(part) for each, part in found.items()}}

    def nutrition(self, identifier: str) -> Operation[Nutrition]:
        """Follow GET /recipes/{id}/nutritionWidget.json."""
        response = yield Request.get(f"/recipes/{quote(identifier, safe='')}/nutritionWidget.json")
        widget = decode(response, WireWidget)
        rows = (*(widget.bad or ()), *(widget.good or ()))
        return Nutrition(nutrients=tuple(map(parse_widget_nutrient, rows)))

    def _read(self, part: Response) -> Recipe | FairleadError:
        """Read one recipe of several: one that cannot be read does not spoil the others."""
        try:
            return build_recipe(decode(part, WireRecipe), self.connection)
        except UnexpectedAnswerError as error:
            return error

    def _page(self, wanted: dict[str, str]) -> Operation[Page[Recipe]]:
        asked: dict[str, str | int] = {
            "number": PAGE_SIZE,
            "addRecipeInformation": True,
            "addRecipeNutrition": True,
            "fillIngredients": True,
        }
        response = yield Request.get(SEARCH, query={**wanted, **asked}, cost=SEARCH_POINTS)
        found = decode(response, WireResults)
        following = found.offset + PAGE_SIZE
        is_last = len(found.results) < PAGE_SIZE or following > min(MAX_OFFSET, (found.total_results or MAX_OFFSET) - 1)
        cursor = urlencode({**wanted, "offset": following})
        return Page(
            items=tuple(build_recipe(each, self.connection) for each in found.results),
            total=found.total_results,
            next=None if is_last else Ref(self.connection, cursor),
        )


def probe() -> Operation[None]:
    """Follow the search for one recipe: one point."""
    response = yield Request.get(SEARCH, query=[("query", "salt"), ("number", 1)])
    decode(response, WireResults)


PROVIDER = Provider(
    id="spoonacular",
    title="Spoonacular",
    docs_url="https://spoonacular.com/food-api/docs",
    api_version="unversioned (OpenAPI 2.0.2)",
    base_url="https://api.spoonacular.com",
    credentials=(
        Credential(
            name="api_key",
            label="API key",
            help="Profile, 'Show API Key', at https://spoonacular.com/food-api/console",
        ),
    ),
    auth=(ApiKey("api_key", Place.HEADER, "x-api-key"),),
    key_slots=(ApiKey("api_key", Place.QUERY, "apiKey"),),
    capabilities={"recipes": SpoonacularRecipes},
    probe=probe,
    # apis.io/rate-limits/spoonacular, 2026-06-03: requests a second, as many at once (free: two), free points a day.
    plans={
        "free": Plan(requests=1, per_s=1, concurrent=2, quota=50),
        "cook": Plan(requests=5, per_s=1, concurrent=5),
        "culinarian": Plan(requests=10, per_s=1, concurrent=10),
        "chef": Plan(requests=20, per_s=1, concurrent=20),
    },
    default_plan="free",
    quota_reset=QuotaReset.MIDNIGHT_UTC,
    limits=(LimitHeaders(name="points", used="x-api-quota-used", remaining="x-api-quota-left", is_quota=True),),
    errors=(
        ErrorRule(
            status=402,
            error=QuotaExhaustedError,
            wait=Wait.QUOTA_RESET,
            evidence="apis.io/rate-limits/spoonacular (2026-06-03): 402 once the daily points are used, reset at "
            "midnight UTC; body {status, code: 402, message} quoted by users (2020 to 2026)",
        ),
    ),
    error_code_at=("code",),
    error_message_at=("message",),
    terms=Terms(
        cache_max_age_s=3600,
        cache_needs_permission=True,
        attribution="Link back to spoonacular and to the recipe's source.",
        source="spoonacular.com/food-api/terms of 2026-04-16, as quoted in public repositories, read 2026-11-23: "
        "'with prior written permission [...] you may cache [...] for a maximum of 1 hour'",
    ),
    data_sent=("search text", "dietary wishes"),
)
