from __future__ import annotations

import re

import pytest

from docs.refresh import REFERENCE

PAGE = REFERENCE / "../explanation/webhook-verification.md"


def test_the_example_runs_and_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(code, {})  # noqa: S102  # our own page
    (wanted,) = re.findall(r"print\(.*\)  # (\w+)", code)
    assert capsys.readouterr().out == f"{wanted}\n"
