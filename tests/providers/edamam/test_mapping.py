"""Edamam's answers in our words, with canned answers and no socket."""

import json
from typing import Any

import pytest

from fairlead.capabilities.recipes import DIETS, Attribution, Ingredient, Nutrient, Nutrition, Recipe, RecipeQuery
from fairlead.errors import UnexpectedAnswerError
from fairlead.model.call import Ref
from fairlead.model.page import Page
from fairlead.providers.edamam import HEALTH_LABELS, EdamamRecipes
from provider_suite import answer, play

RECIPES = EdamamRecipes("mine")

DOCUMENT: dict[str, Any] = {
    "uri": "http://www.edamam.com/ontologies/edamam.owl#recipe_abc123",
    "label": "Lentil Soup",
    "image": "https://images.example/abc123.jpg",
    "source": "Kitchen",
    "url": "https://kitchen.example/soup",
    "shareAs": "https://edamam.example/soup",
    "yield": 4.0,
    "dietLabels": ["Low-Fat"],
    "healthLabels": ["Vegan", "Pescatarian", "Keto-Friendly", "FODMAP-Free", "Gluten-Free"],
    "ingredientLines": ["2 cups lentils", "1 onion", "salt"],
    "ingredients": [
        {"text": "2 cups lentils", "quantity": 2.0, "measure": "cup", "food": "lentils"},
        {"text": "1 onion", "quantity": 1.0, "measure": "<unit>", "food": "onion"},
        {"text": "salt", "quantity": 0.0, "measure": None, "food": "salt"},
    ],
    "instructionLines": ["Soak.", "Boil."],
    "totalTime": 35.0,
    "cuisineType": ["Indian"],
    "totalNutrients": {
        "ENERC_KCAL": {"label": "Energy", "quantity": 1264.0, "unit": "kcal"},
        "VITA_RAE": {"label": "Vitamin A", "quantity": 400.0, "unit": "µg"},
        "WATER": {"label": "Water", "quantity": 800.0, "unit": "g"},
        "XYZ": {"quantity": 4.0},
    },
    "totalDaily": {"ENERC_KCAL": {"label": "Energy", "quantity": 64.0, "unit": "%"}},
}

NEUTRAL = Recipe(
    ref=Ref("mine", "abc123"),
    title="Lentil Soup",
    image_url="https://images.example/abc123.jpg",
    servings=4,
    total_time_s=2100,
    ingredients=(
        Ingredient(name="lentils", text="2 cups lentils", amount=2, unit="cup"),
        Ingredient(name="onion", text="1 onion", amount=1),
        Ingredient(name="salt", text="salt"),
    ),
    steps=("Soak.", "Boil."),
    nutrition=Nutrition(
        nutrients=(
            Nutrient(code="energy", amount=316, unit="kcal", daily_percent=16),
            Nutrient(code="vitamin_a", amount=100, unit="ug"),
            Nutrient(code="Water", amount=200, unit="g"),
            Nutrient(code="XYZ", amount=1, unit=""),
        )
    ),
    diets=("low-fat", "vegan", "pescetarian", "ketogenic", "low-fodmap", "gluten-free"),
    cuisines=("indian",),
    source_name="Kitchen",
    source_url="https://kitchen.example/soup",
    attributions=(
        Attribution(text="Kitchen", url="https://kitchen.example/soup", is_required=True),
        Attribution(text="Powered by Edamam", url="https://edamam.example/soup", is_required=True),
    ),
)


def fetched(document: dict[str, Any]) -> Recipe:
    _, recipe = play(RECIPES.fetch("abc123"), answer(json.dumps({"recipe": document}).encode()))
    return recipe


def searched(document: Any) -> Page[Recipe]:
    _, page = play(RECIPES.search(RecipeQuery(text="soup")), answer(json.dumps(document).encode()))
    return page


def asked(query: RecipeQuery) -> tuple[tuple[str, str], ...]:
    return next(RECIPES.search(query)).query


def test_every_field_becomes_neutral() -> None:
    assert fetched(DOCUMENT) == NEUTRAL
    assert searched({"hits": [{"recipe": DOCUMENT}], "count": 1}).items == (NEUTRAL,)


