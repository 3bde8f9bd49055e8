"""Resend: the suite that every provider of email passes, and what is its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from email_messages import ADA, BILL, BOB, TOMORROW, message
from email_suite import EmailSuite
from fairlead import errors
from fairlead.capabilities.email import EmailMessage, EmailStatus, Feature
from fairlead.model.call import Ref
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect, Outcome
from fairlead.providers.resend import PROVIDER
from fairlead.runtime.assess import assess
from fairlead.testing.fakes.resend import API_KEY, ResendFake
from provider_suite import Live

EACH: dict[str, dict[str, str]] = {ADA.email: {}, BOB.email: {}}


def keyed(request: Request) -> Request:
    """Return the request with its key in the header, as the pipeline sends it."""
    assert request.idempotency_key is not None
    assert PROVIDER.idempotency_header is not None
    headers = (*request.headers, (PROVIDER.idempotency_header, request.idempotency_key))
    return msgspec.structs.replace(request, headers=headers)


class TestResend(EmailSuite):
    provider = PROVIDER
    fake = ResendFake
    credentials = {"api_key": API_KEY}  # noqa: RUF012  # declared as a ClassVar in the suite
    folder = Path(__file__).parent
    contract_files = ("resend/resend.openapi.yaml",)
    template = "welcome"
    words = {  # noqa: RUF012  # likewise
        "email.delivered": "email.delivered",
        "email.deferred": "email.delivery_delayed",
        "email.bounced": "email.bounced",
        "email.dropped": "email.suppressed",
        "email.complained": "email.complained",
        "email.opened": "email.opened",
        "email.clicked": "email.clicked",
    }

    def asking(self, feature: Feature) -> EmailMessage:
        if feature is Feature.METADATA:  # few characters are allowed here
            return message(metadata={"order": "7", "note": "a-b_c"})
        return super().asking(feature)

    async def ask(self, live: Live, request: Request) -> Response:
        answer = await live.exchange(keyed(request))
        assert isinstance(answer, Response)
        return answer

    @pytest.mark.parametrize("asked", [message(), message(to=(ADA, BOB), each=EACH)])
    async def test_a_repeat_with_the_same_key_is_answered_as_the_first_and_sends_nothing(
        self, asked: EmailMessage
    ) -> None:
        async with self.live() as (live, fake):
            request = next(self.email().send(asked))
            assert (request.effect, request.idempotency_key) == (Effect.IDEMPOTENT, "call_7f3a")
            first = await self.ask(live, request)
            fake.clock.advance(PROVIDER.idempotency_window_s - 1)
            again = await self.ask(live, request)
            assert (again.status, again.json()) == (200, first.json())
            assert fake.sent_twice() == []
            fake.clock.advance(2)
            await self.ask(live, request)
        assert [email for _, email in fake.sent_twice()] == [each.email for each in asked.to]

    async def test_a_lost_answer_is_had_by_a_repeat(self) -> None:
        async with self.live() as (live, fake):
            request = keyed(next(self.email().send(message())))
            fake.faults = msgspec.structs.replace(fake.faults, lost_share=1)
            lost = await live.exchange(request)
            verdict = assess(PROVIDER, request, lost)
            assert (verdict.outcome, verdict.may_repeat) == (Outcome.UNKNOWN, True)
            fake.faults = msgspec.structs.replace(fake.faults, lost_share=0)
            answer = await live.exchange(request)
        assert isinstance(answer, Response)
        assert answer.json() == {"id": fake.sent[0].id}
        assert len(fake.sent) == 1

    def test_a_call_without_a_name_has_no_key(self) -> None:
        request = next(self.email(reference="").send(message()))
        assert (request.effect, request.idempotency_key) == (Effect.ONCE, None)

    async def test_a_key_of_something_else_is_a_conflict_that_stays(self) -> None:
        async with self.live() as (live, _):
            await self.ask(live, next(self.email().send(message())))
            other = next(self.email().send(message(subject="Other")))
            answer = await self.ask(live, other)
        verdict = assess(PROVIDER, other, answer)
        assert (answer.status, verdict.error, verdict.may_repeat) == (409, errors.ConflictError, False)
        assert verdict.hint

    async def test_a_status_is_the_last_that_happened(self) -> None:
        async with self.live() as (live, fake):
            receipt = await live.run(self.email().send(message()))
            assert (await live.run(self.email().status(receipt.ref.id))).events == ()
            fake.happened += [(kind, fake.sent[0], ADA.email) for kind in ("email.delivered", "email.opened")]
            status = await live.run(self.email().status(receipt.ref.id))
        assert status == EmailStatus(ref=Ref("mine", receipt.ref.id), events=("email.opened",))

    async def test_a_key_that_may_only_send_is_told_apart(self) -> None:
        async with self.live(is_restricted=True) as (live, fake):
            await live.run(self.email().send(message()))
            assert PROVIDER.probe is not None
            request = next(PROVIDER.probe())
            answer = await live.exchange(request)
        assert isinstance(answer, Response)
        verdict = assess(PROVIDER, request, answer)
        assert verdict.error is errors.ForbiddenError
        assert "Full access" in verdict.hint
        assert len(fake.sent) == 1

    @pytest.mark.parametrize(
        "fields",
        [
            {"tags": ("ü",)},
            {"metadata": {"a": "b c"}},
            {"metadata": {"tag": "b"}},
            {"metadata": {"a": "b" * 257}},
            {"to": (ADA, BOB), "each": EACH, "attachments": (BILL,)},
            {"to": (ADA, BOB), "each": EACH, "send_at": TOMORROW},
        ],
    )
    def test_what_it_would_refuse_is_refused_before_a_request(self, fields: dict[str, Any]) -> None:
        with pytest.raises(errors.UnsupportedFeatureError):
            next(self.email().send(message(**fields)))
