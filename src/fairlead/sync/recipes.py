"""Recipes, in synchronous code."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Unpack

from fairlead.capabilities.recipes import Nutrition, Recipe
from fairlead.errors import FairleadError
from fairlead.model.call import Ref
from fairlead.model.page import Page
from fairlead.runtime.recipes import RecipesFacade as AsyncRecipesFacade
from fairlead.runtime.wanted import CallOptions
from fairlead.sync.loop import BACKGROUND


class RecipesFacade:
    """Search recipes, fetch one, and know what is in it."""

    def __init__(self, recipes: AsyncRecipesFacade, owner: object) -> None:
        self._recipes = recipes
        self._owner = owner  # whose end closes the sockets

    def search(
        self,
        text: str,
        *,
        diets: Iterable[str] = (),
        max_total_time_s: int | None = None,
        **options: Unpack[CallOptions],
    ) -> Page[Recipe]:
        """Return the first page of what matches `text` and every one of `diets`."""
        return BACKGROUND.run(
            lambda: self._recipes.search(text, diets=diets, max_total_time_s=max_total_time_s, **options)
        )

    def next_page(self, ref: Ref, **options: Unpack[CallOptions]) -> Page[Recipe]:
        """Return the page that `page.next` points at, from the vendor that began the list."""
        return BACKGROUND.run(lambda: self._recipes.next_page(ref, **options))

    def iter_pages(
        self,
        text: str,
        *,
        diets: Iterable[str] = (),
        max_total_time_s: int | None = None,
        **options: Unpack[CallOptions],
    ) -> Generator[Page[Recipe], None, None]:
        """Yield page after page, all from one vendor; each is asked for only when wanted."""
        return BACKGROUND.iterate(
            self._recipes.iter_pages(text, diets=diets, max_total_time_s=max_total_time_s, **options),
            keep=self._owner,
        )

    def fetch(self, ref: Ref | str, **options: Unpack[CallOptions]) -> Recipe:
        """Return one recipe, from the vendor that named it. `ref` may be its text, `connection:id`."""
        return BACKGROUND.run(lambda: self._recipes.fetch(ref, **options))

    def fetch_many(
        self, refs: Iterable[Ref | str], **options: Unpack[CallOptions]
    ) -> Mapping[Ref, Recipe | FairleadError]:
        """Return several recipes, each from the vendor that named it, or the error of one that could not be had."""
        return BACKGROUND.run(lambda: self._recipes.fetch_many(refs, **options))

    def nutrition(self, ref: Ref | str, **options: Unpack[CallOptions]) -> Nutrition:
        """Return what is in one serving of a recipe."""
        return BACKGROUND.run(lambda: self._recipes.nutrition(ref, **options))
