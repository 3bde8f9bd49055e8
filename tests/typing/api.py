"""The public API as type checkers see it. Never run: `mypy` reads it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, assert_type

from fairlead import Effect, Fairlead, FairleadError, Money, Outcome, Ref, ResponseMapping, Secret, sync
from fairlead.capabilities.payments.payment import NewPayment, Payment, Refund
from fairlead.capabilities.recipes import Ingredient, Nutrient, Nutrition, Recipe
from fairlead.capabilities.subscriptions.subscription import Subscription
from fairlead.config.read import parse_settings, read_settings
from fairlead.config.settings import Settings
from fairlead.model.attempt import Attempt
from fairlead.model.call import CallReport
from fairlead.model.deadline import Deadline
from fairlead.model.incoming import Reply
from fairlead.model.message import Request, Response
from fairlead.model.page import ListPage, Page
from fairlead.observe.events import ConfigReloaded, Event, EventStream
from fairlead.resilience.breaker import State
from fairlead.runtime.bulk import BulkProgress, BulkResult
from fairlead.runtime.event_desk import EventRecord
from fairlead.runtime.handlers import Received
from fairlead.runtime.later import BackgroundCall
from fairlead.runtime.ports import Ports
from fairlead.storage.jobs import Reject, Statement, Tally
from fairlead.testing.fakes.spoonacular import SpoonacularFake
from fairlead.testing.faults import Faults


def sink(event: Event) -> None:
    assert_type(event, Event)


async def construct() -> None:
    assert_type(parse_settings(""), Settings)
    assert_type(read_settings("fairlead.toml"), Settings)
    assert_type(Fairlead.from_config(), Fairlead)
    assert_type(Fairlead.from_config("a.toml", environment={"KEY": "value"}), Fairlead)
    async with Fairlead(Settings(), ports=Ports(events=EventStream((sink,)))) as fl:
        assert_type(fl, Fairlead)


async def invalidate(fl: Fairlead) -> None:
    assert_type(await fl.invalidate(Ref("shop", "1"), "recipes.search"), int)


async def operate(fl: Fairlead) -> None:
    assert_type(await fl.reload(Settings(), source="code"), ConfigReloaded)
    assert_type(await fl.reload_from("fairlead.toml"), ConfigReloaded)
    assert_type(await fl.hold_circuit("shop", "open"), State)
    with fl.deadline(2.0) as deadline:
        assert_type(deadline, Deadline)
        page = await fl.recipes.search("pasta", sticky_key="user-1", drill=("spoonacular",))
    if page.call:
        assert_type(page.call.drilled, tuple[str, ...])


async def recipes(fl: Fairlead) -> None:
    page = await fl.recipes.search("pasta", diets=["vegan"], max_total_time_s=1800, deadline_s=2.0, tenant="acme")
    assert_type(page, Page[Recipe])
    assert_type(page.items, tuple[Recipe, ...])
    assert_type(page.total, int | None)
    assert_type(page.served_by, str | None)
    assert_type(page.is_stale, bool)
    assert_type(page.call, CallReport | None)
    if page.call:
        assert_type(page.call.attempts, tuple[Attempt, ...])
        assert_type(page.call.attempts[0].outcome, Outcome)
    if page.next:
        assert_type(page.next, Ref)
        assert_type(await fl.recipes.next_page(page.next), Page[Recipe])
    async for each in fl.recipes.iter_pages("pasta"):
        assert_type(each, Page[Recipe])
    for recipe in page:
        assert_type(recipe, Recipe)
        assert_type(recipe.ref, Ref)
        assert_type(recipe.ingredients, tuple[Ingredient, ...])
        assert_type(await fl.recipes.fetch(recipe.ref), Recipe)
        assert_type(await fl.recipes.fetch_many([recipe.ref, "a:1"]), Mapping[Ref, Recipe | FairleadError])
    nutrition = await fl.recipes.nutrition("spoonacular:716429", correlation_id="order-1")
    assert_type(nutrition, Nutrition)
    assert_type(nutrition.nutrients, tuple[Nutrient, ...])
    assert_type(nutrition.amount("energy"), float | None)
    await fl.recipes.search("pasta", deadline="soon")  # type: ignore[call-overload]
    await fl.recipes.search(7)  # type: ignore[call-overload]


async def plain(fl: Fairlead) -> None:
    response = await fl.http("acme").get("/things", query={"page": 2, "all": True}, headers={"x-a": "b"})
    assert_type(response, Response)
    assert_type(response.status, int)
    assert_type(response.body, bytes)
    assert_type(response.text, str)
    assert_type(response.headers["x-a"], str)
    assert_type(await fl.http("acme").post("/things", json={"a": 1}, idempotency_key="k"), Response)
    assert_type(await fl.http("acme").request("DELETE", "/things/1", effect=Effect.IDEMPOTENT), Response)


async def any_api(fl: Fairlead) -> None:
    assert_type(await fl.http("acme").get("/things/7", model=Money), Money)
    assert_type(await fl.http("acme").get("/things", model=list[Money]), list[Money])
    assert_type(await fl.http("acme").post("/things", model=Money, json={}), Money)
    mapping = ResponseMapping(model=Money, version="1", renames={"amount": "value"}, ignores=("debug",))
    assert_type(mapping, ResponseMapping[Money])
    assert_type(await fl.http("acme").get("/things/7", model=mapping), Money)
    assert_type(await fl.http("acme").post("/things", model=mapping, json={}), Money)
    assert_type(await fl.http("acme").get("/things/7", model="thing"), Any)
    async for mapped in fl.http("acme").paginate("/things", model=mapping):
        assert_type(mapped, ListPage[Money])
    async for untyped in fl.http("acme").paginate("/things", query={"q": "x"}, items_at="data.items"):
        assert_type(untyped, ListPage[Any])
        assert_type(untyped.position, Mapping[str, Any])
    async for typed in fl.http("acme").paginate("/things", model=Money, position=untyped.position, deadline_s=2.0):
        assert_type(typed.items, tuple[Money, ...])
    async for result in fl.http("acme").bulk([Request.get("/things")], at_once=3, on_progress=progress):
        assert_type(result, BulkResult)
        assert_type(result.response, Response | None)
        assert_type(result.error, FairleadError | None)


async def webhooks(fl: Fairlead) -> None:
    @fl.on("payment.succeeded", skip_late=True)
    async def pay(event: Received) -> Statement:
        assert_type(event.is_late, bool)
        return Statement("INSERT INTO paid VALUES (?)", (event.key,))

    handler: Callable[[Received], Coroutine[Any, Any, Statement]] = pay
    assert_type(fl.on("acme:*")(handler), Callable[[Received], Coroutine[Any, Any, Statement]])
    assert_type(await fl.webhooks.receive("shop", url="https://a.example/", headers={}, body=b""), Reply)
    assert_type(await fl.webhooks.list(state="dead"), Sequence[EventRecord])
    assert_type(await fl.webhooks.replay(connection="shop"), int)


def webhooks_without_a_loop(fl: sync.Fairlead) -> None:
    @fl.on("acme:*")
    def note(event: Received) -> None:
        assert_type(event.body, bytes)

    handler: Callable[[Received], None] = note
    assert_type(fl.on("shop:*")(handler), Callable[[Received], None])
    assert_type(fl.webhooks.receive("shop", url="https://a.example/", headers={}, body=b""), Reply)
    assert_type(fl.webhooks.list(), Sequence[EventRecord])
    assert_type(fl.webhooks.show(1), EventRecord | None)
    assert_type(fl.webhooks.replay(1), int)
    assert_type(fl.webhooks.rejects(), Sequence[Reject])
    assert_type(fl.webhooks.tallies(), Sequence[Tally])


async def background(fl: Fairlead) -> None:
    posted = await fl.http("acme").post("/things", json={"a": 1}, background=True, run_at=1.0, idempotency_key="k")
    assert_type(posted, BackgroundCall[Response])
    assert_type(await fl.http("acme").request("DELETE", "/things/1", background=True), BackgroundCall[Response])
    assert_type(await fl.http("acme").get("/things", background=True), BackgroundCall[Response])
    assert_type(await fl.http("acme").send(Request.get("/things"), background=True), BackgroundCall[Response])
    searched = await fl.recipes.search("pasta", diets=["vegan"], background=True, run_at=datetime.now(UTC))
    assert_type(searched, BackgroundCall[Page[Recipe]])
    assert_type(await fl.recipes.fetch("a:1", background=True), BackgroundCall[Recipe])
    assert_type(await fl.calls.wait(searched), Page[Recipe])
    assert_type(await fl.calls.wait(posted, deadline_s=2.0), Response)
    assert_type(await fl.calls.wait(posted.id), Any)
    assert_type(await fl.calls.get(posted.id), BackgroundCall[Any])
    assert_type(await fl.calls.list(tenant="a"), Sequence[BackgroundCall[Any]])
    assert_type(await fl.calls.cancel(posted.id), bool)
    await fl.http("acme").post("/things", run_at=1.0)  # type: ignore[call-overload]
    await fl.http("acme").post("/things", model=Money, background=True)  # type: ignore[call-overload]


async def payments(fl: Fairlead) -> None:
    wanted = NewPayment(amount=Money.of("10.50", "EUR"), methods=(Ref.parse("one:pm_1"),))
    assert_type(await fl.payments.create(wanted, idempotency_key="order-7"), Payment)
    assert_type(await fl.payments.create(wanted, background=True), BackgroundCall[Payment])
    assert_type(await fl.payments.refund("one:p_1", amount=Money(100, "EUR")), Refund)
    assert_type(await fl.subscriptions.create("ada", "premium", customer="one:c_1"), Subscription)
    assert_type(await fl.subscriptions.is_active("ada", "premium"), bool)
    await fl.payments.create(wanted, captrue=False)  # type: ignore[call-overload]


def blocking_payments(fl: sync.Fairlead) -> None:
    wanted = NewPayment(amount=Money.of("10.50", "EUR"))
    assert_type(fl.payments.create(wanted, idempotency_key="order-7"), Payment)
    assert_type(fl.payments.create(wanted, background=True), BackgroundCall[Payment])
    assert_type(fl.payments.fetch("one:p_1", deadline_s=2.0), Payment)
    assert_type(fl.subscriptions.is_active("ada", "premium"), bool)
    fl.payments.fetch(7)  # type: ignore[arg-type]


def progress(progress: BulkProgress) -> None:
    assert_type(progress.total, int | None)


def errors(error: FairleadError) -> None:
    assert_type(error.code, str)
    assert_type(error.hint, str)
    assert_type(error.outcome, Outcome | None)
    assert_type(error.retry_after_s, float | None)
    assert_type(error.attempts, tuple[Attempt, ...])


def values() -> None:
    assert_type(Money.of("10.50", "EUR"), Money)
    assert_type(Money(1050, "EUR") + Money(1, "EUR"), Money)
    assert_type(Ref.parse("spoonacular:7"), Ref)
    assert_type(Secret("x").reveal(), str)


async def fakes() -> None:
    async with SpoonacularFake(faults=Faults(error_share=0.5)) as fake:
        assert_type(fake, SpoonacularFake)
        assert_type(fake.url, str)
        assert_type(fake.books.requests, int)
