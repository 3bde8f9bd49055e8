"""What stands in a request for a payment, checked before anything is sent: the field is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fairlead.errors import InvalidArgumentError, UnsupportedFeatureError
from fairlead.model.call import Ref
from fairlead.model.money import Money
from fairlead.spec.card_numbers import refuse_card_number

#: Where in the vendor's metadata our name for the call travels.
CALL_FIELD = "fairlead_call"
#: And the application's own name for the payer.
ACCOUNT_FIELD = "fairlead_account"


def check_amount(amount: Money, field: str) -> None:
    """Refuse an amount that is not above zero."""
    if amount.minor <= 0:
        raise InvalidArgumentError(f"{field} is {amount}.", hint="Give an amount above zero.")


def check_texts(fields: Mapping[str, str | None]) -> None:
    """Refuse control characters and card numbers in texts, by the names of their fields."""
    for field, text in fields.items():
        if text is None:
            continue
        if any(ord(each) < 32 or ord(each) == 127 for each in text):
            raise InvalidArgumentError(f"{field} has a line break or another control character.", hint="Take it out.")
        refuse_card_number(text, field)


def check_metadata(metadata: Mapping[str, str], field: str = "metadata") -> None:
    """Refuse a card number among metadata, and our own names."""
    for name, text in metadata.items():
        if name in {CALL_FIELD, ACCOUNT_FIELD}:
            raise InvalidArgumentError(f"{field}.{name} is Fairlead's own.", hint="Choose another name.")
        check_texts({f"the name {name!r} in {field}": name, f"{field}.{name}": text})


def at_connection(refs: Iterable[Ref], connection: str) -> str | None:
    """Return the first id that belongs to a connection."""
    return next((ref.id for ref in refs if ref.connection == connection), None)


def check_refs(refs: Sequence[Ref], field: str) -> None:
    """Refuse card numbers in the place of tokens."""
    for ref in refs:
        refuse_card_number(ref.id, field)


def lacking(what: str) -> UnsupportedFeatureError:
    """Return the error for what a provider has not got."""
    return UnsupportedFeatureError(f"This provider has no {what}.")
