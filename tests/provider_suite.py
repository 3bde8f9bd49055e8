"""What holds for every provider of recipes: its adapter, its fake and its contract say the same.

A provider's test inherits `RecipesSuite` and says which files and classes are its own. The adapter talks to the fake
over real sockets; every request and every answer is held against the contract.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Self, TypeVar

import msgspec
import pytest

from contract_check import Contract, Overlay, read_reduced, whole_contract
from fairlead import errors
from fairlead.auth.sign import sign
from fairlead.capabilities.recipes import DIETS, Recipe, RecipeQuery, Recipes
from fairlead.errors import UnexpectedAnswerError
from fairlead.model.exchange import Broken
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect, Failure, Phase
from fairlead.model.page import Page
from fairlead.model.secret import Secret
from fairlead.spec.answer import text_at
from fairlead.spec.describe import answer_type, list_operations
from fairlead.spec.outcomes import classify
from fairlead.spec.provider import Provider
from fairlead.spec.watch import Watch
from fairlead.testing.clock import FakeClock
from fairlead.testing.faults import Faults
from fairlead.testing.server import FakeServer
from fairlead.transport.http import HttpOptions, HttpTransport

T = TypeVar("T")

PATIENCE_S = 5.0


def answer(body: bytes, *, status: int = 200, content_type: str = "application/json") -> Response:
    """Make a canned answer."""
    return Response(status=status, headers=Headers([("content-type", content_type)]), body=body)


def play(operation: Operation[T], *answers: Response) -> tuple[list[Request], T]:
    """Drive an operation by hand, without a socket; return what it asked and what it made of the answers."""
    requests: list[Request] = []
    try:
        request = next(operation)
        for each in answers:
            requests.append(request)
            request = operation.send(each)
    except StopIteration as end:
        result: T = end.value
        return requests, result
    raise AssertionError(f"{request.path} was not foreseen.")


class Live:
    """One connection over real sockets, which remembers what went over them."""

    def __init__(self, provider: Provider, credentials: Mapping[str, str], url: str) -> None:
        self._provider = provider
        self._credentials = {name: Secret(value) for name, value in credentials.items()}
        self._transport = HttpTransport(HttpOptions(base_url=url, allow_private=True))
        self.exchanges: list[tuple[Request, Response]] = []
        self.watch = Watch()

    async def exchange(self, request: Request, *, timeout_s: float = PATIENCE_S) -> Response | Broken:
        signed = sign(request, self._provider.auth, self._credentials)
        return await self._transport.exchange(signed, timeout_s=timeout_s)

    async def run(self, operation: Operation[T]) -> T:
        """Drive an operation to its end; every answer must be a good one."""
        request = next(operation)
        while True:
            response = await self.exchange(request)
            assert isinstance(response, Response), response
            assert 200 <= response.status < 300, response.text
            self.exchanges.append((request, response))
            try:
                with self.watch:
                    request = operation.send(response)
            except StopIteration as end:
                result: T = end.value
                return result

    async def refusal(self, operation: Operation[Any]) -> Response:
        """Return the error that the first request of an operation is answered with."""
        response = await self.exchange(next(operation))
        assert isinstance(response, Response), response
        assert response.status >= 400
        return response

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()


class RecipesSuite:
    """The tests. `credentials` are those that the fake accepts; `contract_file` is the vendor's own description."""

    provider: ClassVar[Provider]
    fake: ClassVar[type[FakeServer]]
    credentials: ClassVar[Mapping[str, str]]
    folder: ClassVar[Path]
    contract_file: ClassVar[str]
    #: An id that the vendor does not have, and a request that it finds wrong.
    unknown_id: ClassVar[str]
    bad_request: ClassVar[Request]
    #: What the vendor answers when the quota is used up.
    quota_error: ClassVar[type[errors.FairleadError]]

    def recipes(self) -> Recipes:
        made: Recipes = self.provider.capabilities["recipes"]("mine")
        return made

    def can_fetch_many(self) -> bool:
        return "fetch_many" in {each.name for each in list_operations(self.provider, "recipes") if each.is_supported}

    @asynccontextmanager
    async def live(self, **settings: Any) -> AsyncIterator[tuple[Live, FakeServer]]:
        usual: dict[str, Any] = {"random": Random(7), "clock": FakeClock()}  # noqa: S311  # chance for faults
        async with self.fake(**usual | settings) as fake, Live(self.provider, self.credentials, fake.url) as live:
            yield live, fake

    async def tour(self, live: Live) -> None:
        """Use every operation of the adapter, with every argument."""
        recipes = self.recipes()
        page = await live.run(recipes.search(RecipeQuery(text="tomato pasta")))
        assert page.next is not None
        await live.run(recipes.search_next(page.next.id))
        for diet in sorted(DIETS):
            await live.run(recipes.search(RecipeQuery(text="soup", diets=(diet,), max_total_time_s=3600)))
        await live.run(recipes.search(RecipeQuery(text="salad", diets=("vegan", "dairy-free"), max_total_time_s=1)))
        await live.run(recipes.search(RecipeQuery(text="crème & brûlée?")))
        await live.run(recipes.fetch(page.items[0].ref.id))
        await live.run(recipes.nutrition(page.items[0].ref.id))
        if self.can_fetch_many():
            await live.run(recipes.fetch_many([each.ref.id for each in page] + [self.unknown_id]))
        assert self.provider.probe is not None
        await live.run(self.provider.probe())

    def reduced(self) -> Contract:
        return read_reduced(self.folder / "contract.json")

    def overlay(self) -> Overlay:
        return Overlay(self.folder / "overlay.json")

    @pytest.fixture(params=["reduced", "whole"])
    def contract(self, request: pytest.FixtureRequest) -> Contract:
        return self.reduced() if request.param == "reduced" else whole_contract(self.contract_file)

    # What goes over the wire is what the contract says.

    async def test_every_request_keeps_to_the_contract(self, contract: Contract) -> None:
        signed_by = {key.name for key in self.provider.auth} if isinstance(self.provider.auth, tuple) else set()
        async with self.live() as (live, _):
            await self.tour(live)
        for request, _ in live.exchanges:
            signed = sign(request, self.provider.auth, {name: Secret("x") for name in self.credentials})
            contract.check_request(signed, beyond=frozenset(self.overlay().parameters) | signed_by)

    async def test_every_good_answer_of_the_fake_keeps_to_the_contract(self, contract: Contract) -> None:
        async with self.live() as (live, _):
            await self.tour(live)
        for request, response in live.exchanges:
            contract.check_answer(request, response)

    async def test_no_good_answer_of_the_fake_has_drifted_from_the_shapes(self) -> None:
        async with self.live() as (live, _):
            await self.tour(live)
        assert [finding for _, finding in live.watch.take()] == []

    async def test_the_contract_would_notice(self, contract: Contract) -> None:
        with pytest.raises(AssertionError):
            contract.check_request(self.bad_request)
        with pytest.raises(AssertionError):
            contract.check_answer(next(self.recipes().search(RecipeQuery(text="soup"))), answer(b"[]"))

    def test_the_reduced_contract_has_no_operation_that_the_whole_one_lacks(self) -> None:
        whole = {(each.method, each.path): each for each in whole_contract(self.contract_file).operations}
        for each in self.reduced().operations:
            theirs = whole[each.method, each.path]
            assert each.query.keys() <= theirs.query.keys() | self.overlay().parameters.keys()

    @pytest.mark.parametrize("status", [500, 502, 503])
    async def test_failures_of_the_fake_keep_to_the_overlay(self, status: int) -> None:
        async with self.live(faults=Faults(error_share=1, error_status=status, retry_after_s=2)) as (live, _):
            response = await live.refusal(self.recipes().search(RecipeQuery(text="soup")))
        self.check_error(response, errors.UnavailableError)
        assert response.headers["retry-after"] == "2"

    async def test_wrong_credentials_are_refused_as_the_overlay_says(self) -> None:
        wrong = dict.fromkeys(self.credentials, "wrong")
        async with self.live() as (_, fake), Live(self.provider, wrong, fake.url) as stranger:
            response = await stranger.refusal(self.recipes().search(RecipeQuery(text="soup")))
        self.check_error(response, errors.AuthenticationError)

    async def test_missing_credentials_are_refused_as_the_overlay_says(self) -> None:
        async with self.live() as (_, fake), Live(self.provider, {}, fake.url) as stranger:
            response = await stranger.refusal(self.recipes().search(RecipeQuery(text="soup")))
        self.check_error(response, errors.AuthenticationError)

    async def test_throttling_is_answered_as_the_overlay_says(self) -> None:
        async with self.live(faults=Faults(is_throttled=True, retry_after_s=1.5)) as (live, _):
            response = await live.refusal(self.recipes().search(RecipeQuery(text="soup")))
        self.check_error(response, errors.ThrottledError)
        assert response.headers["retry-after"] == "2"

    async def test_a_used_up_quota_is_answered_as_the_overlay_says(self) -> None:
        async with self.live(faults=Faults(is_quota_exhausted=True)) as (live, _):
            response = await live.refusal(self.recipes().search(RecipeQuery(text="soup")))
        self.check_error(response, self.quota_error)

    async def test_an_unknown_recipe_is_answered_as_the_overlay_says(self) -> None:
        async with self.live() as (live, _):
            response = await live.refusal(self.recipes().fetch(self.unknown_id))
        self.check_error(response, errors.NotFoundError)

    async def test_a_wrong_request_is_answered_as_the_overlay_says(self) -> None:
        async with self.live() as (live, _):
            response = await live.exchange(self.bad_request)
        assert isinstance(response, Response)
        assert response.status == 400
        self.check_error(response, errors.InvalidRequestError)

    def check_error(self, response: Response, expected: type[errors.FairleadError]) -> None:
        """The body is one that somebody has seen, the runtime knows what it means, and can say why."""
        self.overlay().check(response)
        code = text_at(response, self.provider.error_code_at)
        rules = self.provider.errors
        verdict = classify(response.status, phase=Phase.ANSWERED, effect=Effect.READ, rules=rules, code=code)
        assert verdict.error is expected
        assert text_at(response, self.provider.error_message_at)

    def test_every_answer_of_the_overlay_names_its_evidence_and_date(self) -> None:
        overlay = self.overlay()
        for each in overlay.answers:
            assert len(each.evidence) > 20
            assert each.date.startswith("20")
        assert all(len(evidence) > 20 for evidence in overlay.parameters.values())

    # The adapter, over the wire.

    async def test_pages_follow_each_other_to_the_end_without_repeating(self) -> None:
        async with self.live() as (live, _):
            page: Page[Recipe] = await live.run(self.recipes().search(RecipeQuery(text="tomato pasta")))
            total, seen = page.total, [each.ref for each in page]
            while page.next is not None:
                assert page.next.connection == "mine"
                page = await live.run(self.recipes().search_next(page.next.id))
                seen += [each.ref for each in page]
        assert len(seen) == len(set(seen)) == total
        assert len(live.exchanges) > 1

    async def test_a_cursor_holds_no_credential(self) -> None:
        async with self.live() as (live, _):
            page = await live.run(self.recipes().search(RecipeQuery(text="soup")))
        assert page.next is not None
        assert not any(secret in page.next.id for secret in self.credentials.values())
        for name in self.credentials:
            assert name not in page.next.id

    async def test_several_at_once_are_the_same_as_each_alone(self) -> None:
        if not self.can_fetch_many():
            with pytest.raises(errors.UnsupportedFeatureError):
                self.recipes().fetch_many(["1"])
            return
        async with self.live() as (live, _):
            page: Page[Recipe] = await live.run(self.recipes().search(RecipeQuery(text="soup")))
            identifiers = [each.ref.id for each in page][:3]
            many = await live.run(self.recipes().fetch_many([*identifiers, self.unknown_id]))
            assert many == {each: await live.run(self.recipes().fetch(each)) for each in identifiers}

    async def test_an_answer_is_the_same_after_it_was_kept(self) -> None:
        async with self.live() as (live, _):
            page: Page[Recipe] = await live.run(self.recipes().search(RecipeQuery(text="soup")))
            recipe = await live.run(self.recipes().fetch(page.items[0].ref.id))
        for name, made in (("search", page), ("fetch", recipe)):
            kind = answer_type(self.provider, "recipes", name)
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=kind) == made

    async def test_filters_are_kept(self) -> None:
        query = RecipeQuery(text="curry", diets=("vegan", "gluten-free"), max_total_time_s=50 * 60)
        async with self.live() as (live, _):
            page = await live.run(self.recipes().search(query))
        assert page.items
        for recipe in page:
            assert {"vegan", "gluten-free"} <= set(recipe.diets)
            assert (recipe.total_time_s or 0) <= 50 * 60

    async def test_a_search_without_results_is_an_empty_page(self) -> None:
        async with self.live() as (live, _):
            page = await live.run(self.recipes().search(RecipeQuery(text="xyzzy")))
        assert (page.items, page.total, page.next) == ((), 0, None)

    @pytest.mark.parametrize("faults", [Faults(malformed_share=1), Faults(wrong_type_share=1)])
    async def test_a_spoilt_answer_is_garbled(self, faults: Faults) -> None:
        async with self.live(faults=faults) as (live, fake):
            with pytest.raises(UnexpectedAnswerError) as caught:
                await live.run(self.recipes().search(RecipeQuery(text="soup")))
        assert caught.value.is_garbled
        assert fake.books.answered_ok == 0

    async def test_a_reset_in_the_body_cuts_the_answer_short(self) -> None:
        async with self.live(faults=Faults(reset_share=1)) as (live, _):
            broken = await live.exchange(next(self.recipes().search(RecipeQuery(text="soup"))))
        assert isinstance(broken, Broken)
        assert broken.failure in {Failure.TRUNCATED, Failure.RESET}
        assert broken.phase.was_sent

    async def test_a_vendor_that_hangs_times_out(self) -> None:
        async with self.live(faults=Faults(hang_share=1)) as (live, _):
            broken = await live.exchange(next(self.recipes().search(RecipeQuery(text="soup"))), timeout_s=0.05)
        assert isinstance(broken, Broken)
        assert broken.failure is Failure.TIMEOUT

    async def test_a_vendor_that_is_down_refuses(self) -> None:
        async with self.live() as (live, fake):
            await fake.go_down()
            broken = await live.exchange(next(self.recipes().search(RecipeQuery(text="soup"))))
        assert isinstance(broken, Broken)
        assert broken.failure is Failure.REFUSED

    # What no vendor should be able to break.

    @pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff\xfe", b'{"x": ' + b"[" * 100_000])
    def test_an_answer_that_is_not_json_is_garbled(self, body: bytes) -> None:
        for operation in (self.recipes().search(RecipeQuery(text="soup")), self.recipes().fetch("1")):
            with pytest.raises(UnexpectedAnswerError) as caught:
                play(operation, answer(body, content_type="text/html"))
            assert caught.value.is_garbled

    @pytest.mark.parametrize("body", [b"[]", b"null", b"{}", b'"soup"', b"7"])
    def test_json_of_another_shape_is_a_change(self, body: bytes) -> None:
        with pytest.raises(UnexpectedAnswerError) as caught:
            play(self.recipes().search(RecipeQuery(text="soup")), answer(body))
        assert not caught.value.is_garbled
        assert caught.value.path == "$"

    def test_every_operation_is_a_read(self) -> None:
        recipes = self.recipes()
        for operation in (
            recipes.search(RecipeQuery(text="soup")),
            recipes.search_next("query=soup&q=soup"),
            recipes.fetch("1"),
            recipes.nutrition("1"),
        ):
            assert next(operation).effect is Effect.READ

    def test_an_identifier_cannot_leave_its_place_in_the_path(self) -> None:
        for operation in (self.recipes().fetch("../../x?y=1"), self.recipes().nutrition("../../x?y=1")):
            assert "..%2F..%2Fx%3Fy%3D1" in next(operation).path
