"""Spoonacular's shapes, and what they are in our words."""

from __future__ import annotations

import re

import msgspec

from fairlead.capabilities.recipes import (
    Attribution,
    Ingredient,
    Nutrient,
    Nutrition,
    Recipe,
    normalise_diet,
    normalise_nutrient,
    normalise_unit,
)
from fairlead.model.call import Ref

DIET_NAMES = {
    "fodmap-friendly": "low-fodmap",
    "lacto-ovo-vegetarian": "vegetarian",
    "paleolithic": "paleo",
    "pescatarian": "pescetarian",
}
NUTRIENT_CODES = {
    "calories": "energy", "protein": "protein", "fat": "fat", "saturated fat": "saturated_fat",
    "trans fat": "trans_fat", "mono unsaturated fat": "monounsaturated_fat",
    "poly unsaturated fat": "polyunsaturated_fat", "carbohydrates": "carbohydrates", "carbs": "carbohydrates",
    "fiber": "fibre", "sugar": "sugar", "cholesterol": "cholesterol", "sodium": "sodium", "potassium": "potassium",
    "calcium": "calcium", "iron": "iron", "magnesium": "magnesium", "zinc": "zinc", "phosphorus": "phosphorus",
    "vitamin a": "vitamin_a", "vitamin b1": "vitamin_b1", "vitamin b2": "vitamin_b2", "vitamin b3": "vitamin_b3",
    "vitamin b6": "vitamin_b6", "vitamin b12": "vitamin_b12", "folate": "folate", "vitamin c": "vitamin_c",
    "vitamin d": "vitamin_d", "vitamin e": "vitamin_e", "vitamin k": "vitamin_k",
}  # fmt: skip


class Wire(msgspec.Struct, rename="camel"):
    """The base of the vendor's shapes: camelCase, everything optional, unknown fields ignored."""


class WireIngredient(Wire):
    """One ingredient."""

    name: str | None = None
    original: str | None = None
    amount: float | None = None
    unit: str | None = None


class WireStep(Wire):
    """One step."""

    step: str | None = None


class WireInstructions(Wire):
    """The steps of one part of a recipe."""

    steps: list[WireStep] | None = None


class WireNutrient(Wire):
    """One nutrient of a recipe."""

    name: str | None = None
    title: str | None = None
    amount: float | None = None
    unit: str | None = None
    percent_of_daily_needs: float | None = None


class WireNutrition(Wire):
    """The nutrients of a recipe."""

    nutrients: list[WireNutrient] | None = None


class WireRecipe(Wire):
    """A recipe, whole or in a list."""

    id: int
    title: str
    image: str | None = None
    servings: float | None = None
    ready_in_minutes: float | None = None
    preparation_minutes: float | None = None
    cooking_minutes: float | None = None
    extended_ingredients: list[WireIngredient] | None = None
    analyzed_instructions: list[WireInstructions] | None = None
    instructions: str | None = None
    nutrition: WireNutrition | None = None
    diets: list[str] | None = None
    cuisines: list[str] | None = None
    source_name: str | None = None
    source_url: str | None = None
    spoonacular_source_url: str | None = None
    credits_text: str | None = None


class WireResults(Wire):
    """What a search found."""

    results: list[WireRecipe]
    offset: int = 0
    total_results: int | None = None


class WireWidgetNutrient(Wire):
    """One nutrient of the nutrition widget."""

    title: str
    amount: str
    percent_of_daily_needs: float | None = None


class WireWidget(Wire):
    """The nutrition widget."""

    bad: list[WireWidgetNutrient] | None = None
    good: list[WireWidgetNutrient] | None = None


def build_recipe(wire: WireRecipe, connection: str) -> Recipe:
    """Turn the vendor's recipe into the neutral one."""
    source = wire.credits_text or wire.source_name
    own = Attribution(text="spoonacular", url=wire.spoonacular_source_url, is_required=True)
    author = (Attribution(text=source, url=wire.source_url, is_required=True),) if source else ()
    return Recipe(
        ref=Ref(connection, str(wire.id)),
        title=wire.title,
        image_url=wire.image,
        servings=wire.servings,
        total_time_s=parse_minutes(wire.ready_in_minutes),
        preparation_time_s=parse_minutes(wire.preparation_minutes),
        cooking_time_s=parse_minutes(wire.cooking_minutes),
        ingredients=tuple(build_ingredient(each) for each in wire.extended_ingredients or ()),
        steps=parse_steps(wire),
        nutrition=Nutrition(nutrients=tuple(build_nutrient(each) for each in wire.nutrition.nutrients or ()))
        if wire.nutrition
        else None,
        diets=tuple(DIET_NAMES.get(name, name) for name in map(normalise_diet, wire.diets or ())),
        cuisines=tuple(name.lower() for name in wire.cuisines or ()),
        source_name=wire.source_name,
        source_url=wire.source_url,
        attributions=(*author, own),
    )


def build_ingredient(wire: WireIngredient) -> Ingredient:
    """Turn the vendor's ingredient into the neutral one."""
    text = wire.original or wire.name or ""
    return Ingredient(name=wire.name or text, text=text, amount=wire.amount, unit=normalise_unit(wire.unit))


def build_nutrient(wire: WireNutrient) -> Nutrient:
    """Turn the vendor's nutrient into the neutral one; older answers call the name a title."""
    label = wire.name or wire.title or ""
    code = NUTRIENT_CODES.get(label.lower(), label)
    return normalise_nutrient(code, wire.amount or 0.0, wire.unit, wire.percent_of_daily_needs)


def parse_widget_nutrient(wire: WireWidgetNutrient) -> Nutrient:
    """Read `12g`, `19µg` and the bare calories `316` (some answers: `316k`) of the nutrition widget."""
    match = re.match(r"\s*(\d[\d,]*(?:\.\d+)?)\s*(\D*)", wire.amount)
    amount, unit = (float(match[1].replace(",", "")), match[2].strip()) if match else (0.0, "")
    code = NUTRIENT_CODES.get(wire.title.lower(), wire.title)
    if code == "energy" and unit in {"", "k"}:
        unit = "kcal"
    return normalise_nutrient(code, amount, unit, wire.percent_of_daily_needs)


def parse_minutes(minutes: float | None) -> int | None:
    """Return seconds; the vendor writes null, and in older recipes -1, for what it does not know."""
    return None if minutes is None or minutes < 0 else round(minutes * 60)


def parse_steps(wire: WireRecipe) -> tuple[str, ...]:
    """Return the steps, from the analysed instructions or else from the text, which may be HTML."""
    analysed = tuple(step.step for part in wire.analyzed_instructions or () for step in part.steps or () if step.step)
    lines = re.sub(r"<[^>]*>", "\n", wire.instructions or "").splitlines()
    return analysed or tuple(line.strip() for line in lines if line.strip())
