"""Spoonacular's answers in our words, with canned answers and no socket."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from fairlead.capabilities.recipes import Attribution, Ingredient, Nutrient, Nutrition, Recipe, RecipeQuery
from fairlead.errors import FairleadError, InvalidRequestError, UnexpectedAnswerError
from fairlead.model.call import Ref
from fairlead.model.page import Page
from fairlead.providers.spoonacular import PAGE_SIZE, SpoonacularRecipes
from provider_suite import answer, play

RECIPES = SpoonacularRecipes("mine")

DOCUMENT: dict[str, Any] = {
    "id": 42,
    "title": "Lentil Soup",
    "image": "https://images.example/42.jpg",
    "servings": 4,
    "readyInMinutes": 35,
    "preparationMinutes": 10,
    "cookingMinutes": 25,
    "extendedIngredients": [
        {"name": "lentils", "original": "2 cups red lentils", "amount": 2, "unit": "cups"},
        {"name": "onion", "original": "1 onion", "amount": 1, "unit": ""},
        {"name": "salt", "original": "salt to taste", "amount": 4, "unit": "servings"},
        {"name": None, "original": "love", "amount": None, "unit": None},
    ],
    "analyzedInstructions": [{"steps": [{"step": "Soak."}, {"step": ""}]}, {"steps": [{"step": "Boil."}]}],
    "nutrition": {
        "nutrients": [
            {"name": "Calories", "amount": 316.4, "unit": "kcal", "percentOfDailyNeeds": 15.8},
            {"title": "Sodium", "amount": 1.2, "unit": "g"},
            {"name": "Vitamin A", "amount": 900, "unit": "IU", "percentOfDailyNeeds": 18},
            {"name": "Vitamin K", "amount": 19, "unit": "µg"},
            {"name": "Caffeine", "amount": 0, "unit": "mg"},
        ]
    },
    "diets": ["gluten free", "lacto ovo vegetarian", "vegan", "pescatarian", "paleolithic", "fodmap friendly"],
    "cuisines": ["Indian"],
    "sourceName": "Kitchen",
    "sourceUrl": "https://kitchen.example/42",
    "spoonacularSourceUrl": "https://spoonacular.example/42",
    "creditsText": "Ann of Kitchen",
}

NEUTRAL = Recipe(
    ref=Ref("mine", "42"),
    title="Lentil Soup",
    image_url="https://images.example/42.jpg",
    servings=4,
    total_time_s=2100,
    preparation_time_s=600,
    cooking_time_s=1500,
    ingredients=(
        Ingredient(name="lentils", text="2 cups red lentils", amount=2, unit="cup"),
        Ingredient(name="onion", text="1 onion", amount=1),
        Ingredient(name="salt", text="salt to taste", amount=4, unit="serving"),
        Ingredient(name="love", text="love"),
    ),
    steps=("Soak.", "Boil."),
    nutrition=Nutrition(
        nutrients=(
            Nutrient(code="energy", amount=316.4, unit="kcal", daily_percent=15.8),
            Nutrient(code="sodium", amount=1200, unit="mg"),
            Nutrient(code="vitamin_a_iu", amount=900, unit="iu", daily_percent=18),
            Nutrient(code="vitamin_k", amount=19, unit="ug"),
            Nutrient(code="Caffeine", amount=0, unit="mg"),
        )
    ),
    diets=("gluten-free", "vegetarian", "vegan", "pescetarian", "paleo", "low-fodmap"),
    cuisines=("indian",),
    source_name="Kitchen",
    source_url="https://kitchen.example/42",
    attributions=(
        Attribution(text="Ann of Kitchen", url="https://kitchen.example/42", is_required=True),
        Attribution(text="spoonacular", url="https://spoonacular.example/42", is_required=True),
    ),
)


def fetched(document: dict[str, Any]) -> Recipe:
    _, recipe = play(RECIPES.fetch("42"), answer(json.dumps(document).encode()))
    return recipe


def searched(document: Any, cursor: str | None = None) -> Page[Recipe]:
    operation = RECIPES.search_next(cursor) if cursor else RECIPES.search(RecipeQuery(text="soup"))
    _, page = play(operation, answer(json.dumps(document).encode()))
    return page


def fetched_many(*identifiers: str, items: list[Any]) -> tuple[list[str], Mapping[str, Recipe | FairleadError]]:
    """Return which ids were asked for, and what came of them."""
    requests, found = play(RECIPES.fetch_many(identifiers), answer(json.dumps(items).encode()))
    return [dict(request.query)["ids"] for request in requests], found


def asked(query: RecipeQuery) -> dict[str, str]:
    return dict(next(RECIPES.search(query)).query)


def test_every_field_becomes_neutral() -> None:
    assert fetched(DOCUMENT) == NEUTRAL
    assert searched({"results": [DOCUMENT], "offset": 0, "totalResults": 1}).items == (NEUTRAL,)


@pytest.mark.parametrize("field", sorted(DOCUMENT.keys() - {"id", "title"}))
def test_a_missing_or_null_field_never_breaks(field: str) -> None:
    without = {name: value for name, value in DOCUMENT.items() if name != field}
    assert fetched(without) == fetched({**DOCUMENT, field: None})


@pytest.mark.parametrize(
    "change",
    [
        {"extendedIngredients": [{}]},
        {"analyzedInstructions": [{}, {"steps": None}, {"steps": [{"step": None}]}]},
        {"nutrition": {"nutrients": None}},
        {"nutrition": {"nutrients": [{"name": None, "amount": None, "unit": None}]}},
        {"surprise": {"deep": [1, {"er": None}]}},
    ],
)
def test_holes_and_surprises_inside_never_break(change: dict[str, Any]) -> None:
    assert fetched({**DOCUMENT, **change}).title == "Lentil Soup"


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"results": [{"id": "x", "title": "Soup"}]}, "$.results[0].id"),
        ({"results": [DOCUMENT, {"id": 1, "title": ["Soup"]}]}, "$.results[1].title"),
        ({"results": {}}, "$.results"),
        ({"results": [{**DOCUMENT, "diets": "vegan"}]}, "$.results[0].diets"),
    ],
)
def test_a_changed_type_is_named_by_its_place(document: dict[str, Any], path: str) -> None:
    with pytest.raises(UnexpectedAnswerError) as caught:
        searched(document)
    assert caught.value.path == path
    assert not caught.value.is_garbled


def test_several_are_found_by_their_ids_in_whatever_order_they_come() -> None:
    other = {**DOCUMENT, "id": 7, "title": "Stew"}
    asked, found = fetched_many("42", "7", "007", "9", items=[other, DOCUMENT])
    assert asked == ["42,7,9"]
    assert found.keys() == {"42", "7", "007"}  # what is left out does not exist
    assert found["42"] == NEUTRAL
    assert found["7"] == found["007"] == fetched(other)


def test_one_that_cannot_be_read_does_not_spoil_the_others() -> None:
    _, found = fetched_many("42", "7", items=[{"id": 7, "title": {}}, DOCUMENT])
    assert found["42"] == NEUTRAL
    error = found["7"]
    assert isinstance(error, UnexpectedAnswerError)
    assert error.path == "$.title"


@pytest.mark.parametrize("wrong", ["1,2", "soup", "", " 7", "-7", "7.0", "\u0667", "9" * 5000])
def test_what_is_no_id_is_not_sent_with_the_others(wrong: str) -> None:
    asked, found = fetched_many(wrong, "42", items=[DOCUMENT])
    assert asked == ["42"]
    assert found["42"] == NEUTRAL
    assert isinstance(found[wrong], InvalidRequestError)


def test_where_nothing_is_an_id_nothing_is_asked() -> None:
    requests, found = play(RECIPES.fetch_many(["soup"]))
    assert requests == []
    assert isinstance(found["soup"], InvalidRequestError)


@pytest.mark.parametrize(
    ("document", "path"), [({"results": []}, "$"), ([{"title": "Soup"}], "$[0].id"), (["Soup"], "$[0].id")]
)
def test_several_without_a_list_or_an_id_are_an_unexpected_answer(document: Any, path: str) -> None:
    with pytest.raises(UnexpectedAnswerError) as caught:
        play(RECIPES.fetch_many(["1", "2"]), answer(json.dumps(document).encode()))
    assert caught.value.path == path


def test_filters_go_by_the_vendors_names() -> None:
    query = RecipeQuery(text="soup", diets=("vegan", "low-fodmap", "dairy-free"), max_total_time_s=1799)
    sent = asked(query)
    assert sent["query"] == "soup"
    assert sent["diet"] == "vegan,low fodmap"
    assert sent["intolerances"] == "dairy"
    assert sent["maxReadyTime"] == "29"
    assert sent["addRecipeNutrition"] == "true"


def test_filters_that_were_not_asked_for_are_not_sent() -> None:
    assert not asked(RecipeQuery(text="soup")).keys() & {"diet", "intolerances", "maxReadyTime", "offset"}


def test_less_than_a_minute_is_still_a_filter() -> None:
    assert asked(RecipeQuery(text="soup", max_total_time_s=30))["maxReadyTime"] == "1"


@pytest.mark.parametrize(
    ("offset", "results", "total", "following"),
    [
        (0, PAGE_SIZE, 41, 20),
        (20, PAGE_SIZE, 41, 40),
        (40, 1, 41, None),
        (20, PAGE_SIZE, 40, None),
        (0, PAGE_SIZE, None, 20),
        (880, PAGE_SIZE, 5000, 900),
        (900, PAGE_SIZE, 5000, None),
        (0, 0, 0, None),
    ],
)
def test_paging_ends_with_the_results_or_where_the_vendor_stops(
    offset: int, results: int, total: int | None, following: int | None
) -> None:
    page = searched({"results": [DOCUMENT] * results, "offset": offset, "totalResults": total})
    assert page.total == total
    assert (page.next and page.next.id) == (None if following is None else f"query=soup&offset={following}")


def test_a_cursor_can_ask_for_nothing_but_the_search_it_came_from() -> None:
    request = next(RECIPES.search_next("query=soup&diet=vegan&offset=20&apiKey=stolen&number=100"))
    sent = dict(request.query)
    assert (sent["query"], sent["diet"], sent["offset"], sent["number"]) == ("soup", "vegan", "20", "20")
    assert "apiKey" not in sent


@pytest.mark.parametrize(
    ("title", "text", "nutrient"),
    [
        ("Calories", "316", Nutrient(code="energy", amount=316, unit="kcal")),
        ("Calories", "316k", Nutrient(code="energy", amount=316, unit="kcal")),
        ("Calories", "1,316", Nutrient(code="energy", amount=1316, unit="kcal")),
        ("Fat", "12g", Nutrient(code="fat", amount=12, unit="g")),
        ("Protein", "0.5 g", Nutrient(code="protein", amount=0.5, unit="g")),
        ("Sodium", "1,234mg", Nutrient(code="sodium", amount=1234, unit="mg")),
        ("Vitamin K", "19µg", Nutrient(code="vitamin_k", amount=19, unit="ug")),
        ("Vitamin D", "0.02mg", Nutrient(code="vitamin_d", amount=20, unit="ug")),
        ("Vitamin A", "439IU", Nutrient(code="vitamin_a_iu", amount=439, unit="iu")),
        ("Alcohol", "3g", Nutrient(code="Alcohol", amount=3, unit="g")),
    ],
)
def test_the_widgets_texts_are_read(title: str, text: str, nutrient: Nutrient) -> None:
    document = {"bad": [{"title": title, "amount": text}], "good": None}
    _, nutrition = play(RECIPES.nutrition("42"), answer(json.dumps(document).encode()))
    [found] = nutrition.nutrients
    assert (found.code, found.unit) == (nutrient.code, nutrient.unit)
    assert found.amount == pytest.approx(nutrient.amount)


@pytest.mark.parametrize("text", ["", ".", ",", "some", "g12"])
def test_a_text_without_a_number_never_breaks(text: str) -> None:
    document = {"bad": [], "good": [{"title": "Fat", "amount": text}]}
    _, nutrition = play(RECIPES.nutrition("42"), answer(json.dumps(document).encode()))
    assert nutrition.amount("fat") == 0


def test_steps_come_from_the_text_where_nothing_was_analysed() -> None:
    html = "<ol><li>Soak the lentils.</li><li> Boil them. </li></ol>"
    assert fetched({**DOCUMENT, "analyzedInstructions": [], "instructions": html}).steps == (
        "Soak the lentils.",
        "Boil them.",
    )


@pytest.mark.parametrize("unknown", [None, -1])
def test_unknown_times_are_none(unknown: int | None) -> None:
    recipe = fetched({**DOCUMENT, "preparationMinutes": unknown, "cookingMinutes": unknown})
    assert (recipe.preparation_time_s, recipe.cooking_time_s) == (None, None)
