"""Some hundred made-up recipes, the same in every process, that both recipe fakes serve in their vendor's shape.

Every food is cooked as every dish, so that two fakes can be asked for the same recipe, and any query that names a
food, a dish, a cuisine or a manner finds something.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import product

import msgspec

from fairlead.testing.pantry import ADJECTIVES, DISHES, EXTRAS, MAINS, NUTRIENTS, Dish, Food, Trait

FIRST_ID = 700_001
_SERVINGS = (2, 4, 6)

#: Diet -> what its followers do not eat.
_FORBIDDEN = {
    "vegan": {Trait.MEAT, Trait.FISH, Trait.DAIRY, Trait.EGG},
    "vegetarian": {Trait.MEAT, Trait.FISH},
    "pescetarian": {Trait.MEAT},
    "gluten-free": {Trait.GLUTEN},
    "dairy-free": {Trait.DAIRY},
    "paleo": {Trait.DAIRY, Trait.GLUTEN, Trait.GRAIN, Trait.LEGUME},
    "low-fodmap": {Trait.FODMAP},
}
#: The most carbohydrates in a ketogenic serving, in grams.
_KETOGENIC_CARBOHYDRATES = 10


class CatalogueIngredient(msgspec.Struct, frozen=True, kw_only=True):
    """One ingredient, in the amount for all servings; `unit` is None for what is counted."""

    id: int
    name: str
    text: str
    amount: float
    unit: str | None
    grams: float


class CatalogueRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """One recipe. Nutrients are per serving, in the units of `NUTRIENTS`."""

    id: int
    title: str
    cuisine: str
    courses: tuple[str, ...]
    servings: int
    preparation_minutes: int
    cooking_minutes: int
    ingredients: tuple[CatalogueIngredient, ...]
    steps: tuple[str, ...]
    nutrients: dict[str, float]
    diets: frozenset[str]

    @property
    def total_minutes(self) -> int:
        """The time from the first cut to the table."""
        return self.preparation_minutes + self.cooking_minutes


@cache
def recipes() -> dict[int, CatalogueRecipe]:
    """Return every recipe by its id."""
    made = (
        _cook(FIRST_ID + place, place, food, dish) for place, (food, dish) in enumerate(product(MAINS.values(), DISHES))
    )
    return {recipe.id: recipe for recipe in made}


@cache
def find(text: str) -> tuple[CatalogueRecipe, ...]:
    """Return the recipes that any word of the text fits, those that most words fit first."""
    hits: Counter[int] = Counter()
    for word in sorted(_words(text)):
        hits.update(_index().get(word, ()))
    ranked = sorted(hits, key=lambda identifier: (-hits[identifier], identifier))
    return tuple(recipes()[identifier] for identifier in ranked)


@cache
def queries() -> tuple[str, ...]:
    """Return some thousand distinct things that people search for, of two or three words, each with results."""
    pairs = [f"{food} {dish.name}" for food, dish in product(MAINS, DISHES)]
    return (*pairs, *(f"{adjective} {pair}" for adjective, pair in product(ADJECTIVES, pairs)))


@cache
def _index() -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for recipe in recipes().values():
        names = (each.name for each in recipe.ingredients)
        for word in _words(recipe.title, *names, *recipe.courses, *recipe.diets):
            found.setdefault(word, set()).add(recipe.id)
    return {word: frozenset(identifiers) for word, identifiers in found.items()}


def _words(*texts: str) -> set[str]:
    """Return the words of the texts, in the singular."""
    return {_singular(word) for text in texts for word in re.findall(r"[a-z0-9]+", text.lower())}


def _singular(word: str) -> str:
    return word.removesuffix("es") if word.endswith("oes") else word.removesuffix("s")


def _cook(identifier: int, place: int, main: Food, dish: Dish) -> CatalogueRecipe:
    """Make one recipe. Everything that varies hangs on its place in the catalogue, so that it never changes."""
    servings = _SERVINGS[place % len(_SERVINGS)]
    cuisine = dish.cuisines[place % len(dish.cuisines)]
    adjective = ADJECTIVES[(place * 3 + place // len(DISHES)) % len(ADJECTIVES)]
    foods = (main, *(EXTRAS[name] for name in dish.extras))
    nutrients = _nutrients(foods)
    return CatalogueRecipe(
        id=identifier,
        title=f"{adjective} {cuisine} {main.name} {dish.name}".title(),
        cuisine=cuisine,
        courses=dish.courses,
        servings=servings,
        preparation_minutes=dish.preparation_minutes,
        cooking_minutes=dish.cooking_minutes + 5 * (place % 4 if dish.cooking_minutes else 0),
        ingredients=tuple(_measure(food, servings) for food in foods),
        steps=tuple(step.replace("{main}", main.name) for step in dish.steps),
        nutrients=nutrients,
        diets=frozenset(_diets(foods, nutrients)),
    )


def _measure(food: Food, servings: int) -> CatalogueIngredient:
    amount = food.amount * servings
    words = (f"{amount:g}", food.unit, food.name)
    return CatalogueIngredient(
        id=food.id,
        name=food.name,
        text=" ".join(word for word in words if word),
        amount=amount,
        unit=food.unit,
        grams=amount * food.grams_per_unit,
    )


def _nutrients(foods: Iterable[Food]) -> dict[str, float]:
    """Add up what is in one serving."""
    totals = dict.fromkeys(NUTRIENTS, 0.0)
    for food in foods:
        hundreds = food.amount * food.grams_per_unit / 100
        for name, amount in food.per_100_g.items():
            totals[name] += amount * hundreds
    return {name: round(amount, 2) for name, amount in totals.items()}


def _diets(foods: Iterable[Food], nutrients: dict[str, float]) -> Iterable[str]:
    traits = {trait for food in foods for trait in food.traits}
    yield from (diet for diet, forbidden in _FORBIDDEN.items() if not traits & forbidden)
    if nutrients["carbohydrates"] <= _KETOGENIC_CARBOHYDRATES:
        yield "ketogenic"
