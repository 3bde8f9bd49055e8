"""What is refused of a payment before anything is sent, and what follows what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fairlead import errors
from fairlead.capabilities.payments.checkout import NewCheckout
from fairlead.capabilities.payments.customer import NewCustomer, NewMethod
from fairlead.capabilities.payments.movement import Movement, MovementKind, Period
from fairlead.capabilities.payments.operations import Feature, Payments
from fairlead.capabilities.payments.payment import FOLLOWS, NewPayment, NewRefund, Payment, PaymentState
from fairlead.capabilities.subscriptions.subscription import Cancellation, Change, NewPrice, NewSubscription
from fairlead.errors import ACTORS, Actor, Decline, DeclinedError
from fairlead.model.call import Ref
from fairlead.model.money import Money

EUR = Money(1050, "EUR")
#: A number that Visa has for tests: in its range, and with a good check digit.
CARD = "4242 4242 4242 4242"


def payment(captured: int = 1000, refunded: int = 0) -> Payment:
    return Payment(
        ref=Ref("mine", "p1"),
        state=PaymentState.CAPTURED,
        vendor_state="paid",
        amount=Money(1000, "EUR"),
        captured=Money(captured, "EUR"),
        refunded=Money(refunded, "EUR"),
    )


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: NewPayment(amount=Money(0, "EUR")), "amount"),
        (lambda: NewPayment(amount=Money(-1, "EUR")), "amount"),
        (lambda: NewPayment(amount=Money.of("1.005", "EUR")), "1.005 has more decimals"),
        (lambda: NewPayment(amount=Money.of("1.5", "JPY")), "1.5 has more decimals"),
        (lambda: NewPayment(amount=EUR, description=CARD), "description"),
        (lambda: NewPayment(amount=EUR, reference="a\nb"), "reference"),
        (lambda: NewPayment(amount=EUR, metadata={"note": f"card {CARD}"}), "metadata.note"),
        (lambda: NewPayment(amount=EUR, metadata={CARD: ""}), "in metadata"),
        (lambda: NewPayment(amount=EUR, metadata={"fairlead_call": "x"}), "metadata.fairlead_call"),
        (lambda: NewPayment(amount=EUR, methods=(Ref("mine", CARD.replace(" ", "")),)), "methods"),
        (lambda: NewPayment(amount=EUR, country="Germany"), "country"),
        (lambda: NewCustomer(name=CARD), "name"),
        (lambda: NewMethod(customer="c", token=CARD), "token"),
        (lambda: NewRefund(payment="p", amount=Money(0, "EUR")), "amount"),
        (lambda: NewRefund(payment="p", reason="a whim"), "reason"),
        (lambda: NewCheckout(success_url="https://a.example"), "amount or prices"),
        (lambda: NewCheckout(success_url="https://a.example", amount=EUR, prices=(Ref("a", "b"),)), "amount or prices"),
        (lambda: NewCheckout(success_url="https://a.example", amount=EUR, quantity=0), "quantity"),
        (lambda: NewPrice(name="Premium", amount=Money(0, "EUR")), "amount"),
        (lambda: NewPrice(name="Premium", amount=EUR, every=0), "every"),
        (lambda: NewSubscription(account="ada", price="p", quantity=0), "quantity"),
        (lambda: NewSubscription(account="ada", price="p", trial_days=0), "trial_days"),
        (lambda: Change(subscription="s"), "Nothing is changed"),
        (lambda: Cancellation(subscription="s", reason=CARD), "reason"),
        (lambda: Period(since=2, until=1), "ends before"),
    ],
)
def test_what_cannot_be_is_refused_and_its_field_named(make: Callable[[], Any], field: str) -> None:
    with pytest.raises(errors.InvalidArgumentError, match=field):
        make()


@pytest.mark.parametrize(
    ("refund", "given", "comes_to"),
    [
        (NewRefund(payment="p1"), payment(), 1000),
        (NewRefund(payment="p1"), payment(refunded=400), 600),
        (NewRefund(payment="p1", amount=Money(600, "EUR")), payment(refunded=400), 600),
        (NewRefund(payment="p1", amount=Money(601, "EUR")), payment(refunded=400), None),
        (NewRefund(payment="p1"), payment(refunded=1000), None),
        (NewRefund(payment="p1", amount=Money(1, "USD")), payment(), None),
    ],
)
def test_no_more_goes_back_than_was_captured(refund: NewRefund, given: Payment, comes_to: int | None) -> None:
    if comes_to is None:
        with pytest.raises(errors.InvalidArgumentError, match="amount"):
            refund.check(given)
    else:
        assert refund.check(given) == Money(comes_to, "EUR")


class Shop(Payments):
    """A vendor with little."""

    FEATURES = frozenset({Feature.METADATA})
    CURRENCIES = frozenset({"EUR"})


@pytest.mark.parametrize(
    ("asked", "missing"),
    [
        (NewPayment(amount=Money(1, "USD"), methods=(Ref("mine", "m"),)), "amount: this provider takes no USD"),
        (NewPayment(amount=EUR, methods=(Ref("other", "m"),)), "methods: none of them"),
        (NewPayment(amount=EUR), "payments without a method"),
        (NewPayment(amount=EUR, methods=(Ref("mine", "m"),), capture=False), "reserving"),
        (NewPayment(amount=EUR, methods=(Ref("mine", "m"),), off_session=True), "without the payer"),
    ],
)
def test_what_a_vendor_lacks_is_refused_so_that_another_is_asked(asked: NewPayment, missing: str) -> None:
    with pytest.raises(errors.UnsupportedFeatureError, match=missing):
        Shop("mine").check(asked)


def test_every_operation_of_the_capability_refuses_where_a_vendor_lacks_it() -> None:
    for name in Payments.EFFECTS:
        with pytest.raises(errors.UnsupportedFeatureError):
            getattr(Payments("mine"), name)(None)


def test_keys_and_marks_carry_our_name_for_the_call() -> None:
    shop = Shop("mine")
    assert shop.key("pay") is None
    shop.reference = "c1"
    assert shop.key("pay") == "c1-pay"
    assert shop.marked({"order": "7"}) == {"order": "7", "fairlead_call": "c1"}


def test_states_follow_each_other_in_one_direction() -> None:
    assert set(FOLLOWS) == set(PaymentState)
    assert PaymentState.AUTHORIZED not in FOLLOWS[PaymentState.CAPTURED]
    assert FOLLOWS[PaymentState.CANCELED] == frozenset()


def test_every_decline_says_who_should_act_and_only_faults_on_the_way_go_on_to_another_processor() -> None:
    assert set(ACTORS) == set(Decline)
    assert {ACTORS[each] for each in Decline} == set(Actor)
    goes_on = {each for each in Decline if not DeclinedError(decline=each).is_request_fault}
    assert goes_on == {Decline.ISSUER_UNAVAILABLE, Decline.PROCESSING_ERROR}


def test_a_movement_adds_up() -> None:
    with pytest.raises(errors.InvalidArgumentError):
        Movement(
            id="m", kind=MovementKind.CHARGE, at=0, gross=EUR, fee=Money(1, "EUR"), net=EUR,
        )  # fmt: skip
