"""`fl.recipes`: recipes from whichever vendor serves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any, Unpack, overload

from fairlead.capabilities.recipes import Nutrition, Recipe, RecipeQuery
from fairlead.errors import FairleadError
from fairlead.model.call import Ref
from fairlead.model.page import Page
from fairlead.runtime.facade import Facade
from fairlead.runtime.later import BackgroundCall
from fairlead.runtime.wanted import BackgroundOptions, CallOptions, LaterOptions


class RecipesFacade(Facade):
    """Search recipes, fetch one, and know what is in it."""

    @overload
    async def search(
        self, text: str, *, diets: Iterable[str] = (), max_total_time_s: int | None = None,
        **options: Unpack[CallOptions],
    ) -> Page[Recipe]: ...  # fmt: skip

    @overload
    async def search(
        self, text: str, *, diets: Iterable[str] = (), max_total_time_s: int | None = None,
        **options: Unpack[LaterOptions],
    ) -> BackgroundCall[Page[Recipe]]: ...  # fmt: skip

    async def search(
        self, text: str, *, diets: Iterable[str] = (), max_total_time_s: int | None = None,
        **options: Unpack[BackgroundOptions],
    ) -> Any:  # fmt: skip
        """Return the first page of what matches `text` and every one of `diets`."""
        query = RecipeQuery(text=text, diets=tuple(diets), max_total_time_s=max_total_time_s)
        return await self._call("search", (query,), query, options)

    @overload
    async def next_page(self, ref: Ref, **options: Unpack[CallOptions]) -> Page[Recipe]: ...

    @overload
    async def next_page(self, ref: Ref, **options: Unpack[LaterOptions]) -> BackgroundCall[Page[Recipe]]: ...

    async def next_page(self, ref: Ref, **options: Unpack[BackgroundOptions]) -> Any:
        """Return the page that `page.next` points at, from the vendor that began the list."""
        return await self._call("search_next", (ref.id,), ref, options, ref=ref)

    async def iter_pages(
        self,
        text: str,
        *,
        diets: Iterable[str] = (),
        max_total_time_s: int | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncGenerator[Page[Recipe], None]:
        """Yield page after page, all from one vendor; each is asked for only when wanted."""
        page = await self.search(text, diets=diets, max_total_time_s=max_total_time_s, **options)
        yield page
        while page.next is not None:
            page = await self.next_page(page.next, **options)
            yield page

    @overload
    async def fetch(self, ref: Ref | str, **options: Unpack[CallOptions]) -> Recipe: ...

    @overload
    async def fetch(self, ref: Ref | str, **options: Unpack[LaterOptions]) -> BackgroundCall[Recipe]: ...

    async def fetch(self, ref: Ref | str, **options: Unpack[BackgroundOptions]) -> Any:
        """Return one recipe, from the vendor that named it. `ref` may be its text, `connection:id`."""
        wanted = Ref.of(ref)
        return await self._call("fetch", (wanted.id,), wanted, options, ref=wanted)

    async def fetch_many(
        self, refs: Iterable[Ref | str], **options: Unpack[CallOptions]
    ) -> Mapping[Ref, Recipe | FairleadError]:
        """Return several recipes, each from the vendor that named it, or the error of one that could not be had.

        A vendor that can is asked for many in one request; recipes that are kept in the cache are not asked for.
        """
        wanted = [Ref.of(each) for each in refs]
        return await self._call_each("fetch", wanted, options)

    @overload
    async def nutrition(self, ref: Ref | str, **options: Unpack[CallOptions]) -> Nutrition: ...

    @overload
    async def nutrition(self, ref: Ref | str, **options: Unpack[LaterOptions]) -> BackgroundCall[Nutrition]: ...

    async def nutrition(self, ref: Ref | str, **options: Unpack[BackgroundOptions]) -> Any:
        """Return what is in one serving of a recipe."""
        wanted = Ref.of(ref)
        return await self._call("nutrition", (wanted.id,), wanted, options, ref=wanted)
