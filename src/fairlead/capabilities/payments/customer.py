"""Who pays, and by what: as the vendor knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.capabilities.payments.fields import check_metadata, check_texts
from fairlead.model.answer import Answer
from fairlead.model.call import Ref


class NewCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who will pay. `account` is the application's own name for them."""

    account: str | None = None
    email: str | None = None
    name: str | None = None
    phone: str | None = None
    description: str | None = None
    #: By ISO 3166, as `DE`.
    country: str | None = None
    metadata: Mapping[str, str] = {}
    extra: Mapping[str, Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        check_texts(
            {
                "account": self.account,
                "email": self.email,
                "name": self.name,
                "phone": self.phone,
                "description": self.description,
            }
        )
        check_metadata(self.metadata)

    def __repr__(self) -> str:  # who they are is private
        return "NewCustomer()"


class Customer(Answer, frozen=True, kw_only=True):
    """Somebody as the vendor has them."""

    ref: Ref
    account: str | None = None
    email: str | None = None
    name: str | None = None
    #: Our id of the call that made it, where it travelled along.
    made_by: str | None = None

    def __repr__(self) -> str:  # likewise
        return f"Customer({self.ref})"


class PaymentMethod(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer can be charged by: a token, and what may be shown of it."""

    ref: Ref
    #: As `card`, `sepa_debit`, `ideal`: the vendor's word.
    kind: str
    brand: str | None = None
    last4: str | None = None
    #: As `2027-03`.
    expires: str | None = None
    #: By ISO 3166: where it was issued.
    country: str | None = None


class PaymentMethods(Answer, frozen=True, kw_only=True):
    """What a customer can be charged by."""

    items: tuple[PaymentMethod, ...] = ()


class NewMethod(msgspec.Struct, frozen=True, kw_only=True):
    """A token of the vendor's own page or form, to be kept for a customer. Both are the vendor's ids."""

    customer: str
    token: str

    def __post_init__(self) -> None:
        check_texts({"customer": self.customer, "token": self.token})


class KeptMethod(Answer, frozen=True, kw_only=True):
    """A method that is kept for a customer."""

    method: PaymentMethod
