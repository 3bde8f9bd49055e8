"""A stand-in for Edamam's Recipe Search API v2: search with the vendor's own links, and one recipe by its id.

Written from a stored copy of the vendor's OpenAPI description 2.9, which declares lists of errors for 400, 403 and
404, and from a third-party one (2026-08-22). 401 and 429 are as users quote them in public repositories, see
`tests/providers/edamam/overlay.json`.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64Error
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from random import Random
from typing import Any, ClassVar
from urllib.parse import urlencode

import msgspec

from fairlead.model.ports import Clock
from fairlead.testing.catalogue import CatalogueIngredient, CatalogueRecipe, find, recipes
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.faults import Faults
from fairlead.testing.pantry import NUTRIENTS
from fairlead.testing.server import FakeServer

#: The credentials that are accepted when nobody says otherwise.
APP_ID = "fake-id"
APP_KEY = "fake-key"

_SEARCH = "/api/recipes/v2"
_PATHS = {"searchRecipes": re.compile(_SEARCH), "getRecipeById": re.compile(rf"{_SEARCH}/([^/]+)")}
_PAGE_SIZE = 20
_MINUTE_S = 60.0
_TYPES = frozenset({"public", "user", "any", "edamam-generic"})
# More than the catalogue tells apart: the contract knows them, so asking for one is no mistake, and finds nothing.
_OTHER_HEALTH_LABELS = {
    "alcohol-cocktail", "alcohol-free", "celery-free", "crustacean-free", "dash", "egg-free",
    "fish-free", "immuno-supportive", "kidney-friendly", "kosher", "low-fat-abs", "low-potassium",
    "low-sugar", "lupine-free", "mediterranean", "mollusk-free", "mustard-free", "no-oil-added",
    "peanut-free", "pork-free", "red-meat-free", "sesame-free", "shellfish-free", "soy-free",
    "sugar-conscious", "sulfite-free", "tree-nut-free", "wheat-free",
}  # fmt: skip
#: The catalogue's name -> the vendor's label.
_HEALTH_LABELS = {
    "vegan": "Vegan",
    "vegetarian": "Vegetarian",
    "pescetarian": "Pescatarian",
    "gluten-free": "Gluten-Free",
    "dairy-free": "Dairy-Free",
    "paleo": "Paleo",
    "ketogenic": "Keto-Friendly",
    "low-fodmap": "FODMAP-Free",
}
_HEALTH_NAMES = {label.lower(): diet for diet, label in _HEALTH_LABELS.items()}
#: Label -> the nutrient, and the least and the most of it in a serving.
_DIET_LABELS = {
    "High-Protein": ("protein", 25, float("inf")),
    "High-Fiber": ("fibre", 8, float("inf")),
    "Low-Carb": ("carbohydrates", 0, 20),
    "Low-Fat": ("fat", 0, 10),
    "Low-Sodium": ("sodium", 0, 140),
    "Balanced": ("energy", 300, 600),
}
_NUTRIENT_TAGS = {
    "energy": ("ENERC_KCAL", "Energy"), "fat": ("FAT", "Fat"), "saturated_fat": ("FASAT", "Saturated"),
    "carbohydrates": ("CHOCDF", "Carbs"), "fibre": ("FIBTG", "Fiber"), "sugar": ("SUGAR", "Sugars"),
    "protein": ("PROCNT", "Protein"), "cholesterol": ("CHOLE", "Cholesterol"), "sodium": ("NA", "Sodium"),
    "calcium": ("CA", "Calcium"), "potassium": ("K", "Potassium"), "iron": ("FE", "Iron"),
    "vitamin_a": ("VITA_RAE", "Vitamin A"), "vitamin_c": ("VITC", "Vitamin C"),
}  # fmt: skip
_MEASURES = {"g": "gram", "ml": "milliliter", "tbsp": "tablespoon", "tsp": "teaspoon", None: "<unit>"}


class _RefusalError(Exception):
    """The request is refused with this status and list of errors."""

    def __init__(self, status: int, code: str, message: str, *params: str) -> None:
        super().__init__(message)
        self.status = status
        self.errors = [{"errorCode": code, "message": message, "params": list(params)}]


class EdamamFake(FakeServer):
    """An Edamam that accepts the application ids and keys of `applications`.

    `calls_per_minute` and `calls_per_month` hold for each application (the developer plan: 10 a minute). With
    `needs_account_user`, requests without the header `Edamam-Account-User` are refused.
    """

    CREDENTIALS: ClassVar[Mapping[str, str]] = {"app_id": APP_ID, "app_key": APP_KEY}

    def __init__(
        self,
        *,
        applications: Mapping[str, str] | None = None,
        calls_per_minute: int = 1_000_000,
        calls_per_month: int = 1_000_000_000,
        needs_account_user: bool = False,
        port: int = 0,
        faults: Faults | None = None,
        random: Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(port=port, faults=faults, random=random, clock=clock)
        self.applications = {APP_ID: APP_KEY} if applications is None else dict(applications)
        self.calls_per_minute = calls_per_minute
        self.calls_per_month = calls_per_month
        self.needs_account_user = needs_account_user
        self._calls: dict[str, deque[float]] = {}
        self._month = ""
        self._used: dict[str, int] = {}

    def operation(self, request: FakeRequest) -> str:
        """Return the operation's name in the contract, or `unknown`."""
        if request.method != "GET":
            return "unknown"
        return next((name for name, path in _PATHS.items() if path.fullmatch(request.path)), "unknown")

    def answer(self, request: FakeRequest) -> FakeReply:
        """Check the credentials, then the limits, then serve."""
        application = request.value("app_id") or ""
        if application not in self.applications or self.applications[application] != request.value("app_key"):
            return _status_error(401, f"Unauthorized app_id = {application}")
        if self.needs_account_user and "edamam-account-user" not in request.headers:
            return _status_error(401, "The Edamam-Account-User header is missing")
        if self.faults.is_throttled or self.faults.is_quota_exhausted or not self._admit(application):
            reply = self.error(429)
            return msgspec.structs.replace(reply, headers=self.faults.retry_after())
        try:
            match self.operation(request):
                case "searchRecipes":
                    return self._search(request)
                case "getRecipeById":
                    return _fetch(request)
        except _RefusalError as refusal:
            return FakeReply.json(refusal.status, refusal.errors)
        return self.error(404)

    def error(self, status: int) -> FakeReply:
        """Return the vendor's error: a list where its contract declares one, else what its gateway answers."""
        if status in {400, 403, 404}:
            return FakeReply.json(
                status, [{"errorCode": str(status), "message": "The request was refused", "params": []}]
            )
        return _status_error(status, "Usage limits are exceeded" if status == 429 else "Service unavailable")

    def forget(self) -> None:
        """Give every application its calls back."""
        self._calls.clear()
        self._used.clear()

    def _admit(self, application: str) -> bool:
        """Count a call of this minute and month, where there is room in both."""
        now = self.clock.monotonic()
        month = f"{datetime.fromtimestamp(self.clock.wall(), UTC):%Y-%m}"
        if month != self._month:
            self._month = month
            self._used.clear()
        recent = self._calls.setdefault(application, deque())
        while recent and recent[0] <= now - _MINUTE_S:
            recent.popleft()
        used = self._used.get(application, 0)
        if len(recent) >= self.calls_per_minute or used >= self.calls_per_month:
            return False
        recent.append(now)
        self._used[application] = used + 1
        return True

    def _search(self, request: FakeRequest) -> FakeReply:
        _check_type(request)
        text = request.value("q")
        if not text:
            raise _RefusalError(400, "MISSING_PARAMETER", "Missing parameter q", "q")
        start = _read_continuation(request.value("_cont"))
        diets, labels = _wanted_health(request), frozenset(map(str.lower, request.values("diet")))
        least, most = _read_range(request.value("time"))
        found = [
            each
            for each in find(text)
            if diets <= each.diets
            and least <= each.total_minutes <= most
            and labels <= {label.lower() for label in _diet_labels(each)}
        ]
        shown = found[start : start + _PAGE_SIZE]
        end = start + len(shown)
        fields = request.values("field")
        links = {"next": {"href": self._link(request, end), "title": "Next page"}} if end < len(found) else {}
        return FakeReply.json(
            200,
            {
                "from": start + 1 if shown else 0,
                "to": end,
                "count": len(found),
                "_links": links,
                "hits": [msgspec.Raw(_render(each.id, fields)) for each in shown],
            },
        )

    def _link(self, request: FakeRequest, start: int) -> str:
        """Write the link to the next page; as the vendor does, with the credentials of the request in it."""
        kept = [(name, value) for name, value in request.query if name != "_cont"]
        return f"{self.url}{_SEARCH}?{urlencode([*kept, ('_cont', _write_continuation(start))])}"


