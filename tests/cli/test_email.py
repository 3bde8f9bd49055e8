"""`fairlead call email.send`, against two vendors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli.shell import fairlead
from fairlead.testing.fakes.postmark import PostmarkFake
from fairlead.testing.fakes.sendgrid import API_KEY, SendgridFake
from two_mail_vendors import two_mail_vendors

ENVIRONMENT = {"FIRST": API_KEY, "SECOND": PostmarkFake.CREDENTIALS["server_token"]}
MAIL = ("call", "email.send", "sender=Ada <ada@a.example>", "subject=Hello", "text=Hi")


@asynccontextmanager
async def vendors(tmp_path: Path) -> AsyncIterator[tuple[SendgridFake, PostmarkFake]]:
    async with SendgridFake() as first, PostmarkFake() as second:
        text = two_mail_vendors(first.url, second.url, "jobs.db")
        (tmp_path / "fairlead.toml").write_text(text, encoding="utf-8")
        yield first, second


async def test_a_message_is_sent_and_its_receipt_printed(tmp_path: Path) -> None:
    async with vendors(tmp_path) as (first, second):
        to = 'to="Doe, Jane" <jane@b.example>, bob@b.example'
        told = await fairlead(*MAIL, to, "tags=a, b", cwd=tmp_path, environment=ENVIRONMENT)
        (letter,) = first.sent
        assert letter.to == [("Doe, Jane", "jane@b.example"), ("", "bob@b.example")]
        assert letter.tags == ["a", "b"]
        assert told.code == 0, told.err
        assert f"first:{letter.id}" in told.out
        assert "jane@b.example" in told.out
        assert second.sent == []
        asked = await fairlead("call", "email.status", f"ref=first:{letter.id}", cwd=tmp_path, environment=ENVIRONMENT)
        assert asked.out.startswith(f"first:{letter.id}: ")


async def test_one_key_is_one_message_whoever_asks_again(tmp_path: Path) -> None:
    async with vendors(tmp_path) as (first, _):
        arguments = (*MAIL, "to=bob@b.example", "idempotency_key=welcome-bob", "--json")
        once, again = [await fairlead(*arguments, cwd=tmp_path, environment=ENVIRONMENT) for _ in range(2)]
        assert once.json()["ref"] == again.json()["ref"]
        assert len(first.sent) == 1


async def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    async with vendors(tmp_path) as (first, _):
        wrong = (
            [*MAIL],
            [*MAIL, "to=bob@b.example, nobody"],
            [*MAIL, "to=bob@b.example", "on_unknown=guess"],
        )
        for arguments in wrong:
            told = await fairlead(*arguments, "--json", cwd=tmp_path, environment=ENVIRONMENT)
            assert told.error()["code"] == "invalid_argument"
        assert first.sent == []
