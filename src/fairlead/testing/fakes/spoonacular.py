"""A stand-in for Spoonacular: search, information (also in bulk) and the nutrition widget, with keys and points.

Written from the vendor's OpenAPI description 2.0.2 (2025-12-02). It declares no body for any error; those are what
users quote in public repositories (2020 to 2026), see `tests/providers/spoonacular/overlay.json`. That the bulk
endpoint leaves out the ids that it does not know is assumed: its price counts the recipes returned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any, ClassVar

import msgspec

from fairlead.model.headers import Pairs
from fairlead.model.ports import Clock
from fairlead.testing.catalogue import CatalogueIngredient, CatalogueRecipe, find, recipes
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.faults import Faults
from fairlead.testing.pantry import NUTRIENTS
from fairlead.testing.server import FakeServer

#: The key that is accepted when nobody says otherwise.
API_KEY = "fake-key"

_PATHS = {
    "searchRecipes": re.compile(r"/recipes/complexSearch"),
    "getRecipeInformationBulk": re.compile(r"/recipes/informationBulk"),
    "getRecipeInformation": re.compile(r"/recipes/([^/]+)/information"),
    "getRecipeNutritionWidgetByID": re.compile(r"/recipes/([^/]+)/nutritionWidget\.json"),
}
_MAX_NUMBER = 100
_MAX_OFFSET = 900

# The price list of the vendor's documentation: a point a request, and so much for each result and extra.
_REQUEST_POINTS = 1.0
_RESULT_POINTS = 0.01
_EXTRA_POINTS = 0.025
_NUTRITION_POINTS = 0.1
_FURTHER_RECIPE_POINTS = 0.5

_MESSAGES = {
    401: "You are not authorized. Please read https://spoonacular.com/food-api/docs#Authentication",
    404: "The requested path does not exist.",
    429: "You are sending too many requests. Please slow down.",
}
#: What a search may ask for -> the catalogue's name.
_DIETS = {
    "gluten free": "gluten-free",
    "ketogenic": "ketogenic",
    "vegetarian": "vegetarian",
    "lacto ovo vegetarian": "vegetarian",
    "vegan": "vegan",
    "pescetarian": "pescetarian",
    "paleo": "paleo",
    "low fodmap": "low-fodmap",
}
_INTOLERANCES = {"dairy": "dairy-free", "gluten": "gluten-free"}
#: The catalogue's name -> what an answer calls it.
_DIET_LABELS = {
    "gluten-free": "gluten free",
    "dairy-free": "dairy free",
    "vegetarian": "lacto ovo vegetarian",
    "vegan": "vegan",
    "pescetarian": "pescatarian",
    "paleo": "paleolithic",
    "ketogenic": "ketogenic",
    "low-fodmap": "fodmap friendly",
}
_NUTRIENT_NAMES = {
    "energy": "Calories", "fat": "Fat", "saturated_fat": "Saturated Fat", "carbohydrates": "Carbohydrates",
    "sugar": "Sugar", "cholesterol": "Cholesterol", "sodium": "Sodium", "protein": "Protein", "fibre": "Fiber",
    "potassium": "Potassium", "calcium": "Calcium", "iron": "Iron", "vitamin_a": "Vitamin A",
    "vitamin_c": "Vitamin C",
}  # fmt: skip
_BAD = ("energy", "fat", "saturated_fat", "carbohydrates", "sugar", "cholesterol", "sodium")
#: The vendor still counts vitamin A in international units: one is 0.3 µg of retinol.
_IU_PER_UG = 1 / 0.3
_PLURALS = {"cup": "cups", "clove": "cloves", "slice": "slices", "pinch": "pinches"}


class _RefusalError(Exception):
    """The request is refused with this status and sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class SpoonacularFake(FakeServer):
    """A Spoonacular that accepts `api_keys`, and allows each of them `points_per_day` (the free plan: 50)."""

    CREDENTIALS: ClassVar[Mapping[str, str]] = {"api_key": API_KEY}

    def __init__(
        self,
        *,
        api_keys: Iterable[str] = (API_KEY,),
        points_per_day: float = 1_000_000,
        port: int = 0,
        faults: Faults | None = None,
        random: Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(port=port, faults=faults, random=random, clock=clock)
        self.api_keys = frozenset(api_keys)
        self.points_per_day = points_per_day
        self._day = ""
        self._used: dict[str, float] = {}

    def operation(self, request: FakeRequest) -> str:
        """Return the vendor's operationId, or `unknown`."""
        if request.method != "GET":
            return "unknown"
        return next((name for name, path in _PATHS.items() if path.fullmatch(request.path)), "unknown")

    def answer(self, request: FakeRequest) -> FakeReply:
        """Check the key, the pace and the points, in this order, then serve."""
        key = request.headers.get("x-api-key") or request.value("apiKey") or ""
        if key not in self.api_keys:
            return self.error(401)
        if self.faults.is_throttled:
            reply = self.error(429)
            return msgspec.structs.replace(reply, headers=self.faults.retry_after())
        if self.faults.is_quota_exhausted or self.points_used(key) >= self.points_per_day:
            return self._refuse_quota(key)
        try:
            points, body = self._serve_recipes(request)
        except _RefusalError as refusal:
            return _failure(refusal.status, str(refusal))
        return FakeReply(status=200, body=body, headers=self._charge(key, points))

    def error(self, status: int) -> FakeReply:
        """Return the vendor's error document."""
        return _failure(status, _MESSAGES.get(status, "Something went wrong on our side."))

    def forget(self) -> None:
        """Give every key its points back."""
        self._used.clear()

    def points_used(self, key: str) -> float:
        """Return what a key has used since midnight UTC."""
        today = datetime.fromtimestamp(self.clock.wall(), UTC).date().isoformat()
        if today != self._day:
            self._day = today
            self._used.clear()
        return self._used.get(key, 0.0)

    def _charge(self, key: str, points: float) -> Pairs:
        self._used[key] = used = self.points_used(key) + points
        left = max(0.0, self.points_per_day - used)
        return (
            ("X-API-Quota-Request", f"{points:.3f}"),
            ("X-API-Quota-Used", f"{used:.3f}"),
            ("X-API-Quota-Left", f"{left:.3f}"),
        )

    def _refuse_quota(self, key: str) -> FakeReply:
        reply = _failure(
            402,
            f"Your daily points limit of {self.points_per_day:.0f} has been reached. "
            "Please upgrade your plan to continue using the API.",
        )
        return msgspec.structs.replace(reply, headers=self._charge(key, 0.0))

    def _serve_recipes(self, request: FakeRequest) -> tuple[float, bytes]:
        """Return the price in points and the body."""
        match self.operation(request):
            case "searchRecipes":
                return _search(request)
            case "getRecipeInformationBulk":
                return _bulk(request)
            case "getRecipeInformation" as name:
                recipe = _recipe(_PATHS[name], request.path)
                has_nutrition = _flag(request, "includeNutrition")
                points = _REQUEST_POINTS + _NUTRITION_POINTS * has_nutrition
                return points, _render(recipe.id, has_nutrition=has_nutrition)
            case "getRecipeNutritionWidgetByID" as name:
                return _REQUEST_POINTS, _render_widget(_recipe(_PATHS[name], request.path).id)
        raise _RefusalError(404, _MESSAGES[404])


def _failure(status: int, message: str) -> FakeReply:
    return FakeReply.json(status, {"status": "failure", "code": status, "message": message})


def _search(request: FakeRequest) -> tuple[float, bytes]:
    text = request.value("query")
    if not text:
        raise _RefusalError(400, "The query parameter is required.")
    number = _integer(request, "number", 10, 1, _MAX_NUMBER)
    offset = _integer(request, "offset", 0, 0, _MAX_OFFSET)
    extras = {
        "has_information": _flag(request, "addRecipeInformation"),
        "has_nutrition": _flag(request, "addRecipeNutrition"),
        "has_ingredients": _flag(request, "fillIngredients"),
    }
    wanted = _wanted_diets(request)
    minutes = _integer(request, "maxReadyTime", 1_000_000, 0, 1_000_000)
    found = [each for each in find(text) if wanted <= each.diets and each.total_minutes <= minutes]
    shown = found[offset : offset + number]
    points = _REQUEST_POINTS + (_RESULT_POINTS + _EXTRA_POINTS * sum(extras.values())) * len(shown)
    return points, msgspec.json.encode(
        {
            "results": [msgspec.Raw(_render(each.id, **extras)) for each in shown],
            "offset": offset,
            "number": number,
            "totalResults": len(found),
        }
    )


def _bulk(request: FakeRequest) -> tuple[float, bytes]:
    """Answer with those that there are: a point for the first, and half a point for every further one."""
    asked = (request.value("ids") or "").split(",")
    if not all(each.isdecimal() for each in asked):
        raise _RefusalError(400, "The ids must be numbers, parted by commas.")
    known = [each for each in dict.fromkeys(map(int, asked)) if each in recipes()]
    has_nutrition = _flag(request, "includeNutrition")
    points = _REQUEST_POINTS + _FURTHER_RECIPE_POINTS * max(0, len(known) - 1)
    return points, msgspec.json.encode([msgspec.Raw(_render(each, has_nutrition=has_nutrition)) for each in known])


def _wanted_diets(request: FakeRequest) -> set[str]:
    """Read `diet` and `intolerances`: names parted by commas, all of which must hold."""
    wanted: set[str] = set()
    for parameter, names in (("diet", _DIETS), ("intolerances", _INTOLERANCES)):
        for name in (request.value(parameter) or "").lower().split(","):
            if name and name not in names:
                raise _RefusalError(400, f"The {parameter} {name!r} is not supported.")
            wanted.update({names[name]} if name else ())
    return wanted


def _recipe(path: re.Pattern[str], asked: str) -> CatalogueRecipe:
    match = path.fullmatch(asked)
    identifier = match[1] if match else ""
    if not identifier.isdecimal():
        raise _RefusalError(400, "The id must be a number.")
    recipe = recipes().get(int(identifier))
    if recipe is None:
        raise _RefusalError(404, f"A recipe with the id {identifier} does not exist.")
    return recipe


def _flag(request: FakeRequest, name: str) -> bool:
    text = request.value(name) or "false"
    if text not in {"true", "false"}:
        raise _RefusalError(400, f"{name} is either true or false.")
    return text == "true"


def _integer(request: FakeRequest, name: str, default: int, least: int, most: int) -> int:
    text = request.value(name)
    if text is None:
        return default
    if not text.isdecimal() or not least <= int(text) <= most:
        raise _RefusalError(400, f"{name} is a number between {least} and {most}.")
    return int(text)


@cache
def _render(
    identifier: int, *, has_information: bool = True, has_nutrition: bool, has_ingredients: bool = True
) -> bytes:
    """Write one recipe as the vendor does, with the parts that were asked for."""
    recipe = recipes()[identifier]
    size = "556x370" if has_information else "312x231"
    document: dict[str, Any] = {
        "id": recipe.id,
        "title": recipe.title,
        "image": f"https://images.example/recipes/{recipe.id}-{size}.jpg",
        "imageType": "jpg",
    }
    if has_information:
        document |= _information(recipe)
    if has_ingredients:
        document["extendedIngredients"] = [_ingredient(each) for each in recipe.ingredients]
    if has_nutrition:
        nutrients = [_nutrient(name, recipe) for name in _NUTRIENT_NAMES]
        document["nutrition"] = {"nutrients": nutrients}
    return msgspec.json.encode(document)


def _information(recipe: CatalogueRecipe) -> dict[str, Any]:
    slug = recipe.title.lower().replace(" ", "-")
    steps = [{"number": number, "step": text} for number, text in enumerate(recipe.steps, 1)]
    return {
        "servings": recipe.servings,
        "readyInMinutes": recipe.total_minutes,
        "preparationMinutes": recipe.preparation_minutes,
        "cookingMinutes": recipe.cooking_minutes or None,
        "sourceName": "The Made-up Kitchen",
        "sourceUrl": f"https://kitchen.example/{slug}",
        "spoonacularSourceUrl": f"https://spoonacular.example/{slug}-{recipe.id}",
        "creditsText": "The Made-up Kitchen",
        "license": "CC BY 4.0",
        "aggregateLikes": recipe.id % 300,
        "healthScore": recipe.id % 100,
        "spoonacularScore": 50 + recipe.id % 50,
        "pricePerServing": 100.0 + recipe.id % 400,
        "cheap": recipe.id % 400 < 100,
        "veryHealthy": recipe.id % 100 > 80,
        "veryPopular": recipe.id % 300 > 250,
        "sustainable": False,
        "gaps": "no",
        "weightWatcherSmartPoints": round(recipe.nutrients["energy"] / 35),
        "vegetarian": "vegetarian" in recipe.diets,
        "vegan": "vegan" in recipe.diets,
        "glutenFree": "gluten-free" in recipe.diets,
        "dairyFree": "dairy-free" in recipe.diets,
        "lowFodmap": "low-fodmap" in recipe.diets,
        "diets": [label for diet, label in _DIET_LABELS.items() if diet in recipe.diets],
        "cuisines": [recipe.cuisine],
        "dishTypes": list(recipe.courses),
        "occasions": [],
        "summary": f"{recipe.title} serves {recipe.servings} and takes <b>{recipe.total_minutes} minutes</b>.",
        "instructions": " ".join(recipe.steps),
        "analyzedInstructions": [{"name": "", "steps": steps}],
    }


def _ingredient(each: CatalogueIngredient) -> dict[str, Any]:
    unit = each.unit or ""
    unit = unit if each.amount == 1 else _PLURALS.get(unit, unit)
    own = {"amount": each.amount, "unitShort": unit, "unitLong": unit}
    weight = {"amount": round(each.grams, 3), "unitShort": "g", "unitLong": "grams"}
    return {
        "id": each.id,
        "aisle": "Produce",
        "image": f"{each.name.replace(' ', '-')}.jpg",
        "consistency": "LIQUID" if each.unit == "ml" else "SOLID",
        "name": each.name,
        "original": each.text,
        "originalName": each.name,
        "amount": each.amount,
        "unit": unit,
        "meta": [],
        "measures": {"us": own, "metric": weight},
    }


def _nutrient(name: str, recipe: CatalogueRecipe) -> dict[str, Any]:
    unit, daily = NUTRIENTS[name]
    amount = recipe.nutrients[name]
    shown, spelled = (amount * _IU_PER_UG, "IU") if name == "vitamin_a" else (amount, unit)
    return {
        "name": _NUTRIENT_NAMES[name],
        "amount": round(shown, 2),
        "unit": spelled.replace("ug", "µg"),
        "percentOfDailyNeeds": round(100 * amount / daily, 2),
    }


@cache
def _render_widget(identifier: int) -> bytes:
    """Write the nutrition widget: amounts are texts, and calories have no unit."""
    recipe = recipes()[identifier]
    rows = {name: _widget_row(_nutrient(name, recipe)) for name in _NUTRIENT_NAMES}
    return msgspec.json.encode(
        {
            "calories": rows["energy"]["amount"],
            "carbs": rows["carbohydrates"]["amount"],
            "fat": rows["fat"]["amount"],
            "protein": rows["protein"]["amount"],
            "bad": [row for name, row in rows.items() if name in _BAD],
            "good": [row for name, row in rows.items() if name not in _BAD],
        }
    )


def _widget_row(nutrient: dict[str, Any]) -> dict[str, Any]:
    unit = "" if nutrient["unit"] == "kcal" else nutrient["unit"]
    return {
        "title": nutrient["name"],
        "amount": f"{round(nutrient['amount'])}{unit}",
        "indented": nutrient["name"] in {"Saturated Fat", "Sugar"},
        "percentOfDailyNeeds": nutrient["percentOfDailyNeeds"],
    }
