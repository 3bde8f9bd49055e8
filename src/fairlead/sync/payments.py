"""Payments and subscriptions, in synchronous code: the same names, and each of them waits for its answer."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from fairlead.runtime.payers import CustomersFacade as AsyncCustomersFacade
from fairlead.runtime.payers import DisputesFacade as AsyncDisputesFacade
from fairlead.runtime.payers import PagesFacade as AsyncPagesFacade
from fairlead.runtime.payments import PaymentsFacade as AsyncPaymentsFacade
from fairlead.runtime.subscriptions import SubscriptionsFacade as AsyncSubscriptionsFacade
from fairlead.sync.loop import BACKGROUND

P = ParamSpec("P")
T = TypeVar("T")


def blocking(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Return a function with the same arguments that waits for the answer."""

    @wraps(method)
    def wait(*arguments: P.args, **options: P.kwargs) -> T:
        return BACKGROUND.run(lambda: method(*arguments, **options))

    return wait


class CustomersFacade:
    """Customers, and the methods that are kept for them."""

    def __init__(self, customers: AsyncCustomersFacade, owner: object) -> None:
        self._owner = owner  # whose end closes the sockets
        self.create = blocking(customers.create)
        self.fetch = blocking(customers.fetch)
        self.methods = blocking(customers.methods)
        self.keep_method = blocking(customers.keep_method)
        self.drop_method = blocking(customers.drop_method)


class DisputesFacade:
    """Payments that payers contest."""

    def __init__(self, disputes: AsyncDisputesFacade, owner: object) -> None:
        self._owner = owner
        self.list = blocking(disputes.list)
        self.fetch = blocking(disputes.fetch)
        self.submit = blocking(disputes.submit)
        self.accept = blocking(disputes.accept)


class PagesFacade:
    """The processors' own pages."""

    def __init__(self, pages: AsyncPagesFacade, owner: object) -> None:
        self._owner = owner
        self.checkout = blocking(pages.checkout)
        self.fetch = blocking(pages.fetch)
        self.portal = blocking(pages.portal)


class PaymentsFacade:
    """Take payments and give them back."""

    def __init__(self, payments: AsyncPaymentsFacade, owner: object) -> None:
        self._owner = owner
        self.customers = CustomersFacade(payments.customers, owner)
        self.disputes = DisputesFacade(payments.disputes, owner)
        self.pages = PagesFacade(payments.pages, owner)
        self.create = blocking(payments.create)
        self.confirm = blocking(payments.confirm)
        self.capture = blocking(payments.capture)
        self.cancel = blocking(payments.cancel)
        self.refund = blocking(payments.refund)
        self.fetch = blocking(payments.fetch)
        self.fetch_refund = blocking(payments.fetch_refund)
        self.list = blocking(payments.list)
        self.next_page = blocking(payments.next_page)
        self.movements = blocking(payments.movements)


class SubscriptionsFacade:
    """Make and change subscriptions, and ask what an account may do."""

    def __init__(self, subscriptions: AsyncSubscriptionsFacade, owner: object) -> None:
        self._owner = owner
        self.is_active = blocking(subscriptions.is_active)
        self.check = blocking(subscriptions.check)
        self.of = blocking(subscriptions.of)
        self.create = blocking(subscriptions.create)
        self.change = blocking(subscriptions.change)
        self.pause = blocking(subscriptions.pause)
        self.resume = blocking(subscriptions.resume)
        self.cancel = blocking(subscriptions.cancel)
        self.fetch = blocking(subscriptions.fetch)
        self.list = blocking(subscriptions.list)
        self.invoices = blocking(subscriptions.invoices)
        self.create_price = blocking(subscriptions.create_price)
        self.fetch_price = blocking(subscriptions.fetch_price)
