"""Spoonacular: recipes, with ingredients, steps and nutrients.

Docs: https://spoonacular.com/food-api/docs. Version: of the vendor's OpenAPI description, 2.0.2 (2025-12-02); the API
has none. No 402, 429 or 5xx is declared; `tests/providers/spoonacular/` has what is known of them, with its evidence.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from fairlead.capabilities.recipes import (
    Attribution,
    Ingredient,
    Nutrient,
    Nutrition,
    Recipe,
    RecipeQuery,
    Recipes,
    normalise_diet,
    normalise_nutrient,
    normalise_unit,
)
from fairlead.errors import QuotaExhaustedError
from fairlead.model.call import Ref
from fairlead.model.message import Request
from fairlead.model.operation import Operation
from fairlead.model.page import Page
from fairlead.spec.answer import decode
from fairlead.spec.outcomes import ErrorRule, Wait
from fairlead.spec.provider import ApiKey, Credential, LimitHeaders, Place, Plan, Provider, QuotaReset, Terms

SEARCH = "/recipes/complexSearch"
PAGE_SIZE = 20
MAX_OFFSET = 900
# 1 point, and 0.085 a result with information and nutrients: measured by users (10 results, 1.85 points; 2026).
SEARCH_POINTS = 1 + 0.085 * PAGE_SIZE
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
DIET_NAMES = {
    "fodmap-friendly": "low-fodmap",
    "lacto-ovo-vegetarian": "vegetarian",
    "paleolithic": "paleo",
    "pescatarian": "pescetarian",
}
NUTRIENT_CODES = {
    "calories": "energy", "protein": "protein", "fat": "fat", "saturated fat": "saturated_fat",
    "trans fat": "trans_fat", "mono unsaturated fat": "monounsaturated_fat",
    "poly unsaturated fat": "polyunsaturated_fat", "carbohydrates": "carbohydrates", "carbs": "carbohydrates",
    "fiber": "fibre", "sugar": "sugar", "cholesterol": "cholesterol", "sodium": "sodium", "potassium": "potassium",
    "calcium": "calcium", "iron": "iron", "magnesium": "magnesium", "zinc": "zinc", "phosphorus": "phosphorus",
    "vitamin a": "vitamin_a", "vitamin b1": "vitamin_b1", "vitamin b2": "vitamin_b2", "vitamin b3": "vitamin_b3",
    "vitamin b6": "vitamin_b6", "vitamin b12": "vitamin_b12", "folate": "folate", "vitamin c": "vitamin_c",
    "vitamin d": "vitamin_d", "vitamin e": "vitamin_e", "vitamin k": "vitamin_k",
}  # fmt: skip


class _Wire(msgspec.Struct, rename="camel"):
    """The base of the vendor's shapes: camelCase, everything optional, unknown fields ignored."""


class _Ingredient(_Wire):
    name: str | None = None
    original: str | None = None
    amount: float | None = None
    unit: str | None = None


class _Step(_Wire):
    step: str | None = None


class _Instructions(_Wire):
    steps: list[_Step] | None = None


class _Nutrient(_Wire):
    name: str | None = None
    title: str | None = None
    amount: float | None = None
    unit: str | None = None
    percent_of_daily_needs: float | None = None


class _Nutrition(_Wire):
    nutrients: list[_Nutrient] | None = None


class _Recipe(_Wire):
    id: int
    title: str
    image: str | None = None
    servings: float | None = None
    ready_in_minutes: float | None = None
    preparation_minutes: float | None = None
    cooking_minutes: float | None = None
    extended_ingredients: list[_Ingredient] | None = None
    analyzed_instructions: list[_Instructions] | None = None
    instructions: str | None = None
    nutrition: _Nutrition | None = None
    diets: list[str] | None = None
    cuisines: list[str] | None = None
    source_name: str | None = None
    source_url: str | None = None
    spoonacular_source_url: str | None = None
    credits_text: str | None = None


class _Results(_Wire):
    results: list[_Recipe]
    offset: int = 0
    total_results: int | None = None


class _WidgetNutrient(_Wire):
    title: str
    amount: str
    percent_of_daily_needs: float | None = None


