"""Postmark: the suite that every provider of email passes, and what is its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from email_messages import ADA, BOB, case, check_letters, message
from email_suite import EmailSuite
from fairlead import errors
from fairlead.capabilities.email import EmailStatus, RecipientReceipt, Taken
from fairlead.capabilities.mailbox import Address
from fairlead.model.call import Ref
from fairlead.model.message import Response
from fairlead.model.outcome import Outcome
from fairlead.providers.postmark import PROVIDER
from fairlead.runtime.assess import assess
from fairlead.testing.fakes.postmark import SERVER_TOKEN, PostmarkFake

EACH: dict[str, dict[str, str]] = {ADA.email: {}, BOB.email: {}}


class TestPostmark(EmailSuite):
    provider = PROVIDER
    fake = PostmarkFake
    credentials = {"server_token": SERVER_TOKEN}  # noqa: RUF012  # declared as a ClassVar in the suite
    folder = Path(__file__).parent
    contract_files = ("postmark/postmark.server.openapi.json",)
    template = "welcome"
    # Code 405 says no more than that; that a plan is used up is not among the codes.
    quota_error = errors.ForbiddenError
    beyond = frozenset({"metadata_fairlead_call"})
    words = {  # noqa: RUF012  # likewise
        "email.delivered": "Delivery",
        "email.deferred": "Transient",
        "email.bounced": "HardBounce",
        "email.complained": "SpamComplaint",
        "email.unsubscribed": "SubscriptionChange",
        "email.opened": "Open",
        "email.clicked": "Click",
    }

    async def test_a_status_has_the_events_of_the_message(self) -> None:
        async with self.live() as (live, fake):
            receipt = await live.run(self.email().send(message()))
            (letter,) = fake.sent
            fake.happened += [(kind, letter, ADA.email) for kind in ("Delivery", "Open", "Open", "SubscriptionChange")]
            status = await live.run(self.email().status(receipt.ref.id))
        assert status == EmailStatus(ref=Ref("mine", letter.id), events=("email.delivered", "email.opened"))

    async def test_a_template_may_have_a_number(self) -> None:
        asked = message(template="1234", text=None, subject="", variables={"a": 1})
        async with self.live() as (live, fake):
            await live.run(self.email().send(asked))
        check_letters(asked, fake.sent)
        assert b'"TemplateId":1234' in next(self.email().send(asked)).body

    async def test_copies_alone_are_carried(self) -> None:
        asked = message(to=(), bcc=(ADA, BOB))
        async with self.live() as (live, fake):
            await live.run(self.email().send(asked))
        check_letters(asked, fake.sent)

    async def test_who_is_inactive_is_told_apart(self) -> None:
        loud = Address("Bob@Example.org")
        async with self.live() as (live, fake):
            fake.suppressed.add(loud.email)
            receipt = await live.run(self.email().send(message(to=(ADA, loud))))
        assert receipt.recipients == (
            RecipientReceipt(email=ADA.email, id=receipt.ref.id),
            RecipientReceipt(email=loud.email, taken=Taken.REJECTED, reason="406: inactive recipient"),
        )

    async def test_of_a_batch_some_may_be_refused(self) -> None:
        async with self.live() as (live, fake):
            fake.suppressed.add(ADA.email)
            receipt = await live.run(self.email().send(message(to=(ADA, BOB), each=EACH)))
        refused, taken = receipt.recipients
        assert (refused.taken, refused.id, (refused.reason or "")[:5]) == (Taken.REJECTED, None, "406: ")
        assert (taken.taken, taken.id) == (Taken.ACCEPTED, fake.sent[0].id)
        assert receipt.ref.id == fake.sent[0].id

    async def test_a_batch_of_which_nothing_was_taken_is_refused(self) -> None:
        async with self.live(senders=["other.example"]) as (live, _):
            with pytest.raises(errors.ForbiddenError, match="not a Sender Signature") as caught:
                await live.run(self.email().send(message(to=(ADA, BOB), each=EACH)))
        assert caught.value.outcome is Outcome.NOT_DONE
        assert caught.value.hint.startswith("Verify the sender")

    async def test_a_look_finds_each_of_a_batch(self) -> None:
        asked = message(to=(ADA, BOB), each=EACH)
        async with self.live() as (live, fake):
            receipt = await live.run(self.email().send(asked))
            seen = await live.run(self.email().look(case(asked)))
        assert seen.value == receipt
        assert [each.id for each in receipt.recipients] == [each.id for each in fake.sent]

    async def test_whom_it_no_longer_writes_to_is_the_requests_fault(self) -> None:
        async with self.live() as (live, fake):
            fake.suppressed.add(ADA.email)
            request = next(self.email().send(message()))
            answer = await live.exchange(request)
        assert isinstance(answer, Response)
        verdict = assess(PROVIDER, request, answer)
        assert (verdict.error, verdict.outcome) == (errors.InvalidRequestError, Outcome.NOT_DONE)
        assert verdict.error is not None
        assert verdict.error.is_request_fault
        assert "Suppressions" in verdict.hint
