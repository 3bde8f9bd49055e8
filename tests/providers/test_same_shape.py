"""The same recipe at two vendors is the same in our words: that is what makes failover unnoticed."""

import pytest

from fairlead.capabilities.recipes import DIETS, NUTRIENTS, Recipe, RecipeQuery
from fairlead.providers import edamam, spoonacular
from fairlead.testing import catalogue
from fairlead.testing.fakes.edamam import APP_ID, APP_KEY, EdamamFake
from fairlead.testing.fakes.spoonacular import API_KEY, SpoonacularFake
from provider_suite import Live

# One vendor counts vitamin A in international units, which say nothing sure about a mass.
IN_DOUBT = {"vitamin_a", "vitamin_a_iu"}


async def both(text: str) -> tuple[tuple[Recipe, ...], tuple[Recipe, ...]]:
    """Return what each vendor finds."""
    query = RecipeQuery(text=text)
    async with SpoonacularFake() as one, EdamamFake() as other:
        keys = {"app_id": APP_ID, "app_key": APP_KEY}
        async with (
            Live(spoonacular.PROVIDER, {"api_key": API_KEY}, one.url) as here,
            Live(edamam.PROVIDER, keys, other.url) as there,
        ):
            first = await here.run(spoonacular.SpoonacularRecipes("one").search(query))
            second = await there.run(edamam.EdamamRecipes("other").search(query))
    return first.items, second.items


@pytest.mark.parametrize("text", ["tomato pasta", "spicy lentil soup", "sweet potato curry", "salmon"])
async def test_the_same_recipe_has_the_same_shape(text: str) -> None:
    pairs = list(zip(*await both(text), strict=True))
    assert pairs
    for first, second in pairs:
        assert first.title == second.title
        assert first.servings == second.servings
        assert first.total_time_s == second.total_time_s
        assert first.cuisines == second.cuisines
        assert first.ingredients == second.ingredients
        assert set(first.diets) & DIETS == set(second.diets) & DIETS


async def test_the_same_recipe_has_the_same_nutrients_in_the_same_units() -> None:
    for first, second in zip(*await both("chicken stew"), strict=True):
        assert first.nutrition is not None
        assert second.nutrition is not None
        ours = {each.code: each for each in first.nutrition.nutrients if each.code not in IN_DOUBT}
        theirs = {each.code: each for each in second.nutrition.nutrients if each.code not in IN_DOUBT}
        assert ours.keys() == theirs.keys()
        for code, nutrient in ours.items():
            assert nutrient.unit == theirs[code].unit == NUTRIENTS[code]
            assert nutrient.amount == pytest.approx(theirs[code].amount, abs=0.01)


def test_the_catalogue_is_large_and_every_query_finds_something() -> None:
    assert len(catalogue.recipes()) >= 300
    queries = catalogue.queries()
    assert len(set(queries)) == len(queries) >= 1500
    assert all(catalogue.find(query) for query in queries)


def test_what_fits_best_comes_first() -> None:
    assert catalogue.find("spicy lentil soup")[0].title.endswith("Lentil Soup")
    assert catalogue.find("Tomatoes, pasta!") == catalogue.find("tomato pasta")
    assert catalogue.find("xyzzy") == ()


def test_every_diet_has_recipes() -> None:
    assert {diet for recipe in catalogue.recipes().values() for diet in recipe.diets} == DIETS
