"""`fl.subscriptions`: what somebody pays for again and again, and what they may do for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from fairlead.capabilities.subscriptions.subscription import (
    Cancellation,
    Change,
    Invoices,
    NewPrice,
    NewSubscription,
    Price,
    Proration,
    Subscription,
    SubscriptionQuery,
)
from fairlead.config.subscriptions import Plan
from fairlead.config.subscriptions import Subscriptions as Settings
from fairlead.errors import InvalidArgumentError
from fairlead.model.call import Ref
from fairlead.model.page import Page
from fairlead.model.suggest import suggest
from fairlead.runtime.calls import Calls
from fairlead.runtime.desk import Desk
from fairlead.runtime.entitlements import Entitlement, Entitlements, Known
from fairlead.runtime.facade import Facade, Route
from fairlead.runtime.upkeep import Upkeep
from fairlead.runtime.wanted import CallOptions, KeyedOptions


class _Words(TypedDict, total=False):
    """Who subscribes, and how they come back from the processor's page. See `NewSubscription`."""

    customer: Ref | str | None
    method: Ref | str | None
    return_url: str | None
    cancel_url: str | None
    email: str | None
    metadata: Mapping[str, str]
    extra: Mapping[str, Mapping[str, Any]]


class Subscribing(_Words, KeyedOptions, total=False):
    """All that a subscription may be given, and its call."""


