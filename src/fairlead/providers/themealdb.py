"""TheMealDB: a crowd-sourced database of meals, found by their names; no nutrients, times, servings or pages.

Docs: https://www.themealdb.com/documentation. Version: v1, in the path; supporters may set base_url to v2. Facts from a
stored copy of the vendor's OpenAPI description 2.0 (github.com/solcott/Recipes, of 2026-08-26), which has the same
operations, from third-party ones of v1 (2026-08-22), and from a stored copy of the vendor's guide for agents.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from typing import Any

import msgspec

from fairlead.capabilities.recipes import UNITS, Attribution, Ingredient, Recipe, RecipeQuery, Recipes, normalise_unit
from fairlead.errors import AuthenticationError, NotFoundError, UnsupportedFeatureError
from fairlead.model.call import Ref
from fairlead.model.message import Request, Response
from fairlead.model.operation import Operation
from fairlead.model.page import Page
from fairlead.spec.answer import decode
from fairlead.spec.outcomes import ErrorRule
from fairlead.spec.provider import ApiKey, Credential, Place, Provider, Terms

SEARCH = "/{api_key}/search.php"
LOOKUP = "/{api_key}/lookup.php"
# The meal of the vendor's own examples.
PROBED_MEAL = "52772"
# What stands in place of meals where there are none; any other text is about access.
NOTHING_FOUND = frozenset({"no data found", "invalid id"})
# Each numbers one ingredient and its measure.
SLOTS = range(1, 21)

# Units of this vendor beyond those that every vendor has.
OWN_UNITS = {
    "tblsp": "tbsp", "tbls": "tbsp", "tin": "can", "tins": "can", "bunch": "bunch", "bunches": "bunch",
    "handful": "handful", "handfuls": "handful", "sprig": "sprig", "sprigs": "sprig", "stick": "stick",
    "sticks": "stick", "stalk": "stalk", "stalks": "stalk", "packet": "packet", "packets": "packet", "jar": "jar",
}  # fmt: skip
KNOWN_UNITS = UNITS.keys() | OWN_UNITS.keys()
# What stands in a unit's place, or nothing, where pieces are counted.
COUNTED = frozenset(
    {"", "large", "medium", "small", "chopped", "sliced", "diced", "crushed", "beaten", "grated", "minced"}
)
# With one of these in it, a note may add to the amount or take from it.
DOUBTFUL = frozenset({"or", "plus", "and", "about", "x"})
_FRACTION = r"(?:1/[2-9]|2/[35]|3/[458]|4/5|5/[68]|7/8)(?!\d)"
_NUMBER = rf"(?:\d{{1,2}} )?{_FRACTION}|\d{{1,5}}(?:\.\d{{1,3}})?"
_MEASURE = re.compile(
    rf"(?:(?P<times>\d{{1,2}}) ?x ?)?(?P<amount>{_NUMBER})"
    r"(?: ?(?P<unit>fl\.? ?oz|fluid ounces?|[a-z]+)\.?)?(?P<note>(?:[ ,(][a-z ,()'-]*)?)",
    re.ASCII,
)
_VULGAR_FRACTION = re.compile("[¼-¾⅐-⅞]")
_HEADING = re.compile(r"^(?:step\s*\d+\s*[.:)-]*|\d{1,2}(?:[.)](?=\s|$)|$)|[▢•])\s*", re.IGNORECASE)

# Forty fields that differ by their number.
_Slots: Any = msgspec.defstruct(
    "_Slots",
    [(f"str_{part}{slot}", str | None, None) for slot in SLOTS for part in ("ingredient", "measure")],
    rename="camel",
    kw_only=True,
)


class _Meal(_Slots):  # type: ignore[misc]  # made at run time
    id_meal: int | str
    str_meal: str
    str_area: str | None = None
    str_instructions: str | None = None
    str_meal_thumb: str | None = None
    str_source: str | None = None
    str_youtube: str | None = None


class _Meals(msgspec.Struct):
    #: The contract knows texts and objects here too: for nothing found, and for messages about access.
    meals: list[_Meal] | str | dict[str, Any] | None


class TheMealDBRecipes(Recipes):
    """Search by name, and fetch."""

    def search(self, query: RecipeQuery) -> Operation[Page[Recipe]]:
        """Follow GET /search.php?s=. The vendor looks for the text within names, and has no pages.

        A category may be `Vegan` or `Vegetarian`, but the vendor warns against inferring a diet from it.
        """
        if query.diets:
            raise UnsupportedFeatureError("This provider vouches for no diet.")
        if query.max_total_time_s is not None:
            raise UnsupportedFeatureError("This provider does not know how long a recipe takes.")
        response = yield Request.get(SEARCH, query={"s": query.text.strip()})
        meals = read_meals(response)
        # How many there are in all is not said, and not every key is given all.
        return Page(items=tuple(build_recipe(meal, self.connection) for meal in meals), total=None if meals else 0)

    def fetch(self, identifier: str) -> Operation[Recipe]:
        """Follow GET /lookup.php?i=."""
        response = yield Request.get(LOOKUP, query={"i": identifier})
        for meal in read_meals(response):
            return build_recipe(meal, self.connection)
        raise NotFoundError(status=response.status)


def read_meals(response: Response) -> list[_Meal]:
    """Return the meals of an answer; raise `AuthenticationError` for a message about access.

    Every key may search and look up, so that such a message says that the key itself is not accepted.
    """
    found = decode(response, _Meals).meals
    if isinstance(found, list):
        return found
    if found is None or (isinstance(found, str) and found.strip().lower() in NOTHING_FOUND):
        return []
    raise AuthenticationError(
        "The vendor answers with a message about access in place of meals.",
        hint="Check the key; '1' is for development only.",
        status=response.status,
    )


def build_recipe(wire: _Meal, connection: str) -> Recipe:
    """Turn the vendor's meal into the neutral recipe."""
    source = (wire.str_source or "").strip()
    is_link = source.startswith(("https://", "http://"))
    area = (wire.str_area or "").strip().lower()
    return Recipe(
        ref=Ref(connection, str(wire.id_meal)),
        title=wire.str_meal,
        image_url=wire.str_meal_thumb or None,
        ingredients=build_ingredients(wire),
        steps=parse_steps(wire.str_instructions or ""),
        cuisines=(area,) if area not in {"", "unknown"} else (),
        source_name=None if is_link else source or None,
        source_url=source if is_link else wire.str_youtube or None,
        attributions=(
            Attribution(text="TheMealDB", url=f"https://www.themealdb.com/meal/{wire.id_meal}", is_required=True),
        ),
    )


