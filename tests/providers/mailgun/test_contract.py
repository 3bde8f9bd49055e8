"""Mailgun: the suite that every provider of email passes, and what is its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from email_messages import ADA, BOB, LOGO, case, message
from email_suite import EmailSuite
from fairlead import errors
from fairlead.capabilities.email import EmailMessage, EmailStatus, Feature
from fairlead.model.call import Ref
from fairlead.model.message import Response
from fairlead.providers.mailgun import PROVIDER
from fairlead.runtime.assess import assess
from fairlead.testing.fakes.mailgun import API_KEY, DOMAIN, MailgunFake
from provider_suite import Live


class TestMailgun(EmailSuite):
    provider = PROVIDER
    fake = MailgunFake
    credentials = {"api_key": API_KEY, "domain": DOMAIN}  # noqa: RUF012  # declared as a ClassVar in the suite
    folder = Path(__file__).parent
    contract_files = ("mailgun/mailgun.openapi.yaml",)
    template = "welcome"
    # It has no answer of its own for that.
    quota_error = None
    words = {  # noqa: RUF012  # likewise
        "email.delivered": "delivered",
        "email.deferred": "temporary_fail",
        "email.bounced": "permanent_fail",
        "email.dropped": "suppressed",
        "email.complained": "complained",
        "email.unsubscribed": "unsubscribed",
        "email.opened": "opened",
        "email.clicked": "clicked",
    }

    def asking(self, feature: Feature) -> EmailMessage:
        if feature is Feature.INLINE_IMAGES:  # they are known by their names
            logo = msgspec.structs.replace(LOGO, content_id=LOGO.name)
            return message(attachments=(logo,), html='<img src="cid:logo.png">')
        return super().asking(feature)

    async def test_a_status_has_the_events_of_the_message(self) -> None:
        async with self.live() as (live, fake):
            receipt = await live.run(self.email().send(message(to=(ADA, BOB))))
            (letter,) = fake.sent
            fake.happened += [(kind, letter, ADA.email) for kind in ("temporary_fail", "delivered", "opened")]
            fake.happened.append(("permanent_fail", letter, BOB.email))
            status = await live.run(self.email().status(receipt.ref.id))
        assert status.ref == Ref("mine", letter.id)
        assert set(status.events) == {"email.deferred", "email.delivered", "email.opened", "email.bounced"}

    async def test_a_suppressed_address_is_taken_and_told_of_later(self) -> None:
        async with self.live() as (live, fake):
            fake.suppressed.add(ADA.email)
            receipt = await live.run(self.email().send(message()))
            status = await live.run(self.email().status(receipt.ref.id))
        assert status == EmailStatus(ref=receipt.ref, events=("email.dropped",))

    async def test_a_domain_of_elsewhere_says_which_address_to_set(self) -> None:
        elsewhere = {**self.credentials, "domain": "x.example"}
        async with self.live() as (_, fake), Live(PROVIDER, elsewhere, fake.url) as live:
            request = next(self.email().send(message()))
            answer = await live.exchange(request)
        assert isinstance(answer, Response)
        verdict = assess(PROVIDER, request, answer)
        assert (answer.status, verdict.error) == (404, errors.ForbiddenError)
        assert "api.eu.mailgun.net" in verdict.hint

    async def test_a_look_that_fills_a_page_says_nothing(self) -> None:
        async with self.live() as (live, _):
            for number in range(300):
                await live.run(self.email(reference=f"other-{number}").send(message()))
            assert await live.run(self.email().look(case(message()))) is None

    async def test_what_was_lost_is_found_among_others(self) -> None:
        async with self.live() as (live, fake):
            await live.run(self.email(reference="other").send(message()))
            receipt = await live.run(self.email().send(message(to=(ADA, BOB))))
            seen = await live.run(self.email().look(case(message(to=(ADA, BOB)))))
        assert seen.value == receipt
        assert len(fake.sent) == 2

    def test_whoever_gets_it_cannot_read_the_metadata(self) -> None:
        assert b"X-Mailgun-Variables,X-Mailgun-Tag" in next(self.email().send(message(tags=("a",)))).body
        assert b"X-Mailgun-Variables" not in next(self.email(reference="").send(message())).body

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"variables": {"a": [1]}}, "texts and numbers"),
            ({"variables": {"order": "1"}, "metadata": {"order": "2"}}, "Rename"),
            ({"variables": {"fairlead_call": "1"}}, "Rename"),
        ],
    )
    def test_variables_that_it_would_mix_up_are_refused(self, fields: dict[str, Any], says: str) -> None:
        asked = message(template="t", text=None, each={ADA.email: {}}, **fields)
        with pytest.raises(errors.UnsupportedFeatureError) as caught:
            next(self.email().send(asked))
        assert says in str(caught.value)

    async def test_without_a_batch_a_template_takes_any_variables(self) -> None:
        async with self.live() as (live, fake):
            await live.run(self.email().send(message(template="t", text=None, variables={"a": [1, {"b": None}]})))
        assert fake.sent[0].variables == {"a": [1, {"b": None}]}

    def test_extra_fields_are_texts_or_lists_of_them(self) -> None:
        many = message(extra={"mine": {"o:tag": ["a", "b"], "o:testmode": "yes"}})
        assert next(self.email().send(many)).body.count(b'name="o:tag"') == 2
        with pytest.raises(errors.InvalidArgumentError, match="no text"):
            next(self.email().send(message(extra={"mine": {"o:testmode": True}})))

    async def test_a_path_that_it_lacks_is_no_success(self) -> None:
        async with self.live() as (_, fake), Live(PROVIDER, self.credentials, f"{fake.url}/v9") as live:
            with pytest.raises(errors.UnexpectedAnswerError) as caught:
                await live.run(self.email().send(message()))
        assert caught.value.is_garbled
        assert fake.sent == []