class SubscriptionsFacade(Facade):
    """Make and change subscriptions, and ask what an account may do.

    Plans are those of the settings: `[subscriptions.plans.premium]`. What comes of every call is kept; webhooks and
    polling keep it true.
    """

    def __init__(
        self, find_route: Callable[[], Route], calls: Calls, desk: Desk, find_settings: Callable[[], Settings]
    ) -> None:
        super().__init__(find_route, calls)
        self._find_settings = find_settings
        self._clock = desk.ports.clock
        self.entitlements = Entitlements(desk.store, desk.ports.clock, find_settings)
        self.upkeep = Upkeep(
            desk,
            self.entitlements,
            fetch=self._fetch,
            list_page=self._list,
            find_connections=self._names,
            find_settings=find_settings,
        )

    async def is_active(self, account: str, entitlement: str) -> bool:
        """Whether an account has a subscription that grants this: from what is known here, whoever is down."""
        return await self.entitlements.is_active(account, entitlement)

    async def check(self, account: str, entitlement: str) -> Entitlement:
        """Return whether, by which subscription, and how old that knowledge is."""
        return await self.entitlements.check(account, entitlement)

    async def of(self, account: str) -> Sequence[Known]:
        """Return what is known of the subscriptions of an account, those that are over too."""
        return await self.entitlements.load(account)

    async def create(
        self,
        account: str,
        plan: str,
        *,
        connection: str | None = None,
        quantity: int = 1,
        trial_days: int | None = None,
        **given: Unpack[Subscribing],
    ) -> Subscription:
        """Subscribe an account to a plan: where the customer or the method is known, at `connection`, or by route.

        Where the payer must agree on the processor's page, the answer has `url`. Give an `idempotency_key` of your own.
        """
        payer, means = given.get("customer"), given.get("method")
        known = [Ref.of(each) for each in (payer, means) if each]
        at, price = self._price_of(plan, {each.connection for each in known} | ({connection} if connection else set()))
        wanted = NewSubscription(
            account=account,
            price=price,
            customer=Ref.of(payer).id if payer else None,
            method=Ref.of(means).id if means else None,
            quantity=quantity,
            trial_days=trial_days,
            return_url=given.get("return_url"),
            cancel_url=given.get("cancel_url"),
            email=given.get("email"),
            metadata=given.get("metadata", {}),
            extra=given.get("extra", {}),
        )
        options: KeyedOptions = {  # type: ignore[assignment]  # what is no word of a subscription is an option
            name: value for name, value in given.items() if name not in _Words.__annotations__
        }
        return await self._act("create", wanted, Ref(at, ""), options)

    async def change(
        self,
        subscription: Ref | str,
        *,
        plan: str | None = None,
        quantity: int | None = None,
        proration: Proration = Proration.NEXT_INVOICE,
        **options: Unpack[KeyedOptions],
    ) -> Subscription:
        """Go to another plan, or another quantity."""
        ref = Ref.of(subscription)
        price = None if plan is None else self._price_of(plan, {ref.connection})[1]
        change = Change(subscription=ref.id, price=price, quantity=quantity, proration=proration)
        return await self._act("change", change, ref, options)

    async def pause(self, subscription: Ref | str, **options: Unpack[KeyedOptions]) -> Subscription:
        """Charge nothing until it is resumed."""
        ref = Ref.of(subscription)
        return await self._act("pause", ref.id, ref, options)

    async def resume(self, subscription: Ref | str, **options: Unpack[KeyedOptions]) -> Subscription:
        """Go on after a pause."""
        ref = Ref.of(subscription)
        return await self._act("resume", ref.id, ref, options)

    async def cancel(
        self,
        subscription: Ref | str,
        *,
        at_period_end: bool = True,
        reason: str | None = None,
        **options: Unpack[KeyedOptions],
    ) -> Subscription:
        """End it: once the period that is paid for is over, or now."""
        ref = Ref.of(subscription)
        wanted = Cancellation(subscription=ref.id, at_period_end=at_period_end, reason=reason)
        return await self._act("cancel", wanted, ref, options)

    async def fetch(self, subscription: Ref | str) -> Subscription:
        """Ask the vendor what a subscription is like, and keep that."""
        return await self.upkeep.look(Ref.of(subscription))

    async def list(
        self, connection: str, query: SubscriptionQuery | None = None, **options: Unpack[CallOptions]
    ) -> Page[Subscription]:
        """Return the subscriptions of one connection, as the vendor has them."""
        return await self._list(connection, query or SubscriptionQuery(), **options)

    async def invoices(self, subscription: Ref | str, **options: Unpack[CallOptions]) -> Invoices:
        """Return what was billed for a subscription."""
        ref = Ref.of(subscription)
        found: Invoices = await self._call("invoices", (ref.id,), None, options, ref=ref)
        return found

    async def create_price(self, connection: str, price: NewPrice, **options: Unpack[KeyedOptions]) -> Price:
        """Make a price at one vendor; its id belongs into the settings of a plan."""
        made: Price = await self._call("create_price", (price,), None, options, ref=Ref(connection, ""))
        return made

    async def fetch_price(self, price: Ref | str, **options: Unpack[CallOptions]) -> Price:
        """Return a price as its vendor has it."""
        ref = Ref.of(price)
        found: Price = await self._call("fetch_price", (ref.id,), None, options, ref=ref)
        return found

    # --- What these share -----------------------------------------------------------------------------------------

    async def _act(self, name: str, argument: Any, at: Ref, options: KeyedOptions) -> Subscription:
        """Change a subscription, and keep what it is like then: whoever asked before that knows less."""
        done: Subscription = await self._call(name, (argument,), None, options, ref=at)
        await self.upkeep.keep(done, at=self._clock.wall())
        return done

    async def _fetch(self, ref: Ref) -> Subscription:
        found: Subscription = await self._call("fetch", (ref.id,), None, {}, ref=ref)
        return found

    async def _list(
        self, connection: str, query: SubscriptionQuery, **options: Unpack[CallOptions]
    ) -> Page[Subscription]:
        page: Page[Subscription] = await self._call("list", (query,), None, options, ref=Ref(connection, ""))
        return page

    def _names(self) -> Sequence[str]:
        return [each.name for each in self._route.connections]

    def _price_of(self, plan: str, known_at: set[str]) -> tuple[str, str]:
        """Return the connection where a plan is billed, and its price there."""
        plans: Mapping[str, Plan] = self._find_settings().plans
        if plan not in plans:
            raise InvalidArgumentError(
                f"plan: there is no {plan!r}.", hint=suggest(plan, plans) or "Add it under [subscriptions.plans]."
            )
        prices = plans[plan].prices
        if len(known_at) > 1:
            raise InvalidArgumentError(
                f"customer, method and connection are of {' and '.join(sorted(known_at))}.",
                hint="What one processor gave is good there alone.",
            )
        at = next((name for name in known_at or self._names() if name in prices), None)
        if at is None:
            where = ", ".join(known_at) or "any connection of the route"
            raise InvalidArgumentError(
                f"plan: {plan!r} has no price at {where}.", hint=f"Add it to subscriptions.plans.{plan}.prices."
            )
        return at, prices[at]
