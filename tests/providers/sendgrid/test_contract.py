"""SendGrid: the suite that every provider of email passes, and what is its own."""

from pathlib import Path

import pytest

from email_messages import ADA, BOB, TOMORROW, case, message
from email_suite import EmailSuite
from fairlead.capabilities.email import EmailStatus
from fairlead.errors import ForbiddenError
from fairlead.model.call import Ref
from fairlead.providers.sendgrid import PROVIDER
from fairlead.testing.fakes.sendgrid import API_KEY, SendgridFake


class TestSendgrid(EmailSuite):
    provider = PROVIDER
    fake = SendgridFake
    credentials = {"api_key": API_KEY}  # noqa: RUF012  # declared as a ClassVar in the suite
    folder = Path(__file__).parent
    contract_files = (
        "sendgrid/tsg_mail_v3.json",
        "sendgrid/tsg_email_activity_v3.json",
        "sendgrid/tsg_scopes_v3.json",
    )
    template = "d-7f3a"
    words = {  # noqa: RUF012  # likewise
        "email.delivered": "delivered",
        "email.deferred": "deferred",
        "email.bounced": "bounce",
        "email.dropped": "dropped",
        "email.complained": "spamreport",
        "email.unsubscribed": "unsubscribe",
        "email.opened": "open",
        "email.clicked": "click",
    }

    async def test_a_status_has_what_the_feed_has_of_all_recipients(self) -> None:
        async with self.live() as (live, fake):
            receipt = await live.run(self.email().send(message(to=(ADA, BOB))))
            (letter,) = fake.sent
            fake.happened += [
                ("delivered", letter, ADA.email),
                ("open", letter, ADA.email),
                ("bounce", letter, BOB.email),
            ]
            status = await live.run(self.email().status(receipt.ref.id))
        assert status == EmailStatus(
            ref=Ref("mine", letter.id), events=("email.bounced", "email.delivered", "email.opened")
        )

    async def test_nothing_found_says_nothing_where_the_feed_has_stopped(self) -> None:
        async with self.live() as (live, _):
            assert await live.run(self.email().look(case(message()))) is None

    async def test_nothing_found_says_nothing_of_what_is_sent_later(self) -> None:
        later = message(send_at=TOMORROW)
        async with self.live() as (live, fake):
            await self.lose(live, fake, later)
            fake.clock.advance(3601)
            await live.run(self.email(reference="another").send(message()))
            assert await live.run(self.email().look(case(later))) is None

    async def test_a_feed_that_was_not_paid_for_is_refused_and_nothing_is_concluded(self) -> None:
        async with self.live(has_activity=False) as (live, _):
            answer = await live.refusal(self.email().look(case(message())))
        assert answer.status == 403

    async def test_a_suppressed_address_is_taken_and_told_of_later(self) -> None:
        async with self.live() as (live, fake):
            fake.suppressed.add(ADA.email)
            receipt = await live.run(self.email().send(message()))
            status = await live.run(self.email().status(receipt.ref.id))
        assert status.events == ("email.dropped",)

    async def test_a_look_at_the_sandbox_has_no_id(self) -> None:
        asked = message(extra={"mine": {"mail_settings": {"sandbox_mode": {"enable": True}}}})
        async with self.live() as (live, fake):
            await live.run(self.email().send(asked))
        assert fake.sent == []

    async def test_a_key_that_may_not_send_is_no_good_key(self) -> None:
        async with self.live() as (live, fake):
            fake.scopes = ["stats.read"]
            with pytest.raises(ForbiddenError, match="may not send"):
                await live.run(PROVIDER.probe())  # type: ignore[misc]

    def test_older_templates_are_filled_with_text(self) -> None:
        asked = message(template="7f3a-11", text=None, variables={"count": 3})
        assert b'"substitutions":{"count":"3"}' in next(self.email().send(asked)).body

    def test_a_reference_cannot_end_the_query(self) -> None:
        request = next(self.email().status('x%\' OR "1"="1'))
        assert dict(request.query)["query"] == "msg_id LIKE 'xOR11%'"
