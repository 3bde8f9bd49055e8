"""The page on webhooks has every answer that a delivery may get, with its status."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fairlead.errors import WebhookReason
from fairlead.gateway import webhooks
from fairlead.runtime import inbox

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "webhooks.md"
ANSWERS = {
    **{reason.value: inbox._STATUS.get(reason, 401) for reason in WebhookReason},
    inbox.NO_CONNECTION: 404,
    inbox.NO_WEBHOOKS: 404,
    webhooks._TOO_LARGE: 413,
    webhooks._TOO_SLOW: 408,
    webhooks._WRONG_METHOD: 405,
    "storage": 503,
}


@pytest.mark.parametrize(("code", "status"), ANSWERS.items())
def test_every_answer_is_on_the_page(code: str, status: int) -> None:
    assert f"| {status} | `{code}` |" in PAGE.read_text(encoding="utf-8")


def test_the_page_has_no_answer_that_is_not_given() -> None:
    told = re.findall(r"^\| \d+ \| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(told) == sorted(ANSWERS)