def _status_error(status: int, message: str) -> FakeReply:
    return FakeReply.json(status, {"status": "error", "message": message})


def _fetch(request: FakeRequest) -> FakeReply:
    _check_type(request)
    match = _PATHS["getRecipeById"].fullmatch(request.path)
    identifier = _identifiers().get(match[1] if match else "")
    if identifier is None:
        raise _RefusalError(404, "NOT_FOUND", "The recipe does not exist", "id")
    return FakeReply(status=200, body=_render(identifier, request.values("field")))


def _check_type(request: FakeRequest) -> None:
    if request.value("type") not in _TYPES:
        raise _RefusalError(400, "INVALID_PARAMETER", "type is public, user or any", "type")


def _wanted_health(request: FakeRequest) -> frozenset[str]:
    """Read the `health` parameters, all of which must hold."""
    asked = frozenset(map(str.lower, request.values("health")))
    if unknown := asked - _HEALTH_NAMES.keys() - _OTHER_HEALTH_LABELS:
        raise _RefusalError(400, "INVALID_PARAMETER", "Unknown health label", "health", *sorted(unknown))
    return frozenset(_HEALTH_NAMES.get(label, label) for label in asked)


def _read_range(text: str | None) -> tuple[float, float]:
    """Read `MIN-MAX`, `MIN+` or `MAX`."""
    match = re.fullmatch(r"(\d+)(?:-(\d+)|(\+))?", text or "0+")
    if match is None:
        raise _RefusalError(400, "INVALID_PARAMETER", "time is MIN-MAX, MIN+ or MAX", "time")
    first, second, is_open = match.groups()
    if second or is_open:
        return float(first), float(second or "inf")
    return 0.0, float(first)


