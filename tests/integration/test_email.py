"""`fl.email` over real sockets, with two vendors: sent once, whoever carries it, and to nobody who bounced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fairlead import Outcome
from fairlead.capabilities.email import EmailReceipt, Taken
from fairlead.cli.serve import listen
from fairlead.config.read import parse_settings
from fairlead.errors import FairleadError, InvalidArgumentError, OutcomeUnknownError, SuppressedError
from fairlead.gateway.app import build_app
from fairlead.gateway.server import build_server
from fairlead.observe.metrics import Metrics
from fairlead.runtime.fairlead import Fairlead
from fairlead.testing.fakes.postmark import PostmarkFake
from fairlead.testing.fakes.sendgrid import API_KEY, SendgridFake
from fairlead.testing.faults import Faults
from two_mail_vendors import two_mail_vendors

PATIENCE_S = 20.0
#: What deliveries of each are verified with.
MORE = (
    ', webhook_public_key = "env:PUBLIC"',
    ', webhook_user = "env:USER", webhook_password = "env:PASSWORD"',
)
MAIL: dict[str, Any] = {"sender": "Ada <ada@example.com>", "subject": "Hello", "text": "Hi Bob"}


class Post(NamedTuple):
    fl: Fairlead
    first: SendgridFake
    second: PostmarkFake
    gateway: str

    async def has_a_letter(self) -> None:
        """Wait until the first vendor has taken one."""
        while not self.first.sent:  # noqa: ASYNC110  # the stand-in tells nobody
            await asyncio.sleep(0.01)

    @property
    def letters(self) -> int:
        return len(self.first.sent) + len(self.second.sent)


@asynccontextmanager
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    async with asyncio.timeout(PATIENCE_S), SendgridFake() as first, PostmarkFake() as second:
        environment = {
            "FIRST": API_KEY,
            "PUBLIC": first.webhook_secrets["webhook_public_key"],
            "SECOND": second.CREDENTIALS["server_token"],
            "USER": second.webhook_secrets["webhook_user"],
            "PASSWORD": second.webhook_secrets["webhook_password"],
        }
        config = two_mail_vendors(first.url, second.url, tmp_path / "jobs.db", more=MORE)
        fl = Fairlead(parse_settings(config), environment=environment)
        listener = listen("127.0.0.1", 0)
        server = build_server(build_app(fl, Metrics(), keys=None), handles_signals=False)
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield Post(fl, first, second, f"http://127.0.0.1:{listener.getsockname()[1]}/webhooks")
        finally:
            server.should_exit = True
            await serving


async def test_it_is_sent_once_by_the_first_that_can(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        receipt = await world.fl.email.send(to=["bob@example.org", "Eve <eve@example.net>"], **MAIL)
        assert isinstance(receipt, EmailReceipt)
        assert receipt.served_by == "first"
        assert [each.email for each in receipt.recipients] == ["bob@example.org", "eve@example.net"]
        (letter,) = world.first.sent
        assert receipt.ref.id == letter.id
        assert receipt.call is not None
        assert letter.reference == receipt.call.call_id


async def test_another_vendor_carries_what_was_certainly_not_sent(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        await world.first.go_down()
        receipt = await world.fl.email.send(to="bob@example.org", **MAIL)
        assert receipt.served_by == "second"
        assert (len(world.first.sent), len(world.second.sent)) == (0, 1)


async def test_a_lost_answer_is_settled_by_a_look_and_nobody_gets_it_twice(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        world.first.faults = Faults(lost_share=1)
        sending = asyncio.create_task(world.fl.email.send(to="bob@example.org", deadline_s=10, **MAIL))
        await world.has_a_letter()
        world.first.faults = Faults()
        receipt = await sending
        assert receipt.ref.id == world.first.sent[0].id
        assert world.letters == 1
        assert not receipt.is_resent


async def test_while_nobody_knows_it_is_held_and_a_webhook_settles_it(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        world.first.visible_after_s = 3600.0  # a look finds nothing
        world.first.faults = Faults(lost_share=1)
        with pytest.raises(OutcomeUnknownError) as held:
            await world.fl.email.send(to="bob@example.org", deadline_s=1.0, **MAIL)
        assert held.value.call_id is not None
        assert held.value.outcome is Outcome.UNKNOWN
        (letter,) = world.first.sent
        world.first.faults = Faults()
        assert await world.first.tell(f"{world.gateway}/first", "delivered", letter) == 200
        receipt = await world.fl.calls.wait(held.value.call_id, deadline_s=10)
        assert receipt.ref.id == letter.id
        assert world.letters == 1


async def test_who_prefers_a_second_one_to_none_gets_it(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        world.first.faults = Faults(lost_share=1)
        with pytest.raises(FairleadError):
            await world.fl.email.send(to="bob@example.org", deadline_s=1.0, on_unknown="resend", **MAIL)
        before = world.letters
        assert before >= 2


async def test_whoever_bounced_at_one_vendor_is_written_to_by_none(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        await world.fl.email.send(to="bob@example.org", **MAIL)
        (letter,) = world.first.sent
        assert await world.first.tell(f"{world.gateway}/first", "bounce", letter) == 200
        await world.first.go_down()  # so that it would be the other one's turn
        with pytest.raises(SuppressedError, match="All 1 recipients are suppressed: bounced"):
            await world.fl.email.send(to="BOB@example.org", **MAIL)
        receipt = await world.fl.email.send(to=["bob@example.org", "eve@example.net"], **MAIL)
        assert {each.email: each.taken for each in receipt.recipients} == {
            "eve@example.net": Taken.ACCEPTED,
            "bob@example.org": Taken.REJECTED,
        }
        assert world.second.sent[0].recipients == ("eve@example.net",)


async def test_who_is_taken_off_the_list_is_written_to_until_the_next_bounce(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        await world.fl.suppressions.add("bob@example.org")
        assert await world.fl.suppressions.remove("bob@example.org")
        await world.fl.email.send(to="bob@example.org", **MAIL)
        (letter,) = world.first.sent
        await world.first.tell(f"{world.gateway}/first", "spamreport", letter)
        with pytest.raises(SuppressedError):
            await world.fl.email.send(to="bob@example.org", **MAIL)


async def test_the_list_goes_out_and_comes_in(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        await world.fl.suppressions.add("bob@example.org", detail="by phone")
        text = await world.fl.suppressions.export()
        await world.fl.suppressions.remove("bob@example.org")
        assert await world.fl.suppressions.load(text) == 1
        assert await world.fl.suppressions.load(text) == 0
        assert await world.fl.suppressions.find(["bob@example.org", "eve@example.net"]) == {
            "bob@example.org": "by_hand"
        }
        with pytest.raises(InvalidArgumentError, match="no column"):
            await world.fl.suppressions.load("a,b\n1,2\n")


async def test_in_the_background_it_is_on_disk_first(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        calls = [
            await world.fl.email.send(to="bob@example.org", background=True, idempotency_key="welcome-bob", **MAIL)
            for _ in range(3)
        ]
        assert len({each.id for each in calls}) == 1
        receipt = await world.fl.calls.wait(calls[0], deadline_s=10)
        assert receipt.ref.id == world.first.sent[0].id
        assert world.letters == 1


async def test_what_no_vendor_could_carry_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        wrong: list[dict[str, Any]] = [
            {"to": "nobody"},
            {"to": []},
            {"to": "b@example.org", "subject": "a\nBcc: c@d.org"},
        ]
        for fields in wrong:
            with pytest.raises(InvalidArgumentError):
                await world.fl.email.send(**{**MAIL, **fields})
        with pytest.raises(InvalidArgumentError, match="on a guess"):
            await world.fl.email.send(to="b@example.org", background=True, on_unknown="resend", **MAIL)
        assert world.letters == 0
