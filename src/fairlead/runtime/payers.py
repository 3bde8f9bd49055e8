"""Who pays, what they contest, and the pages on which they do: the rooms of `fl.payments`."""

from __future__ import annotations

from typing import Any, Unpack, overload

from fairlead.capabilities.payments.checkout import Checkout, NewCheckout, NewPortal, Portal
from fairlead.capabilities.payments.customer import Customer, KeptMethod, NewCustomer, NewMethod, PaymentMethods
from fairlead.capabilities.payments.dispute import Dispute, DisputeQuery, Evidence
from fairlead.capabilities.payments.operations import Done
from fairlead.errors import InvalidArgumentError
from fairlead.model.call import Ref
from fairlead.model.page import Page
from fairlead.runtime.facade import Facade
from fairlead.runtime.later import BackgroundCall
from fairlead.runtime.wanted import CallOptions, KeyedLater, KeyedOptions, LedgerOptions


class CustomersFacade(Facade):
    """Customers, and the methods that are kept for them: as tokens, at the processor that gave them."""

    @overload
    async def create(
        self, customer: NewCustomer, *, connection: str | None = None, **options: Unpack[KeyedOptions]
    ) -> Customer: ...

    @overload
    async def create(
        self, customer: NewCustomer, *, connection: str | None = None, **options: Unpack[KeyedLater]
    ) -> BackgroundCall[Customer]: ...

    async def create(
        self, customer: NewCustomer, *, connection: str | None = None, **options: Unpack[LedgerOptions]
    ) -> Any:
        """Let a processor know of a customer: that of `connection`, or whichever the route comes to."""
        at = None if connection is None else Ref(connection, "")
        return await self._call("create_customer", (customer,), None, options, ref=at)

    async def fetch(self, customer: Ref | str, **options: Unpack[CallOptions]) -> Customer:
        """Return a customer."""
        ref = Ref.of(customer)
        found: Customer = await self._call("fetch_customer", (ref.id,), None, options, ref=ref)
        return found

    async def methods(self, customer: Ref | str, **options: Unpack[CallOptions]) -> PaymentMethods:
        """Return what a customer can be charged by."""
        ref = Ref.of(customer)
        found: PaymentMethods = await self._call("methods", (ref.id,), None, options, ref=ref)
        return found

    async def keep_method(self, customer: Ref | str, token: str, **options: Unpack[KeyedOptions]) -> KeptMethod:
        """Keep a token for a customer: that which the processor's own page or form gave."""
        ref = Ref.of(customer)
        wanted = NewMethod(customer=ref.id, token=token)
        kept: KeptMethod = await self._call("keep_method", (wanted,), None, options, ref=ref)
        return kept

    async def drop_method(self, method: Ref | str, **options: Unpack[KeyedOptions]) -> None:
        """Forget a method."""
        ref = Ref.of(method)
        _: Done = await self._call("drop_method", (ref.id,), None, options, ref=ref)


class DisputesFacade(Facade):
    """Payments that payers contest."""

    async def list(
        self, connection: str, query: DisputeQuery | None = None, **options: Unpack[CallOptions]
    ) -> Page[Dispute]:
        """Return the disputes of one connection, newest first."""
        at = Ref(connection, "")
        page: Page[Dispute] = await self._call("disputes", (query or DisputeQuery(),), None, options, ref=at)
        return page

    async def fetch(self, dispute: Ref | str, **options: Unpack[CallOptions]) -> Dispute:
        """Return a dispute as it is now."""
        ref = Ref.of(dispute)
        found: Dispute = await self._call("fetch_dispute", (ref.id,), None, options, ref=ref)
        return found

    async def submit(self, dispute: Ref | str, evidence: Evidence, **options: Unpack[KeyedOptions]) -> Dispute:
        """Say what speaks for us. It is final."""
        ref = Ref.of(dispute)
        if evidence.dispute != ref.id:
            raise InvalidArgumentError(f"The evidence is for {evidence.dispute!r}.", hint=f"Make it for {ref.id!r}.")
        told: Dispute = await self._call("submit_evidence", (evidence,), None, options, ref=ref)
        return told

    async def accept(self, dispute: Ref | str, **options: Unpack[KeyedOptions]) -> Dispute:
        """Give in. It is final."""
        ref = Ref.of(dispute)
        told: Dispute = await self._call("accept_dispute", (ref.id,), None, options, ref=ref)
        return told


class PagesFacade(Facade):
    """The processors' own pages: card data is typed there and nowhere else."""

    async def checkout(
        self, checkout: NewCheckout, *, connection: str | None = None, **options: Unpack[KeyedOptions]
    ) -> Checkout:
        """Make a page on which somebody pays or subscribes, and return where it is."""
        at = None if connection is None else Ref(connection, "")
        page: Checkout = await self._call("checkout", (checkout,), None, options, ref=at)
        return page

    async def fetch(self, checkout: Ref | str, **options: Unpack[CallOptions]) -> Checkout:
        """Return a page as it is now: with the payment or the subscription that came of it."""
        ref = Ref.of(checkout)
        page: Checkout = await self._call("fetch_checkout", (ref.id,), None, options, ref=ref)
        return page

    async def portal(
        self, customer: Ref | str, *, return_url: str | None = None, **options: Unpack[KeyedOptions]
    ) -> Portal:
        """Make a page on which a customer looks after methods and subscriptions."""
        ref = Ref.of(customer)
        wanted = NewPortal(customer=ref.id, return_url=return_url)
        page: Portal = await self._call("portal", (wanted,), None, options, ref=ref)
        return page
