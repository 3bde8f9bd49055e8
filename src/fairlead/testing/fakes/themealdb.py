"""A stand-in for TheMealDB: search by name and one meal by its id, with the key in the path.

Written from a stored copy of the vendor's OpenAPI description 2.0 (of 2026-08-26), which declares no status but 200,
and for what stands in place of meals a text, an object or null. Which texts, how many meals the test key is given and
what a wrong path is answered with, users measured or quote, see `tests/providers/themealdb/overlay.json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cache
from random import Random
from typing import ClassVar

import msgspec

from fairlead.model.ports import Clock
from fairlead.testing.catalogue import CatalogueIngredient, CatalogueRecipe, recipes
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.faults import Faults
from fairlead.testing.server import FakeServer

#: The key that is accepted when nobody says otherwise, and the public one that is given less.
API_KEY = "fake-key"
TEST_KEY = "1"
TEST_KEY_MEALS = 25

_PATHS = {
    "search": re.compile(r"(?:/api/json/v[12])?/([^/]+)/search\.php"),
    "lookup": re.compile(r"(?:/api/json/v[12])?/([^/]+)/lookup\.php"),
}
_SLOTS = 20
_CATEGORIES = {
    "beef": "Beef", "chicken": "Chicken", "lamb": "Lamb", "pork": "Pork", "salmon": "Seafood", "tuna": "Seafood",
    "shrimp": "Seafood", "cod": "Seafood",
}  # fmt: skip
_PLURALS = {"cup": "cups", "clove": "cloves", "slice": "slices", "pinch": "pinches"}


class TheMealDBFake(FakeServer):
    """A TheMealDB that accepts `api_keys`; under the public test key it gives only the first 25 meals."""

    CREDENTIALS: ClassVar[Mapping[str, str]] = {"api_key": API_KEY}

    def __init__(
        self,
        *,
        api_keys: Iterable[str] = (API_KEY, TEST_KEY),
        port: int = 0,
        faults: Faults | None = None,
        random: Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(port=port, faults=faults, random=random, clock=clock)
        self.api_keys = frozenset(api_keys)

    def operation(self, request: FakeRequest) -> str:
        """Return the operation's name, or `unknown`."""
        if request.method != "GET":
            return "unknown"
        return next((name for name, path in _PATHS.items() if path.fullmatch(request.path)), "unknown")

    def answer(self, request: FakeRequest) -> FakeReply:
        """Check the path, the pace and the key, then serve."""
        operation = self.operation(request)
        if operation == "unknown":
            return self.error(404)
        if self.faults.is_throttled or self.faults.is_quota_exhausted:
            return msgspec.structs.replace(self.error(429), headers=self.faults.retry_after())
        match = _PATHS[operation].fullmatch(request.path)
        key = match[1] if match else ""
        if key not in self.api_keys:
            return FakeReply.json(200, {"meals": {"Message": "This key has no access."}})
        return _search(request, key) if operation == "search" else _look_up(request)

    def error(self, status: int) -> FakeReply:
        """Return an error in the form that is assumed, as none is documented."""
        return FakeReply.json(status, {"message": f"Error {status}"})


def _search(request: FakeRequest, key: str) -> FakeReply:
    """Find the text within the names."""
    text = (request.value("s") or "").lower()
    found = [each.id for each in recipes().values() if text in each.title.lower()]
    return _meals(found[:TEST_KEY_MEALS] if key == TEST_KEY else found)


def _look_up(request: FakeRequest) -> FakeReply:
    identifier = request.value("i") or ""
    if not re.fullmatch("[0-9]{1,18}", identifier):
        return FakeReply.json(200, {"meals": "Invalid ID"})
    return _meals([int(identifier)] if int(identifier) in recipes() else [])


def _meals(identifiers: list[int]) -> FakeReply:
    return FakeReply.json(200, {"meals": [msgspec.Raw(_render(each)) for each in identifiers] or None})


@cache
def _render(identifier: int) -> bytes:
    """Write one meal as the vendor does: twenty slots, of which the empty ones hold nothing or an empty text."""
    recipe = recipes()[identifier]
    empty = "" if identifier % 2 else None
    slots: list[tuple[str | None, str | None]] = [(each.name.title(), _measure(each)) for each in recipe.ingredients]
    slots += [(empty, empty)] * (_SLOTS - len(slots))
    slug = recipe.title.lower().replace(" ", "-")
    document: dict[str, str | None] = {
        "idMeal": str(recipe.id),
        "strMeal": recipe.title,
        "strMealAlternate": None,
        "strCategory": _category(recipe),
        "strArea": recipe.cuisine,
        "strInstructions": "\r\n\r\n".join(f"STEP {number}\r\n{text}" for number, text in enumerate(recipe.steps, 1)),
        "strMealThumb": f"https://images.example/media/meals/{recipe.id}.jpg",
        "strTags": ",".join(course.title() for course in recipe.courses),
        "strYoutube": f"https://videos.example/watch?v={recipe.id}",
        **{f"strIngredient{number}": name for number, (name, _) in enumerate(slots, 1)},
        **{f"strMeasure{number}": measure for number, (_, measure) in enumerate(slots, 1)},
        "strSource": f"https://kitchen.example/{slug}",
        "strImageSource": None,
        "strCreativeCommonsConfirmed": None,
        "dateModified": None,
    }
    return msgspec.json.encode(document)


def _category(recipe: CatalogueRecipe) -> str:
    """Return one of the vendor's fourteen."""
    fallback = "Vegan" if "vegan" in recipe.diets else "Vegetarian" if "vegetarian" in recipe.diets else "Miscellaneous"
    return _CATEGORIES.get(recipe.ingredients[0].name, fallback)


def _measure(each: CatalogueIngredient) -> str:
    """Write an amount as the vendor's contributors do: `400g`, `1 1/2 cups`, `3`."""
    whole, part = divmod(Fraction(each.amount), 1)
    number = " ".join(str(number) for number in (whole, part) if number) or "0"
    if each.unit in {"g", "ml"}:
        return f"{each.amount:g}{each.unit}"
    unit = (each.unit or "") if each.amount <= 1 else _PLURALS.get(each.unit or "", each.unit or "")
    return f"{number} {unit}".strip()
