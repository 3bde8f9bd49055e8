"""Card numbers are found wherever they may stand; what looks like one by chance is mostly not taken for one."""

from __future__ import annotations

from random import Random

import pytest

from fairlead.spec.card_numbers import find_card_number, has_card_number, is_card_number, mask_card_numbers

# Numbers that the networks have for tests: in their ranges, with good check digits.
VISA, MASTERCARD, AMEX = "4242424242424242", "5555555555554444", "378282246310005"
OTHERS = ("2223003122003222", "6011111111111117", "3056930009020004"[:14], "3566002020360505", "6200000000000005")


@pytest.mark.parametrize("number", [VISA, MASTERCARD, AMEX, *OTHERS[:2], OTHERS[3], OTHERS[4], "4222222222222"])
def test_the_numbers_of_every_issuer_are_known(number: str) -> None:
    assert is_card_number(number)
    assert not is_card_number(number[:-1] + str((int(number[-1]) + 1) % 10))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (VISA, ""),
        ("pay with 4242 4242 4242 4242 please", ""),
        ("4242-4242-4242-4242", ""),
        (f'{{"card": {{"number": "{VISA}"}}}}', "number"),
        (f'{{"metadata":{{"note":"{VISA}"}}}}', "note"),
        (f'{{"amount": {VISA}}}', "amount"),
        (f"card[number]={VISA}&card[cvc]=123", "card[number]"),
        (f"card%5Bnumber%5D={VISA}", "card[number]"),
        ("number=4242+4242+4242+4242", "number"),
        ("number=4242%204242%204242%204242", "number"),
        (f'{{\\"number\\": \\"{AMEX}\\"}}', "number"),
    ],
)
def test_a_number_is_found_and_its_field_named(text: str, field: str) -> None:
    assert find_card_number(text) == field


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4242424242424241",
        f"id_{VISA}",
        f"{VISA}00000",
        f"0.{VISA}",
        f"a{VISA}",
        f"+{VISA}",
        "1732500000000",
        "550e8400-e29b-41d4-a716-446655440000",
        "0000000016 00000 n",
        "1234567890123456",
    ],
)
def test_what_is_none_is_none(text: str) -> None:
    assert not has_card_number(text)


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        (f'{{"order_id": "{VISA}"}}', False),
        (f"see message {VISA}", False),
        (f'{{"cardNumber": "{VISA}"}}', True),
        (f"cc_num={VISA}", True),
        ("it is 4242 4242 4242 4242", True),
        ("it is 3782 822463 10005", True),
    ],
)
def test_where_it_is_not_about_payments_it_must_be_called_one_or_written_like_one(text: str, is_found: bool) -> None:
    assert (find_card_number(text, is_about_payments=False) is not None) == is_found


def test_a_number_by_chance_is_rarely_taken_for_one_and_never_where_it_has_another_name() -> None:
    chance = Random(7)  # noqa: S311  # numbers for a test
    texts = [f'{{"order_id": "{chance.randrange(10**15, 10**16)}"}}' for _ in range(5000)]
    assert 0.005 < sum(map(has_card_number, texts)) / len(texts) < 0.03
    assert not any(find_card_number(text, is_about_payments=False) is not None for text in texts)


def test_all_but_the_last_four_digits_are_masked() -> None:
    said = f"No such card: {VISA}, nor 4242-4242-4242-4242; order 1234567890123456."
    assert mask_card_numbers(said) == "No such card: ***4242, nor ***4242; order 1234567890123456."