def test_nutrients_are_divided_by_the_servings() -> None:
    _, nutrition = play(RECIPES.nutrition("abc123"), answer(json.dumps({"recipe": DOCUMENT}).encode()))
    assert nutrition == NEUTRAL.nutrition
    whole = fetched({**DOCUMENT, "yield": None}).nutrition
    assert whole is not None
    assert whole.amount("energy") == 1264


@pytest.mark.parametrize("field", sorted(DOCUMENT.keys() - {"uri", "label"}))
def test_a_missing_or_null_field_never_breaks(field: str) -> None:
    without = {name: value for name, value in DOCUMENT.items() if name != field}
    assert fetched(without) == fetched({**DOCUMENT, field: None})


@pytest.mark.parametrize(
    "change",
    [
        {"ingredients": [{}]},
        {"ingredients": [{"text": None, "food": None, "quantity": None, "measure": None}]},
        {"totalNutrients": {"FAT": {}}},
        {"totalNutrients": {"FAT": {"label": None, "quantity": None, "unit": None}}},
        {"totalDaily": {"ENERC_KCAL": {"quantity": None}}},
        {"yield": 0},
        {"totalTime": 0},
        {"surprise": {"deep": [1, {"er": None}]}},
    ],
)
def test_holes_and_surprises_inside_never_break(change: dict[str, Any]) -> None:
    assert fetched({**DOCUMENT, **change}).title == "Lentil Soup"


@pytest.mark.parametrize("links", [{}, None, {"next": None}, {"next": {}}, {"next": {"href": None}}])
def test_a_page_without_a_link_is_the_last(links: Any) -> None:
    assert searched({"hits": [], "_links": links}).next is None


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"hits": [{"recipe": {"uri": True, "label": "Soup"}}]}, "$.hits[0].recipe.uri"),
        ({"hits": [{"recipe": DOCUMENT}, {}]}, "$.hits[1]"),
        ({"hits": {}}, "$.hits"),
        ({"hits": [{"recipe": {**DOCUMENT, "yield": "four"}}]}, "$.hits[0].recipe.yield"),
        ({"hits": [{"recipe": {**DOCUMENT, "uri": "elsewhere"}}]}, "$.recipe.uri"),
    ],
)
def test_a_changed_type_is_named_by_its_place(document: dict[str, Any], path: str) -> None:
    with pytest.raises(UnexpectedAnswerError) as caught:
        searched(document)
    assert caught.value.path == path
    assert not caught.value.is_garbled


def test_filters_go_by_the_vendors_names() -> None:
    query = RecipeQuery(text="soup", diets=("ketogenic", "dairy-free"), max_total_time_s=1799)
    assert asked(query) == (
        ("type", "public"),
        ("q", "soup"),
        ("health", "keto-friendly"),
        ("health", "dairy-free"),
        ("time", "1-29"),
    )


def test_every_diet_has_a_label() -> None:
    assert HEALTH_LABELS.keys() == DIETS


def test_less_than_a_minute_is_still_a_filter() -> None:
    assert ("time", "1-1") in asked(RecipeQuery(text="soup", max_total_time_s=30))


def test_the_cursor_is_the_vendors_link_without_the_credentials() -> None:
    href = "https://api.edamam.com/api/recipes/v2?q=soup&app_key=secret&_cont=CHcV%3D%3D&type=public&app_id=id"
    page = searched({"hits": [], "_links": {"next": {"href": href}}})
    assert page.next == Ref("mine", "q=soup&_cont=CHcV%3D%3D&type=public")
    assert next(RECIPES.search_next(page.next.id)).query == (("q", "soup"), ("_cont", "CHcV=="), ("type", "public"))


def test_credentials_put_into_a_cursor_are_not_sent() -> None:
    assert next(RECIPES.search_next("q=soup&app_key=stolen&app_id=theirs")).query == (("q", "soup"),)


def test_the_lines_serve_where_nothing_was_analysed() -> None:
    recipe = fetched({**DOCUMENT, "ingredients": []})
    assert recipe.ingredients[0] == Ingredient(name="2 cups lentils", text="2 cups lentils")