class _Widget(_Wire):
    bad: list[_WidgetNutrient] | None = None
    good: list[_WidgetNutrient] | None = None


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
        return build_recipe(decode(response, _Recipe), self.connection)

    def nutrition(self, identifier: str) -> Operation[Nutrition]:
        """Follow GET /recipes/{id}/nutritionWidget.json."""
        response = yield Request.get(f"/recipes/{quote(identifier, safe='')}/nutritionWidget.json")
        widget = decode(response, _Widget)
        rows = (*(widget.bad or ()), *(widget.good or ()))
        return Nutrition(nutrients=tuple(map(parse_widget_nutrient, rows)))

    def _page(self, wanted: dict[str, str]) -> Operation[Page[Recipe]]:
        asked: dict[str, str | int] = {
            "number": PAGE_SIZE,
            "addRecipeInformation": True,
            "addRecipeNutrition": True,
            "fillIngredients": True,
        }
        response = yield Request.get(SEARCH, query={**wanted, **asked}, cost=SEARCH_POINTS)
        found = decode(response, _Results)
        following = found.offset + PAGE_SIZE
        is_last = len(found.results) < PAGE_SIZE or following > min(MAX_OFFSET, (found.total_results or MAX_OFFSET) - 1)
        cursor = urlencode({**wanted, "offset": following})
        return Page(
            items=tuple(build_recipe(each, self.connection) for each in found.results),
            total=found.total_results,
            next=None if is_last else Ref(self.connection, cursor),
        )


def build_recipe(wire: _Recipe, connection: str) -> Recipe:
    """Turn the vendor's recipe into the neutral one."""
    source = wire.credits_text or wire.source_name
    own = Attribution(text="spoonacular", url=wire.spoonacular_source_url, is_required=True)
    author = (Attribution(text=source, url=wire.source_url, is_required=True),) if source else ()
    return Recipe(
        ref=Ref(connection, str(wire.id)),
        title=wire.title,
        image_url=wire.image,
        servings=wire.servings,
        total_time_s=parse_minutes(wire.ready_in_minutes),
        preparation_time_s=parse_minutes(wire.preparation_minutes),
        cooking_time_s=parse_minutes(wire.cooking_minutes),
        ingredients=tuple(build_ingredient(each) for each in wire.extended_ingredients or ()),
        steps=parse_steps(wire),
        nutrition=Nutrition(nutrients=tuple(build_nutrient(each) for each in wire.nutrition.nutrients or ()))
        if wire.nutrition
        else None,
        diets=tuple(DIET_NAMES.get(name, name) for name in map(normalise_diet, wire.diets or ())),
        cuisines=tuple(name.lower() for name in wire.cuisines or ()),
        source_name=wire.source_name,
        source_url=wire.source_url,
        attributions=(*author, own),
    )


def build_ingredient(wire: _Ingredient) -> Ingredient:
    """Turn the vendor's ingredient into the neutral one."""
    text = wire.original or wire.name or ""
    return Ingredient(name=wire.name or text, text=text, amount=wire.amount, unit=normalise_unit(wire.unit))


def build_nutrient(wire: _Nutrient) -> Nutrient:
    """Turn the vendor's nutrient into the neutral one; older answers call the name a title."""
    label = wire.name or wire.title or ""
    code = NUTRIENT_CODES.get(label.lower(), label)
    return normalise_nutrient(code, wire.amount or 0.0, wire.unit, wire.percent_of_daily_needs)


def parse_widget_nutrient(wire: _WidgetNutrient) -> Nutrient:
    """Read `12g`, `19µg` and the bare calories `316` (some answers: `316k`) of the nutrition widget."""
    match = re.match(r"\s*(\d[\d,]*(?:\.\d+)?)\s*(\D*)", wire.amount)
    amount, unit = (float(match[1].replace(",", "")), match[2].strip()) if match else (0.0, "")
    code = NUTRIENT_CODES.get(wire.title.lower(), wire.title)
    if code == "energy" and unit in {"", "k"}:
        unit = "kcal"
    return normalise_nutrient(code, amount, unit, wire.percent_of_daily_needs)


def parse_minutes(minutes: float | None) -> int | None:
    """Return seconds; the vendor writes null, and in older recipes -1, for what it does not know."""
    return None if minutes is None or minutes < 0 else round(minutes * 60)


def parse_steps(wire: _Recipe) -> tuple[str, ...]:
    """Return the steps, from the analysed instructions or else from the text, which may be HTML."""
    analysed = tuple(step.step for part in wire.analyzed_instructions or () for step in part.steps or () if step.step)
    lines = re.sub(r"<[^>]*>", "\n", wire.instructions or "").splitlines()
    return analysed or tuple(line.strip() for line in lines if line.strip())


def probe() -> Operation[None]:
    """Follow the search for one recipe: one point."""
    response = yield Request.get(SEARCH, query=[("query", "salt"), ("number", 1)])
    decode(response, _Results)


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
