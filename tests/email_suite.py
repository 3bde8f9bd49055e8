"""What holds for every provider of email: its adapter, its fake and its contract say the same.

A provider's test inherits `EmailSuite` and says which files and classes are its own. The adapter talks to the fake over
real sockets, and the fake writes down what it understood: that is held against what was asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest

from email_messages import (
    ADA,
    ASKS,
    BOB,
    REFERENCE,
    SENDER,
    Inbox,
    case,
    check_letters,
    check_receipt,
    message,
    read,
)
from fairlead import errors
from fairlead.auth.sign import sign
from fairlead.capabilities.email import Email, EmailMessage, EmailReceipt, Feature
from fairlead.capabilities.mailbox import Address
from fairlead.capabilities.news.email import TYPES
from fairlead.model.event import Event
from fairlead.model.exchange import Broken
from fairlead.model.incoming import Incoming
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect, Outcome
from fairlead.model.secret import Secret
from fairlead.runtime.assess import assess
from fairlead.spec.answer import text_at
from fairlead.spec.outcomes import Verdict
from fairlead.spec.provider import Provider
from fairlead.spec.settlement import Absent, Decision, Found, Seen, Settlement, Unknowable, decide
from fairlead.testing.clock import FakeClock
from fairlead.testing.faults import Faults
from fairlead.testing.mailroom import MailFake
from openapi import Description, read_reduced, read_whole
from provider_suite import Live
from webhook_trial import try_on


class EmailSuite:
    """The tests. `contract_files` are the vendor's own descriptions, `words` its words for what became of a message."""

    provider: ClassVar[Provider]
    fake: ClassVar[type[MailFake]]
    credentials: ClassVar[Mapping[str, str]]
    folder: ClassVar[Path]
    contract_files: ClassVar[Sequence[str]]
    #: Neutral type -> the vendor's own kind of notice.
    words: ClassVar[Mapping[str, str]]
    #: An id as the vendor has them for templates.
    template: ClassVar[str]
    #: Parameters of requests that the contract lacks, as the overlay says.
    beyond: ClassVar[frozenset[str]] = frozenset()
    #: What the vendor answers when the quota is used up, or none where it has no such answer.
    quota_error: ClassVar[type[errors.FairleadError] | None] = errors.QuotaExhaustedError
    #: What it says to an unverified sender.
    sender_error: ClassVar[type[errors.FairleadError]] = errors.ForbiddenError

    def email(self, *, reference: str = REFERENCE) -> Any:
        made: Email = self.provider.capabilities["email"]("mine")
        made.reference = reference
        return made

    def asking(self, feature: Feature) -> EmailMessage:
        fields = dict(ASKS[feature])
        if feature is Feature.TEMPLATE:
            fields["template"] = self.template
        return message(**fields)

    @asynccontextmanager
    async def live(self, **settings: Any) -> AsyncIterator[tuple[Live, Any]]:
        usual: dict[str, Any] = {"random": Random(7), "clock": FakeClock()}  # noqa: S311  # chance for ids and faults
        async with self.fake(**usual | settings) as fake, Live(self.provider, self.credentials, fake.url) as live:
            yield live, fake

    async def tour(self, live: Live, fake: MailFake) -> None:
        """Use every operation of the adapter, with every feature."""
        for feature in sorted(self.provider.capabilities["email"]("mine").FEATURES):
            await live.run(self.email().send(self.asking(feature)))
        receipt = await live.run(self.email().send(message(cc=(BOB,), bcc=(SENDER,), html="<b>Hi</b>")))
        if "status" in self.supported():
            await live.run(self.email().status(receipt.ref.id))
        settle = self.email().SETTLE.get("send")
        if isinstance(settle, Settlement):
            await live.run(self.email().look(case(message())))
        assert self.provider.probe is not None
        await live.run(self.provider.probe())
        assert fake.sent

    def supported(self) -> set[str]:
        kind = self.provider.capabilities["email"]
        return {name for name in Email.EFFECTS if getattr(kind, name) is not getattr(Email, name)}

    @pytest.fixture(params=["reduced", "whole"])
    def contract(self, request: pytest.FixtureRequest) -> Description:
        if request.param == "reduced":
            return read_reduced(self.folder)
        return read_whole(self.folder, *self.contract_files)

    # What goes over the wire is what the contract says.

    async def test_requests_and_answers_keep_to_the_contract(self, contract: Description) -> None:
        async with self.live() as (live, fake):
            await self.tour(live, fake)
        for request, response in live.exchanges:
            filled = sign(request, self.provider.auth, {name: Secret(text) for name, text in self.credentials.items()})
            contract.check_request(filled, beyond=self.beyond)
            contract.check_answer(filled, response)

    async def test_no_good_answer_of_the_fake_has_drifted_from_the_shapes(self) -> None:
        async with self.live() as (live, fake):
            await self.tour(live, fake)
        assert [finding for _, finding in live.watch.take()] == []

    # What was asked for is what the vendor understood.

    @pytest.mark.parametrize("feature", sorted(Feature))
    async def test_each_feature_arrives_or_is_refused_before_anything_is_sent(self, feature: Feature) -> None:
        asked = self.asking(feature)
        if not asked.features <= self.email().FEATURES:
            with pytest.raises(errors.UnsupportedFeatureError):
                next(self.email().send(asked))
            return
        async with self.live() as (live, fake):
            receipt = await live.run(self.email().send(asked))
        check_letters(asked, fake.sent)
        check_receipt(receipt, asked, fake.sent)

    async def test_everybody_gets_it_and_the_bodies_arrive(self) -> None:
        asked = message(
            to=(ADA, BOB), cc=(Address("c@example.com"),), bcc=(Address("d@example.com", "D"),), html="<b>ü</b>"
        )
        async with self.live() as (live, fake):
            receipt = await live.run(self.email().send(asked))
        check_letters(asked, fake.sent)
        check_receipt(receipt, asked, fake.sent)

    @pytest.mark.parametrize("name", ["Müller, Jörg", '"; <evil@example.net>', "a@b.example, c", "日本 🙂", "x\\y (z)"])
    async def test_a_name_stays_a_name(self, name: str) -> None:
        asked = message(
            sender=Address(SENDER.email, name),
            to=(Address("ada@example.com", name),),
            reply_to=(Address("r@example.com", name),),
        )
        async with self.live() as (live, fake):
            await live.run(self.email().send(asked))
        (letter,) = fake.sent
        assert letter.recipients == ("ada@example.com",)
        for mailbox in (letter.sender, letter.to[0], letter.reply_to[0]):
            assert read(mailbox)[0] == name

    @pytest.mark.parametrize("text", ["ü € 日本 🙂", "line\r\nline\n.\nend", "a\tb \\ \" ' %recipient% {{x}}", "<>&"])
    async def test_text_is_not_changed_on_the_way(self, text: str) -> None:
        asked = message(subject=text.replace("\r", "").replace("\n", " "), text=text, html=f"<p>{text}</p>")
        async with self.live() as (live, fake):
            await live.run(self.email().send(asked))
        check_letters(asked, fake.sent)

    async def test_our_name_for_the_call_travels_in_the_metadata(self) -> None:
        if Feature.METADATA not in self.email().FEATURES:
            return
        async with self.live() as (live, fake):
            await live.run(self.email().send(message(metadata={"a": "b"})))
            await live.run(self.email(reference="").send(message(metadata={"a": "b"})))
        assert [dict(each.metadata) for each in fake.sent] == [{"a": "b", "fairlead_call": REFERENCE}, {"a": "b"}]

    async def test_each_of_many_gets_their_own_with_their_variables(self) -> None:
        asked = message(
            template=self.template, text=None, subject="", to=(ADA, BOB), variables={"shop": "Æ", "name": "you"},
            each={ADA.email: {"name": "Ada"}, BOB.email: {}},
        )  # fmt: skip
        async with self.live() as (live, fake):
            receipt = await live.run(self.email().send(asked))
        assert [each.recipients for each in fake.sent] == [(ADA.email,), (BOB.email,)]
        assert [dict(each.variables) for each in fake.sent] == [
            {"shop": "Æ", "name": "Ada"}, {"shop": "Æ", "name": "you"},
        ]  # fmt: skip
        check_receipt(receipt, asked, fake.sent)

    async def test_what_only_the_vendor_knows_is_passed_through(self) -> None:
        plain = next(self.email().send(message()))
        extra = next(self.email().send(message(extra={"mine": {"vendor_says": "so"}, "other": {"no": "no"}})))
        assert b"vendor_says" in extra.body
        assert b"vendor_says" not in plain.body
        assert b'"no"' not in extra.body

    # What cannot be carried is refused before a request.

    def test_what_is_too_much_is_refused_before_a_request(self) -> None:
        email = self.email()
        crowd = tuple(Address(f"a{number}@example.com") for number in range((email.MAX_EACH or 1000) + 1))
        many = tuple(Address(f"a{number}@example.com") for number in range(email.MAX_RECIPIENTS + 1))
        for asked in (
            message(text="x" * (email.MAX_BYTES + 1)),
            message(to=many),
            message(to=crowd, each={each.email: {} for each in crowd}),
            message(variables={"a": "b"}),
        ):
            with pytest.raises(errors.UnsupportedFeatureError):
                next(email.send(asked))
        if email.NEEDS_TO:
            with pytest.raises(errors.UnsupportedFeatureError, match="copies alone"):
                next(email.send(message(to=(), cc=(ADA,))))

    # What the vendor refuses.

    async def refusal(
        self, credentials: Mapping[str, str] | None = None, **settings: Any
    ) -> tuple[Verdict, str, MailFake]:
        async with (
            self.live(**settings) as (_, fake),
            Live(self.provider, self.credentials if credentials is None else credentials, fake.url) as live,
        ):
            request = next(self.email().send(message()))
            answer = await live.exchange(request)
        assert isinstance(answer, Response), answer
        verdict = assess(self.provider, request, answer)
        assert verdict.outcome is Outcome.NOT_DONE
        assert fake.sent == []
        return verdict, text_at(answer, self.provider.error_message_at) or answer.text, fake

    async def test_a_wrong_key_is_refused(self) -> None:
        verdict, said, _ = await self.refusal(dict.fromkeys(self.credentials, "wrong.example"))
        assert verdict.error is errors.AuthenticationError
        assert said

    async def test_throttling_waits(self) -> None:
        verdict, said, _ = await self.refusal(faults=Faults(is_throttled=True, retry_after_s=1.5))
        assert (verdict.error, verdict.may_repeat) == (errors.ThrottledError, True)
        assert said

    async def test_a_used_up_quota_says_what_to_do(self) -> None:
        if self.quota_error is None:
            return
        verdict, said, _ = await self.refusal(faults=Faults(is_quota_exhausted=True))
        assert (verdict.error, verdict.may_repeat) == (self.quota_error, False)
        assert said
        assert verdict.hint

    async def test_an_unverified_sender_says_what_to_do(self) -> None:
        verdict, said, _ = await self.refusal(senders=["other.example"])
        assert verdict.error is self.sender_error
        assert said
        assert verdict.hint

    @pytest.mark.parametrize("status", [500, 502, 503])
    async def test_a_failure_of_the_vendor_leaves_it_in_doubt(self, status: int) -> None:
        async with self.live(faults=Faults(error_share=1, error_status=status)) as (live, _):
            request = next(self.email().send(message()))
            answer = await live.exchange(request)
        assert isinstance(answer, Response)
        verdict = assess(self.provider, request, answer)
        assert (verdict.outcome, verdict.error) == (Outcome.UNKNOWN, errors.UnavailableError)

    # What became of it, where the answer never came.

    async def lose(self, live: Live, fake: MailFake, asked: EmailMessage | None = None) -> Request:
        """Let the vendor act, and drop its answer."""
        fake.faults = Faults(lost_share=1)
        request: Request = next(self.email().send(asked or message()))
        answer = await live.exchange(request)
        assert isinstance(answer, Broken)
        assert assess(self.provider, request, answer).outcome is Outcome.UNKNOWN
        assert len(fake.sent) == 1
        fake.faults = Faults()
        return request

    async def test_a_lost_answer_is_found_by_a_look(self) -> None:
        settle = self.email().SETTLE["send"]
        if isinstance(settle, Unknowable):
            assert len(settle.reason) > 20
            return
        async with self.live(visible_after_s=60) as (live, fake):
            await self.lose(live, fake)
            fake.clock.advance(59)
            assert self.decided(settle, await live.run(self.email().look(case(message()))), 59) is Decision.LOOK_AGAIN
            fake.clock.advance(1)
            seen: Seen = await live.run(self.email().look(case(message())))
        assert isinstance(seen, Found)
        assert self.decided(settle, seen, 60) is Decision.DONE
        receipt: EmailReceipt = seen.value
        assert receipt.ref.connection == "mine"
        assert receipt.ref.id == fake.sent[0].id
        assert [each.email for each in receipt.recipients] == [ADA.email]
        assert len(fake.sent) == 1

    async def test_what_was_never_sent_is_absent_once_it_would_be_seen(self) -> None:
        settle = self.email().SETTLE["send"]
        if isinstance(settle, Unknowable):
            return
        async with self.live() as (live, fake):
            fake.clock.advance(settle.visible_after_s + 1)
            await live.run(self.email(reference="another").send(message()))
            seen = await live.run(self.email().look(case(message())))
        assert isinstance(seen, Absent)
        assert self.decided(settle, seen, settle.visible_after_s - 1) is Decision.LOOK_AGAIN
        assert self.decided(settle, seen, settle.visible_after_s) is Decision.NOT_DONE

    def decided(self, settle: Settlement, seen: Seen, age_s: float) -> Decision:
        return decide(seen, settle, late_at=0.0, now=age_s)

    async def test_a_look_only_reads(self) -> None:
        if isinstance(self.email().SETTLE["send"], Unknowable):
            return
        assert next(self.email().look(case(message()))).effect is Effect.READ

    # What the vendor tells of its own accord.

    async def told(self, kind: str) -> tuple[Incoming, Event | None, MailFake]:
        async with self.live() as (live, fake), Inbox() as inbox:
            await live.run(self.email().send(message()))
            assert await fake.tell(f"{inbox.url}/hooks/mail", kind, fake.sent[0]) == 200
        (request,) = inbox.taken
        incoming = Incoming("POST", "https://app.example/hooks/mail", request.headers, request.body)
        webhooks = self.provider.webhooks
        assert webhooks is not None
        secrets = {**fake.webhook_secrets}
        verdict, _ = try_on(webhooks.scheme, incoming, secrets, now=fake.clock.wall())
        assert verdict.is_accepted
        (notice,) = webhooks.split(incoming)
        assert webhooks.normalise is not None
        return incoming, webhooks.normalise(notice.type, notice.body), fake

    async def test_its_notices_are_verified_and_mean_the_same(self) -> None:
        assert self.words.keys() <= TYPES.keys()
        for neutral, kind in self.words.items():
            _, event, fake = await self.told(kind)
            assert event is not None
            assert (event.type, event.recipient) == (neutral, ADA.email)
            assert event.subject == fake.sent[0].id.strip("<>")

    async def test_a_notice_that_was_changed_is_refused(self) -> None:
        incoming, _, fake = await self.told(next(iter(self.words.values())))
        webhooks = self.provider.webhooks
        assert webhooks is not None
        other = self.fake(random=Random(8))  # noqa: S311  # chance for ids
        with pytest.raises(errors.WebhookError):
            try_on(webhooks.scheme, incoming, dict(other.webhook_secrets), now=fake.clock.wall())