def _write_continuation(start: int) -> str:
    return urlsafe_b64encode(f"start={start}".encode()).decode()


def _read_continuation(text: str | None) -> int:
    if text is None:
        return 0
    try:
        return int(urlsafe_b64decode(text).removeprefix(b"start="))
    except (NotBase64Error, ValueError):
        raise _RefusalError(400, "INVALID_PARAMETER", "The continuation is not ours", "_cont") from None


@cache
def _identifiers() -> dict[str, int]:
    """Return the catalogue's id for each of the vendor's."""
    return {_identifier(each): each.id for each in recipes().values()}


def _identifier(recipe: CatalogueRecipe) -> str:
    return blake2b(recipe.title.encode(), digest_size=16).hexdigest()


@cache
def _render(identifier: int, fields: tuple[str, ...]) -> bytes:
    """Write one hit; `fields` names the parts of the recipe that were asked for, none means all."""
    recipe = recipes()[identifier]
    document = _document(recipe)
    kept = {name: value for name, value in document.items() if not fields or name in fields}
    href = f"https://api.edamam.example{_SEARCH}/{_identifier(recipe)}?type=public"
    return msgspec.json.encode({"recipe": kept, "_links": {"self": {"href": href, "title": "Self"}}})


def _document(recipe: CatalogueRecipe) -> dict[str, Any]:
    name = _identifier(recipe)
    slug = recipe.title.lower().replace(" ", "-")
    return {
        "uri": f"http://www.edamam.com/ontologies/edamam.owl#recipe_{name}",
        "label": recipe.title,
        "image": f"https://images.example/web-img/{name}.jpg",
        "source": "The Made-up Kitchen",
        "url": f"https://kitchen.example/{slug}",
        "shareAs": f"https://edamam.example/recipe/{slug}-{name}",
        "yield": float(recipe.servings),
        "dietLabels": _diet_labels(recipe),
        "healthLabels": [label for diet, label in _HEALTH_LABELS.items() if diet in recipe.diets],
        "cautions": [],
        "ingredientLines": [each.text for each in recipe.ingredients],
        "ingredients": [_ingredient(each) for each in recipe.ingredients],
        "calories": round(recipe.nutrients["energy"] * recipe.servings, 4),
        "totalWeight": sum(each.grams for each in recipe.ingredients),
        "totalTime": float(recipe.total_minutes),
        "cuisineType": [recipe.cuisine.lower()],
        "mealType": ["lunch/dinner"],
        "dishType": [recipe.courses[0]],
        "totalNutrients": {
            tag: _nutrient(label, recipe.nutrients[name] * recipe.servings, NUTRIENTS[name][0])
            for name, (tag, label) in _NUTRIENT_TAGS.items()
        },
        "totalDaily": {
            tag: _nutrient(label, 100 * recipe.nutrients[name] * recipe.servings / NUTRIENTS[name][1], "%")
            for name, (tag, label) in _NUTRIENT_TAGS.items()
        },
    }


def _diet_labels(recipe: CatalogueRecipe) -> list[str]:
    return [label for label, (name, least, most) in _DIET_LABELS.items() if least <= recipe.nutrients[name] <= most]


def _ingredient(each: CatalogueIngredient) -> dict[str, Any]:
    return {
        "text": each.text,
        "quantity": each.amount,
        "measure": _MEASURES.get(each.unit, each.unit),
        "food": each.name,
        "weight": each.grams,
        "foodId": f"food_{each.id}",
        "image": f"https://images.example/food-img/{each.id}.jpg",
    }


def _nutrient(label: str, quantity: float, unit: str) -> dict[str, Any]:
    return {"label": label, "quantity": round(quantity, 4), "unit": unit.replace("ug", "µg")}
