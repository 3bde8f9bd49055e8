"""Recipes: search them, fetch one, and know what is in it.

Amounts have a neutral unit where the vendor's is known (`UNITS`), nutrients a neutral code (`NUTRIENTS`), diets a
neutral name (`DIETS`). Nutrients are per serving. Times are in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from fairlead.errors import FairleadError, InvalidArgumentError, UnsupportedFeatureError
from fairlead.model.answer import Answer
from fairlead.model.call import Ref
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect
from fairlead.model.page import Page

#: Spelling at some vendor -> neutral unit.
UNITS: Mapping[str, str] = {
    spelling: unit
    for unit, spellings in {
        "g": "g gram grams gr",
        "kg": "kg kgs kilogram kilograms",
        "mg": "mg milligram milligrams",
        "ug": "ug µg μg mcg microgram micrograms æg",
        "ml": "ml milliliter milliliters millilitre millilitres",
        "l": "l liter liters litre litres",
        "tsp": "tsp tsps teaspoon teaspoons",
        "tbsp": "tbsp tbsps tablespoon tablespoons tbs",
        "cup": "cup cups c",
        "oz": "oz ounce ounces",
        "lb": "lb lbs pound pounds",
        "fl_oz": "fl-oz",
        "pint": "pint pints",
        "quart": "quart quarts",
        "gallon": "gallon gallons",
        "pinch": "pinch pinches",
        "dash": "dash dashes",
        "clove": "clove cloves",
        "slice": "slice slices",
        "can": "can cans",
        "piece": "piece pieces unit units whole",
        "serving": "serving servings",
        "kcal": "kcal cal",
        "kj": "kj",
        "iu": "iu",
        "percent": "%",
    }.items()
    for spelling in spellings.split()
} | {"fluid ounce": "fl_oz", "fluid ounces": "fl_oz", "fl oz": "fl_oz"}

#: Neutral code of a nutrient -> its unit.
NUTRIENTS: Mapping[str, str] = {
    "energy": "kcal", "protein": "g", "fat": "g", "saturated_fat": "g", "trans_fat": "g",
    "monounsaturated_fat": "g", "polyunsaturated_fat": "g", "carbohydrates": "g", "fibre": "g", "sugar": "g",
    "cholesterol": "mg", "sodium": "mg", "potassium": "mg", "calcium": "mg", "iron": "mg", "magnesium": "mg",
    "zinc": "mg", "phosphorus": "mg", "vitamin_a": "ug", "vitamin_b1": "mg", "vitamin_b2": "mg",
    "vitamin_b3": "mg", "vitamin_b6": "mg", "vitamin_b12": "ug", "folate": "ug", "vitamin_c": "mg",
    "vitamin_d": "ug", "vitamin_e": "mg", "vitamin_k": "ug",
}  # fmt: skip

#: The diets that a search can ask for.
DIETS = frozenset(
    {"vegan", "vegetarian", "pescetarian", "gluten-free", "dairy-free", "paleo", "ketogenic", "low-fodmap"}
)


class Ingredient(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One ingredient; `text` is the line as the recipe's author wrote it."""

    name: str
    text: str
    amount: float | None = None
    unit: str | None = None


