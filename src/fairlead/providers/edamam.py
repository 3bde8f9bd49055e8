"""Edamam: the Recipe Search API, with nutrients; the steps stay with the recipe's source.

Docs: https://developer.edamam.com/edamam-docs-recipe-api. Version: v2, in the path; facts from a stored copy of the
vendor's OpenAPI description 2.9 and from a third-party one (2026-08-22), as no official one is published.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec

from fairlead.capabilities.recipes import (
    Attribution,
    Ingredient,
    Nutrient,
    Nutrition,
    Recipe,
    RecipeQuery,
    Recipes,
    normalise_diet,
    normalise_nutrient,
    normalise_unit,
)
from fairlead.errors import UnexpectedAnswerError
from fairlead.model.call import Ref
from fairlead.model.message import Request
from fairlead.model.operation import Operation
from fairlead.model.page import Page
from fairlead.spec.answer import decode
from fairlead.spec.provider import ApiKey, Credential, Place, Plan, Provider, QuotaReset, Terms

SEARCH = "/api/recipes/v2"
# The vendor repeats the credentials in its link to the next page: they must not become part of a cursor.
CREDENTIAL_KEYS = frozenset({"app_id", "app_key"})

HEALTH_LABELS = {
    "vegan": "vegan",
    "vegetarian": "vegetarian",
    "pescetarian": "pescatarian",
    "gluten-free": "gluten-free",
    "dairy-free": "dairy-free",
    "paleo": "paleo",
    "ketogenic": "keto-friendly",
    "low-fodmap": "fodmap-free",
}
DIET_NAMES = {theirs: ours for ours, theirs in HEALTH_LABELS.items()}
NUTRIENT_CODES = {
    "ENERC_KCAL": "energy", "PROCNT": "protein", "FAT": "fat", "FASAT": "saturated_fat", "FATRN": "trans_fat",
    "FAMS": "monounsaturated_fat", "FAPU": "polyunsaturated_fat", "CHOCDF": "carbohydrates", "FIBTG": "fibre",
    "SUGAR": "sugar", "CHOLE": "cholesterol", "NA": "sodium", "K": "potassium", "CA": "calcium", "FE": "iron",
    "MG": "magnesium", "ZN": "zinc", "P": "phosphorus", "VITA_RAE": "vitamin_a", "THIA": "vitamin_b1",
    "RIBF": "vitamin_b2", "NIA": "vitamin_b3", "VITB6A": "vitamin_b6", "VITB12": "vitamin_b12",
    "FOLDFE": "folate", "VITC": "vitamin_c", "VITD": "vitamin_d", "TOCPHA": "vitamin_e", "VITK1": "vitamin_k",
}  # fmt: skip


class _Wire(msgspec.Struct, rename="camel"):
    """The base of the vendor's shapes: camelCase, everything optional, unknown fields ignored."""


class _Ingredient(_Wire):
    text: str | None = None
    food: str | None = None
    quantity: float | None = None
    measure: str | None = None


class _Nutrient(_Wire):
    label: str | None = None
    quantity: float | None = None
    unit: str | None = None


class _Recipe(_Wire):
    uri: str
    label: str
    image: str | None = None
    source: str | None = None
    url: str | None = None
    share_as: str | None = None
    servings: float | None = msgspec.field(name="yield", default=None)
    diet_labels: list[str] | None = None
    health_labels: list[str] | None = None
    ingredients: list[_Ingredient] | None = None
    ingredient_lines: list[str] | None = None
    instruction_lines: list[str] | None = None
    total_time: float | None = None
    cuisine_type: list[str] | None = None
    total_nutrients: dict[str, _Nutrient] | None = None
    total_daily: dict[str, _Nutrient] | None = None


class _Link(_Wire):
    href: str | None = None


class _Links(_Wire):
    next: _Link | None = None


class _Hit(_Wire):
    recipe: _Recipe


class _Hits(_Wire):
    hits: list[_Hit]
    count: int | None = None
    links: _Links | None = msgspec.field(name="_links", default=None)


class EdamamRecipes(Recipes):
    """Search, fetch and nutrients."""

    def search(self, query: RecipeQuery) -> Operation[Page[Recipe]]:
        """Follow GET /api/recipes/v2."""
        wanted = [("type", "public"), ("q", query.text)]
        wanted += [("health", HEALTH_LABELS[diet]) for diet in query.diets]
        if query.max_total_time_s:
            wanted.append(("time", f"1-{max(1, query.max_total_time_s // 60)}"))
        return (yield from self._page(wanted))

    def search_next(self, cursor: str) -> Operation[Page[Recipe]]:
        """Follow the vendor's own link to the next page."""
        return (yield from self._page(without_credentials(cursor)))

    def fetch(self, identifier: str) -> Operation[Recipe]:
        """Follow GET /api/recipes/v2/{id}."""
        return build_recipe((yield from fetch_hit(identifier)), self.connection)

    def nutrition(self, identifier: str) -> Operation[Nutrition]:
        """Follow GET /api/recipes/v2/{id}: the nutrients are part of the recipe."""
        return build_nutrition((yield from fetch_hit(identifier)))

    def _page(self, wanted: list[tuple[str, str]]) -> Operation[Page[Recipe]]:
        response = yield Request.get(SEARCH, query=wanted)
        found = decode(response, _Hits)
        href = (found.links.next.href if found.links and found.links.next else None) or ""
        cursor = urlencode(without_credentials(urlsplit(href).query))
        return Page(
            items=tuple(build_recipe(hit.recipe, self.connection) for hit in found.hits),
            total=found.count,
            next=Ref(self.connection, cursor) if cursor else None,
        )


