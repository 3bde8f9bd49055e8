"""`fl.payments`: money taken once and given back, by whichever processor serves.

What was made somewhere is looked after there: captures, refunds and look-ups go where the payment's `Ref` points.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Unpack, overload

import msgspec

from fairlead.capabilities.payments.movement import Movements, Period
from fairlead.capabilities.payments.operations import Capture
from fairlead.capabilities.payments.payment import NewPayment, NewRefund, Payment, PaymentQuery, Refund
from fairlead.model.call import Ref
from fairlead.model.money import Money
from fairlead.model.page import Page
from fairlead.runtime.facade import Facade
from fairlead.runtime.later import BackgroundCall
from fairlead.runtime.payers import CustomersFacade, DisputesFacade, PagesFacade
from fairlead.runtime.wanted import CallOptions, KeyedLater, KeyedOptions, LedgerOptions


class PaymentsFacade(Facade):
    """Take payments and give them back. Every call that acts is written down before anything leaves.

    A call whose outcome is not known raises `OutcomeUnknownError` and is settled by asking its processor; it never goes
    to another one meanwhile. `DeclinedError` says why a payment was refused, and who should act.
    """

    @cached_property
    def customers(self) -> CustomersFacade:
        """Who pays, and by what."""
        return CustomersFacade(self._find_route, self._calls)

    @cached_property
    def disputes(self) -> DisputesFacade:
        """What payers contest."""
        return DisputesFacade(self._find_route, self._calls)

    @cached_property
    def pages(self) -> PagesFacade:
        """The processors' own pages, where card data stays."""
        return PagesFacade(self._find_route, self._calls)

    @overload
    async def create(self, payment: NewPayment, **options: Unpack[KeyedOptions]) -> Payment: ...

    @overload
    async def create(self, payment: NewPayment, **options: Unpack[KeyedLater]) -> BackgroundCall[Payment]: ...

    async def create(self, payment: NewPayment, **options: Unpack[LedgerOptions]) -> Any:
        """Make a payment, by the first processor of the route where one of its methods is valid.

        Give an `idempotency_key` of your own, as the number of the order: a repeat then gives the same payment.
        """
        return await self._call("create", (payment,), None, options)

    @overload
    async def confirm(self, payment: Ref | str, **options: Unpack[KeyedOptions]) -> Payment: ...

    @overload
    async def confirm(self, payment: Ref | str, **options: Unpack[KeyedLater]) -> BackgroundCall[Payment]: ...

    async def confirm(self, payment: Ref | str, **options: Unpack[LedgerOptions]) -> Any:
        """Go on with a payment after the payer has done what `next_action` asked."""
        ref = Ref.of(payment)
        return await self._call("confirm", (ref.id,), None, options, ref=ref)

    @overload
    async def capture(
        self, payment: Ref | str, *, amount: Money | None = None, **options: Unpack[KeyedOptions]
    ) -> Payment: ...

    @overload
    async def capture(
        self, payment: Ref | str, *, amount: Money | None = None, **options: Unpack[KeyedLater]
    ) -> BackgroundCall[Payment]: ...

    async def capture(
        self, payment: Ref | str, *, amount: Money | None = None, **options: Unpack[LedgerOptions]
    ) -> Any:
        """Take money that is reserved: all of it, or `amount`."""
        ref = Ref.of(payment)
        return await self._call("capture", (Capture(payment=ref.id, amount=amount),), None, options, ref=ref)

    @overload
    async def cancel(self, payment: Ref | str, **options: Unpack[KeyedOptions]) -> Payment: ...

    @overload
    async def cancel(self, payment: Ref | str, **options: Unpack[KeyedLater]) -> BackgroundCall[Payment]: ...

    async def cancel(self, payment: Ref | str, **options: Unpack[LedgerOptions]) -> Any:
        """Let go of what is reserved, or of what was not paid yet."""
        ref = Ref.of(payment)
        return await self._call("cancel", (ref.id,), None, options, ref=ref)

    @overload
    async def refund(
        self, payment: Ref | str, *, amount: Money | None = None, reason: str | None = None, note: str | None = None,
        **options: Unpack[KeyedOptions],
    ) -> Refund: ...  # fmt: skip

    @overload
    async def refund(
        self, payment: Ref | str, *, amount: Money | None = None, reason: str | None = None, note: str | None = None,
        **options: Unpack[KeyedLater],
    ) -> BackgroundCall[Refund]: ...  # fmt: skip

    async def refund(
        self, payment: Ref | str, *, amount: Money | None = None, reason: str | None = None, note: str | None = None,
        **options: Unpack[LedgerOptions],
    ) -> Any:  # fmt: skip
        """Give back all that is left of a payment, or `amount`. `reason` is one of `NewRefund.reason`."""
        ref = Ref.of(payment)
        refund = NewRefund(payment=ref.id, amount=amount, reason=reason, note=note)
        return await self._call("refund", (refund,), None, options, ref=ref)

    async def fetch(self, payment: Ref | str, **options: Unpack[CallOptions]) -> Payment:
        """Return a payment as its processor has it now."""
        ref = Ref.of(payment)
        found: Payment = await self._call("fetch", (ref.id,), None, options, ref=ref)
        return found

    async def fetch_refund(self, refund: Ref | str, **options: Unpack[CallOptions]) -> Refund:
        """Return a refund as its processor has it now."""
        ref = Ref.of(refund)
        found: Refund = await self._call("fetch_refund", (ref.id,), None, options, ref=ref)
        return found

    async def list(
        self, connection: str, query: PaymentQuery | None = None, **options: Unpack[CallOptions]
    ) -> Page[Payment]:
        """Return the payments of one connection, newest first."""
        at = Ref(connection, "")
        page: Page[Payment] = await self._call("list", (query or PaymentQuery(),), None, options, ref=at)
        return page

    async def next_page(self, query: PaymentQuery, ref: Ref, **options: Unpack[CallOptions]) -> Page[Payment]:
        """Return the page that `page.next` points at; `query` is that of the first one."""
        return await self.list(ref.connection, msgspec.structs.replace(query, cursor=ref.id), **options)

    async def movements(self, connection: str, period: Period, **options: Unpack[CallOptions]) -> Movements:
        """Return what moved in the balance at one connection: one page, with the cursor of the next."""
        moved: Movements = await self._call("movements", (period,), None, options, ref=Ref(connection, ""))
        return moved