class Nutrient(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An amount of one nutrient. `code` is neutral where the nutrient is known, else the vendor's own label."""

    code: str
    amount: float
    unit: str
    #: The share of the recommended daily intake, in percent, by the vendor's reckoning.
    daily_percent: float | None = None


class Nutrition(Answer, frozen=True, kw_only=True):
    """The nutrients in one serving."""

    nutrients: tuple[Nutrient, ...] = ()

    def amount(self, code: str) -> float | None:
        """Return the amount of a nutrient in its unit in `NUTRIENTS`, or None where the vendor does not tell."""
        return next((each.amount for each in self.nutrients if each.code == code), None)


class Attribution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whom to name beside the recipe. Where `is_required`, the vendor's terms demand it."""

    text: str
    url: str | None = None
    is_required: bool = False


class Recipe(Answer, frozen=True, kw_only=True):
    """A recipe. What a vendor does not tell is None or empty."""

    ref: Ref
    title: str
    image_url: str | None = None
    servings: float | None = None
    total_time_s: int | None = None
    preparation_time_s: int | None = None
    cooking_time_s: int | None = None
    ingredients: tuple[Ingredient, ...] = ()
    steps: tuple[str, ...] = ()
    nutrition: Nutrition | None = None
    diets: tuple[str, ...] = ()
    cuisines: tuple[str, ...] = ()
    source_name: str | None = None
    source_url: str | None = None
    attributions: tuple[Attribution, ...] = ()


class RecipeQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What to search for. `diets` are names of `DIETS`; all must hold."""

    text: str
    diets: tuple[str, ...] = ()
    max_total_time_s: int | None = None

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InvalidArgumentError("The search has no text.", hint="Say what to search for, as in q=pasta.")
        for diet in self.diets:
            if diet not in DIETS:
                raise InvalidArgumentError(f"{diet!r} is not a diet.", hint=f"Use one of {', '.join(sorted(DIETS))}.")


class Recipes:
    """The operations of the capability. A provider overrides those that its vendor has.

    Made with the name of the connection, so that every `Ref` says where it belongs.
    """

    #: What a repeat of each operation would do.
    EFFECTS: Mapping[str, Effect] = {
        "search": Effect.READ,
        "search_next": Effect.READ,
        "fetch": Effect.READ,
        "fetch_many": Effect.READ,
        "nutrition": Effect.READ,
    }

    #: Operation for one thing -> that for several, by which single calls can be joined.
    MANY: Mapping[str, str] = {"fetch": "fetch_many"}

    def __init__(self, connection: str) -> None:
        self.connection = connection

    def search(self, query: RecipeQuery) -> Operation[Page[Recipe]]:
        """Find recipes; the first page."""
        raise UnsupportedFeatureError("This provider cannot search recipes.")

    def search_next(self, cursor: str) -> Operation[Page[Recipe]]:
        """Return the page that the cursor of an earlier one points at."""
        raise UnsupportedFeatureError("This provider has no further pages.")

    def fetch(self, identifier: str) -> Operation[Recipe]:
        """Return one recipe."""
        raise UnsupportedFeatureError("This provider cannot fetch a recipe.")

    def fetch_many(self, identifiers: Sequence[str]) -> Operation[Mapping[str, Recipe | FairleadError]]:
        """Return several recipes by their ids, or why one could not be had; what is left out does not exist."""
        raise UnsupportedFeatureError("This provider cannot fetch several recipes at once.")

    def nutrition(self, identifier: str) -> Operation[Nutrition]:
        """Return what is in one serving."""
        raise UnsupportedFeatureError("This provider does not know nutrients.")


#: Mass in grams, for turning one unit of mass into another.
_GRAMS = {"g": 1.0, "mg": 1e-3, "ug": 1e-6}


def normalise_nutrient(code: str, amount: float, unit: str | None, daily_percent: float | None = None) -> Nutrient:
    """Return a nutrient in its neutral unit; one that cannot be converted (IU) keeps its unit, and says so."""
    spelled = normalise_unit(unit) or ""
    wanted = NUTRIENTS.get(code, spelled)
    if spelled != wanted and spelled in _GRAMS and wanted in _GRAMS:
        amount, spelled = amount * _GRAMS[spelled] / _GRAMS[wanted], wanted
    elif spelled != wanted:
        code = f"{code}_{spelled}" if spelled else code
    return Nutrient(code=code, amount=amount, unit=spelled or wanted, daily_percent=daily_percent)


def normalise_unit(text: str | None) -> str | None:
    """Return the neutral unit for a vendor's spelling; an unknown one stays, in lower case; none is None."""
    spelling = (text or "").strip().rstrip(".").lower()
    if not spelling or spelling == "<unit>":
        return None
    return UNITS.get(spelling, spelling)


def normalise_diet(label: str) -> str:
    """Return a diet's neutral name: lower case, hyphens."""
    return "-".join(label.lower().replace("_", " ").replace("-", " ").split())
