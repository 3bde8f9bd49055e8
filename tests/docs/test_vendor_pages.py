"""The pages on vendors of email say what the code says: how much, to how many."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.capabilities.email import Email
from fairlead.runtime.registry import load_provider

PAGES = sorted((Path(__file__).parents[2] / "docs" / "providers").glob("*.md"))


def email_of(page: Path) -> type[Email]:
    kind: type[Email] = load_provider(page.stem).capabilities["email"]  # type: ignore[assignment]  # a class is callable
    return kind


def test_there_are_pages() -> None:
    assert PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_limits_are_those_of_the_code(page: Path) -> None:
    text, email = " ".join(page.read_text("utf-8").split()), email_of(page)
    assert f"{email.MAX_BYTES // 1_000_000} MB before" in text
    for most in {email.MAX_RECIPIENTS, email.MAX_EACH} - {None}:
        assert f" {most:,} " in text
    assert ("copies alone" in text) == email.NEEDS_TO


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_credentials_and_settings_are_the_providers(page: Path) -> None:
    text, provider = page.read_text("utf-8"), load_provider(page.stem)
    assert f'provider = "{provider.id}"' in text
    for credential in provider.credentials:
        written = f'{credential.name} = "{"env:" if credential.is_secret else ""}'
        assert not credential.is_required or written in text