def fetch_hit(identifier: str) -> Operation[_Recipe]:
    """Ask for one recipe; `type` is required by the contract, and means nothing any more."""
    response = yield Request.get(f"{SEARCH}/{quote(identifier, safe='')}", query={"type": "public"})
    return decode(response, _Hit).recipe


def without_credentials(query: str) -> list[tuple[str, str]]:
    """Read a query string, leaving out what the signing adds anew."""
    return [(name, value) for name, value in parse_qsl(query) if name not in CREDENTIAL_KEYS]


def build_recipe(wire: _Recipe, connection: str) -> Recipe:
    """Turn the vendor's recipe into the neutral one."""
    _, mark, identifier = wire.uri.partition("#recipe_")
    if not mark:
        raise UnexpectedAnswerError("The recipe's URI does not end in #recipe_ID.", path="$.recipe.uri")
    labels = map(normalise_diet, (*(wire.diet_labels or ()), *(wire.health_labels or ())))
    return Recipe(
        ref=Ref(connection, identifier),
        title=wire.label,
        image_url=wire.image,
        servings=wire.servings,
        total_time_s=round(wire.total_time * 60) if wire.total_time else None,  # the vendor writes 0 for unknown
        ingredients=build_ingredients(wire),
        steps=tuple(wire.instruction_lines or ()),
        nutrition=build_nutrition(wire),
        diets=tuple(DIET_NAMES.get(label, label) for label in labels),
        cuisines=tuple(name.lower() for name in wire.cuisine_type or ()),
        source_name=wire.source,
        source_url=wire.url,
        attributions=(
            *((Attribution(text=wire.source, url=wire.url, is_required=True),) if wire.source else ()),
            Attribution(text="Powered by Edamam", url=wire.share_as or "https://www.edamam.com", is_required=True),
        ),
    )


def build_ingredients(wire: _Recipe) -> tuple[Ingredient, ...]:
    """Return the analysed ingredients; some plans give only the lines."""
    if wire.ingredients:
        return tuple(
            Ingredient(
                name=each.food or each.text or "",
                text=each.text or each.food or "",
                amount=each.quantity or None,  # 0 stands for 'to taste'
                unit=normalise_unit(each.measure),
            )
            for each in wire.ingredients
        )
    return tuple(Ingredient(name=line, text=line) for line in wire.ingredient_lines or ())


def build_nutrition(wire: _Recipe) -> Nutrition:
    """Return the nutrients per serving: the vendor gives them for the whole yield."""
    servings = wire.servings or 1
    daily: Mapping[str, _Nutrient] = wire.total_daily or {}
    return Nutrition(
        nutrients=tuple(
            build_nutrient(key, each, daily.get(key), servings) for key, each in (wire.total_nutrients or {}).items()
        )
    )


def build_nutrient(key: str, wire: _Nutrient, daily: _Nutrient | None, servings: float) -> Nutrient:
    """Turn the vendor's total into the neutral amount per serving."""
    code = NUTRIENT_CODES.get(key, wire.label or key)
    percent = daily.quantity / servings if daily and daily.quantity is not None else None
    return normalise_nutrient(code, (wire.quantity or 0.0) / servings, wire.unit, percent)


def probe() -> Operation[None]:
    """Follow a search that asks for nothing but the addresses."""
    response = yield Request.get(SEARCH, query={"type": "public", "q": "salt", "field": "uri"})
    decode(response, dict)


PROVIDER = Provider(
    id="edamam",
    title="Edamam Recipe Search",
    docs_url="https://developer.edamam.com/edamam-docs-recipe-api",
    api_version="v2",
    base_url="https://api.edamam.com",
    credentials=(
        Credential(
            name="app_id",
            label="Application ID",
            help="Dashboard, 'Applications', at https://developer.edamam.com/admin/applications",
            is_secret=False,
        ),
        Credential(name="app_key", label="Application key", help="Beside the application ID in the dashboard"),
        Credential(
            name="account_user",
            label="Account user",
            help="Only for applications with active user tracking; others are refused when it is sent",
            is_secret=False,
            is_required=False,
        ),
    ),
    auth=(
        ApiKey("app_id", Place.QUERY, "app_id"),
        ApiKey("app_key", Place.QUERY, "app_key"),
        ApiKey("account_user", Place.HEADER, "Edamam-Account-User"),
    ),
    capabilities={"recipes": EdamamRecipes},
    probe=probe,
    # Ceilings a minute. Developer: a user's note (2026); enterprise: API Evangelist, 2026-06-02, from the vendor's
    # food database plans, as the recipe plans publish none.
    plans={
        "developer": Plan(requests=10, per_s=60),
        "enterprise_basic": Plan(requests=50, per_s=60),
        "enterprise_core": Plan(requests=100, per_s=60),
        "enterprise_plus": Plan(requests=300, per_s=60),
    },
    default_plan="developer",
    quota_reset=QuotaReset.MONTH_UTC,
    error_code_at=("errorCode",),
    error_message_at=("message",),
    terms=Terms(
        cache_needs_permission=True,
        attribution="Show 'Powered by Edamam' and link to the recipe's source.",
        source="developer.edamam.com/faq as quoted in a public repository, read 2026-11-23: caching needs a plan "
        "that grants it, and covers named fields; attribution on all plans",
    ),
    data_sent=("search text", "dietary wishes"),
)