def build_ingredients(wire: _Meal) -> tuple[Ingredient, ...]:
    """Return the slots that are filled; a measure may be missing where its ingredient is not."""
    ingredients: list[Ingredient] = []
    for slot in SLOTS:
        name, measure = (
            " ".join((getattr(wire, f"str_{part}{slot}") or "").split()) for part in ("ingredient", "measure")
        )
        if name:
            amount, unit = parse_measure(measure)
            ingredients.append(Ingredient(name=name, text=f"{measure} {name}".strip(), amount=amount, unit=unit))
    return tuple(ingredients)


def parse_measure(text: str) -> tuple[float | None, str | None]:
    """Read `1 1/2 cups`, `400g` or `2 x 400g tins` as amount and neutral unit; what is not certain is (None, None)."""
    plain = _VULGAR_FRACTION.sub(lambda found: f" {unicodedata.normalize('NFKC', found[0])}", text)
    match = _MEASURE.fullmatch(" ".join(plain.replace("\N{FRACTION SLASH}", "/").lower().split()))
    if match is None:
        return None, None
    amount = float(sum(map(Fraction, match["amount"].split())))
    unit = (match["unit"] or "").replace(".", "")
    note = set(re.findall("[a-z]+", match["note"]))
    if unit in KNOWN_UNITS and not note & DOUBTFUL:
        return amount * int(match["times"] or 1), OWN_UNITS.get(unit) or normalise_unit(unit)
    is_counted = not match["times"] and unit in COUNTED and not note & (DOUBTFUL | KNOWN_UNITS)
    return (amount, None) if is_counted else (None, None)


def parse_steps(text: str) -> tuple[str, ...]:
    """Return the lines of the instructions, without their numbers and without headings such as `STEP 1`."""
    lines = (_HEADING.sub("", line.strip()) for line in text.splitlines())
    return tuple(line for line in lines if line)


def probe() -> Operation[None]:
    """Follow the look-up of one meal, which need not be there any more."""
    read_meals((yield Request.get(LOOKUP, query={"i": PROBED_MEAL})))


PROVIDER = Provider(
    id="themealdb",
    title="TheMealDB",
    docs_url="https://www.themealdb.com/documentation",
    api_version="v1",
    base_url="https://www.themealdb.com/api/json/v1",
    credentials=(
        Credential(
            name="api_key",
            label="API key",
            help="'1' for development and education; supporters have their own: https://www.themealdb.com/documentation",
        ),
    ),
    auth=(ApiKey("api_key", Place.PATH, "api_key"),),
    capabilities={"recipes": TheMealDBRecipes},
    probe=probe,
    has_free_probe=True,
    # No plans: the terms ask to 'stay within the rate limit', and nobody says which it is; the FAQ says 'unlimited'.
    errors=(
        ErrorRule(
            status=404,
            error=AuthenticationError,
            evidence="Only the version or the key can be wrong in a path: meals are named in the query, and one that "
            "is not there is answered with 200. A path that v1 lacks is answered with 404, as a user measured "
            "(github.com/solcott/Recipes, 2026-08-26)",
        ),
    ),
    error_message_at=("message",),
    terms=Terms(
        attribution="Name TheMealDB as the source, and link to it. Publishing in an app store takes a paid key.",
        source="www.themealdb.com/terms_of_use.php of 2025-07-01, as quoted in public repositories (2026-08-18, "
        "2026-09-14), read 2026-11-23: 'You can scrape, copy and modify any content returned from the API', with no "
        "word on how long; 'must mention us as the source of the data'; no reselling of the API",
    ),
    data_sent=("search text",),
)
