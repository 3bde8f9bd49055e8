"""TheMealDB's answers in our words, with canned answers and no socket."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.capabilities.recipes import Attribution, Ingredient, Recipe, RecipeQuery
from fairlead.errors import AuthenticationError, NotFoundError, UnexpectedAnswerError
from fairlead.model.call import Ref
from fairlead.model.page import Page
from fairlead.providers.themealdb import TheMealDBRecipes, parse_measure
from provider_suite import answer, play

RECIPES = TheMealDBRecipes("mine")

SLOTS = {1: ("Red Lentils", "1 1/2 cups"), 2: ("Onion", "1 large"), 3: ("Salt", " To taste "), 5: ("Love ", " ")}
DOCUMENT: dict[str, Any] = {
    "idMeal": "42",
    "strMeal": "Lentil Soup",
    "strCategory": "Vegan",
    "strArea": "Indian",
    "strInstructions": "STEP 1\r\nSoak.\r\n\r\nSTEP 2\r\nBoil.\r\n",
    "strMealThumb": "https://images.example/42.jpg",
    "strTags": "Soup,",
    "strYoutube": "https://videos.example/42",
    **{f"strIngredient{slot}": SLOTS.get(slot, ("", ""))[0] for slot in range(1, 21)},
    **{f"strMeasure{slot}": SLOTS.get(slot, ("", ""))[1] for slot in range(1, 21)},
    "strIngredient20": "Lemon",
    "strMeasure20": None,
    "strSource": "https://kitchen.example/42",
    "dateModified": None,
}

NEUTRAL = Recipe(
    ref=Ref("mine", "42"),
    title="Lentil Soup",
    image_url="https://images.example/42.jpg",
    ingredients=(
        Ingredient(name="Red Lentils", text="1 1/2 cups Red Lentils", amount=1.5, unit="cup"),
        Ingredient(name="Onion", text="1 large Onion", amount=1),
        Ingredient(name="Salt", text="To taste Salt"),
        Ingredient(name="Love", text="Love"),
        Ingredient(name="Lemon", text="Lemon"),
    ),
    steps=("Soak.", "Boil."),
    cuisines=("indian",),
    source_url="https://kitchen.example/42",
    attributions=(Attribution(text="TheMealDB", url="https://www.themealdb.com/meal/42", is_required=True),),
)


def fetched(change: dict[str, Any]) -> Recipe:
    body = json.dumps({"meals": [{**DOCUMENT, **change}]}).encode()
    _, recipe = play(RECIPES.fetch("42"), answer(body))
    return recipe


def searched(document: Any) -> Page[Recipe]:
    _, page = play(RECIPES.search(RecipeQuery(text="soup")), answer(json.dumps(document).encode()))
    return page


def test_every_field_becomes_neutral() -> None:
    assert fetched({}) == NEUTRAL
    assert searched({"meals": [DOCUMENT]}).items == (NEUTRAL,)


def test_a_category_vouches_for_no_diet() -> None:
    assert fetched({"strCategory": "Vegetarian"}).diets == ()


@pytest.mark.parametrize("field", sorted(DOCUMENT.keys() - {"idMeal", "strMeal"}))
def test_a_missing_or_null_or_empty_field_never_breaks(field: str) -> None:
    without = {name: value for name, value in DOCUMENT.items() if name != field}
    assert searched({"meals": [without]}).items == (fetched({field: None}),) == (fetched({field: ""}),)


@pytest.mark.parametrize("change", [{"strIngredient21": "More"}, {"surprise": {"deep": [1, {"er": None}]}}])
def test_surprises_never_break(change: dict[str, Any]) -> None:
    assert fetched(change) == NEUTRAL


def test_a_bare_meal_is_a_recipe() -> None:
    [recipe] = searched({"meals": [{"idMeal": 7, "strMeal": "Soup"}]})
    assert (recipe.ref, recipe.ingredients, recipe.steps, recipe.cuisines) == (Ref("mine", "7"), (), (), ())


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({}, "$"),
        ({"meals": 7}, "$.meals"),
        ({"meals": [DOCUMENT, {"idMeal": "1", "strMeal": {}}]}, "$.meals[1].strMeal"),
        ({"meals": [{"strMeal": "Soup"}]}, "$.meals[0]"),
        ({"meals": [{**DOCUMENT, "idMeal": False}]}, "$.meals[0].idMeal"),
        ({"meals": [{**DOCUMENT, "strMeasure20": [2]}]}, "$.meals[0].strMeasure20"),
        ({"meals": [{**DOCUMENT, "strInstructions": ["Soak."]}]}, "$.meals[0].strInstructions"),
    ],
)
def test_a_changed_type_is_named_by_its_place(document: dict[str, Any], path: str) -> None:
    with pytest.raises(UnexpectedAnswerError) as caught:
        searched(document)
    assert caught.value.path == path
    assert not caught.value.is_garbled


@pytest.mark.parametrize("nothing", [None, [], "no data found", "Invalid ID", "No Data Found "])
def test_nothing_found_is_an_empty_page_and_no_recipe(nothing: Any) -> None:
    page = searched({"meals": nothing})
    assert (page.items, page.total, page.next) == ((), 0, None)
    with pytest.raises(NotFoundError):
        play(RECIPES.fetch("42"), answer(json.dumps({"meals": nothing}).encode()))


@pytest.mark.parametrize("message", [{}, {"Message": "Supporters only"}, "Supporters only"])
def test_a_message_in_place_of_meals_is_about_access(message: Any) -> None:
    with pytest.raises(AuthenticationError) as caught:
        searched({"meals": message})
    assert "Supporters" not in str(caught.value)


def test_only_the_name_is_searched() -> None:
    request = next(RECIPES.search(RecipeQuery(text=" lentil soup ")))
    assert (request.path, request.query) == ("/{api_key}/search.php", (("s", "lentil soup"),))


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("3", 3, None), ("1 large", 1, None), ("2 chopped", 2, None), ("3 large beaten", 3, None),
        ("400g", 400, "g"), ("400 g", 400, "g"), ("1.5 L", 1.5, "l"), ("12 oz.", 12, "oz"), ("8 fl oz", 8, "fl_oz"),
        ("1 1/2 cups", 1.5, "cup"), ("3/4 Cup", 0.75, "cup"), ("1½ tbs", 1.5, "tbsp"), ("½ tsp", 0.5, "tsp"),
        ("1\N{FRACTION SLASH}2 tsp", 0.5, "tsp"), ("2 Tblsp", 2, "tbsp"), ("1tbsp", 1, "tbsp"), ("2 tins", 2, "can"),
        ("2 cloves minced", 2, "clove"), ("1 cup (packed)", 1, "cup"), ("1 bunch", 1, "bunch"), ("1 pinch", 1, "pinch"),
        ("2 x 400g tins", 800, "g"), ("2x400g", 800, "g"), ("1 x 400g can", 400, "g"),
    ],
)  # fmt: skip
def test_a_certain_measure_is_an_amount_in_a_unit(text: str, amount: float, unit: str | None) -> None:
    assert parse_measure(text) == (amount, unit)


@pytest.mark.parametrize(
    "text",
    ["", "To taste", "Pinch", "Juice of 1", "For frying", "Dash", "1 to 2", "1-2 tbsp", "1 tbsp or more", "1 bogus",
     "1 cup plus 2 tbsp", "1 cup and a half", "200g/7oz", "1 lb 2 oz", "1 (12 oz.)", "1,000 g", "11/2 cups", "1/0 cup",
     "1 large clove", "2 x 3", "3 x", "1 T", "5²", "9" * 5000, "1/" + "2" * 5000],
)  # fmt: skip
def test_an_uncertain_measure_stays_text(text: str) -> None:
    assert parse_measure(text) == (None, None)
    [first, *_] = fetched({"strMeasure1": text}).ingredients
    assert (first.text, first.amount, first.unit) == (f"{text} Red Lentils".strip(), None, None)


@given(st.text(alphabet=st.sampled_from("0123456789 ./½⅞\N{FRACTION SLASH}x()-,abcgluptoz\n") | st.characters()))
def test_no_measure_breaks(text: str) -> None:
    amount, unit = parse_measure(text)
    assert amount is None or amount >= 0
    assert unit is None or amount is not None


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", ()),
        ("Soak.", ("Soak.",)),
        ("Soak.\nBoil.\r\n\r\n  Serve. ", ("Soak.", "Boil.", "Serve.")),
        ("step 1\r\nSoak.\r\nStep 2:\r\nBoil.", ("Soak.", "Boil.")),
        ("STEP 1 - Soak.\r\nSTEP 2: Boil.", ("Soak.", "Boil.")),
        ("1. Soak.\r\n2) Boil.\r\n3\r\nServe.", ("Soak.", "Boil.", "Serve.")),
        ("▢ Soak.\r\n• Boil.", ("Soak.", "Boil.")),
        ("2 tbsp of oil go in.\r\n1.5 l of water follow.", ("2 tbsp of oil go in.", "1.5 l of water follow.")),
        ("Stepped terraces.", ("Stepped terraces.",)),
    ],
)
def test_steps_are_the_lines_without_their_headings(text: str, steps: tuple[str, ...]) -> None:
    assert fetched({"strInstructions": text}).steps == steps


@pytest.mark.parametrize(
    ("source", "video", "name", "url"),
    [
        ("https://kitchen.example/42", "https://videos.example/42", None, "https://kitchen.example/42"),
        ("", "https://videos.example/42", None, "https://videos.example/42"),
        ("Ann's kitchen", "", "Ann's kitchen", None),
        ("javascript:alert(1)", None, "javascript:alert(1)", None),
        (None, None, None, None),
    ],
)
def test_the_source_is_a_page_or_else_a_name_and_the_video(
    source: str | None, video: str | None, name: str | None, url: str | None
) -> None:
    recipe = fetched({"strSource": source, "strYoutube": video})
    assert (recipe.source_name, recipe.source_url) == (name, url)


@pytest.mark.parametrize("area", ["Unknown", "", None, " "])
def test_an_unknown_area_is_no_cuisine(area: str | None) -> None:
    assert fetched({"strArea": area}).cuisines == ()
