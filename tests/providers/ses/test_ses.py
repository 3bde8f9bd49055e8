"""The provider through the whole pipeline: what it refuses, what the vendor refuses, and what is known at the end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from fairlead import errors
from fairlead.capabilities.email import Attachment, EmailMessage, Feature, Taken
from fairlead.capabilities.mailbox import Address
from fairlead.model.outcome import Outcome
from fairlead.observe.events import AttemptFinished
from fairlead.providers.ses import PROVIDER
from fairlead.providers.ses.email import SesEmail
from fairlead.runtime.ports import SystemClock
from fairlead.spec.settlement import Unknowable
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.fakes.ses import SesFake
from fairlead.testing.faults import Faults
from mailing import BOB, LOGO, Office, letter
from provider_suite import answer, play
from ses_stage import ENVIRONMENT, EVE, connection, post, service
from webhook_trial import incoming, try_on

# --- What the vendor cannot do ------------------------------------------------------------------------------------

UNSUPPORTED: dict[Feature, dict[str, Any]] = {
    Feature.TAGS: {"tags": ("a", "b")},
    Feature.TRACK_OPENS: {"track_opens": True},
    Feature.TRACK_CLICKS: {"track_clicks": True},
    Feature.SEND_AT: {"send_at": 1.0},
}
ODD: dict[str, dict[str, Any]] = {
    "a tag with a blank": {"tags": ("two words",)},
    "metadata that is no ASCII": {"metadata": {"order": "ü"}},
    "metadata that is long": {"metadata": {"order": "x" * 257}},
    "braces for each": {"to": (BOB,), "each": {BOB.email: {}}, "text": "{{name}}"},
    "too much": {"attachments": (Attachment(name="a", content=b"x" * (SesEmail.MAX_BYTES + 1)),)},
    "too many": {"to": tuple(Address(f"guest{n}@table.test") for n in range(51))},
}


def test_every_feature_is_mapped_or_refused() -> None:
    assert SesEmail.FEATURES | UNSUPPORTED.keys() == set(Feature)


@pytest.mark.parametrize("fields", [*UNSUPPORTED.values(), *ODD.values()], ids=[*UNSUPPORTED, *ODD])
async def test_what_it_lacks_is_refused_before_it_hears_of_it(fields: dict[str, Any]) -> None:
    async with post() as (office, fake):
        with pytest.raises(errors.UnsupportedFeatureError):
            await office.send(letter(**fields))
        assert fake.books.requests == 0


async def test_the_largest_message_is_taken() -> None:
    big = Attachment(name="a.bin", content=b"\xff" * (SesEmail.MAX_BYTES - 100))
    async with post("timeouts = { attempt_s = 60, read_s = 60 }") as (office, fake):
        await office.send(letter(attachments=(big,)), deadline_s=60.0)
        await office.send(letter(attachments=(LOGO, msgspec.structs.replace(big, content=b"x" * 1000)), html="<b>"))
    assert [len(each.files) for each in fake.sent] == [1, 2]
    assert len(fake.sent[0].files[0].content) == len(big.content)


# --- Errors -------------------------------------------------------------------------------------------------------


class Refusing(SesFake):
    """An SES that has one answer for everybody."""

    refuses = (500, "InternalFailure")

    def answer(self, _: FakeRequest) -> FakeReply:
        status, code = self.refuses
        return FakeReply.json(status, {"message": "No."}, headers=(("x-amzn-ErrorType", code),))


@pytest.mark.parametrize(
    ("code", "status", "error", "is_repeated"),
    [
        ("MessageRejected", 400, errors.ForbiddenError, False),
        ("MailFromDomainNotVerifiedException", 400, errors.ForbiddenError, False),
        ("AccountSuspendedException", 400, errors.ForbiddenError, False),
        ("SendingPausedException", 400, errors.ForbiddenError, False),
        ("LimitExceededException", 400, errors.QuotaExhaustedError, False),
        ("BadRequestException", 400, errors.InvalidRequestError, False),
        ("NotFoundException", 404, errors.NotFoundError, False),
        ("TooManyRequestsException", 429, errors.ThrottledError, True),
        ("ThrottlingException", 400, errors.ThrottledError, True),
        ("UnrecognizedClientException", 403, errors.AuthenticationError, False),
        ("ExpiredTokenException", 403, errors.AuthenticationError, False),
        ("InvalidSignatureException", 403, errors.AuthenticationError, False),
        ("AccessDeniedException", 403, errors.ForbiddenError, False),
    ],
)
async def test_every_error_is_told_apart_by_its_header(
    code: str, status: int, error: type[errors.FairleadError], is_repeated: bool
) -> None:
    async with Refusing() as fake, Office(connection("mine", fake.url), ENVIRONMENT) as office:
        fake.refuses = (status, f"{code}:http://internal.amazon.com/coral/")
        with pytest.raises(error) as caught:
            await office.send(letter())
    assert caught.value.outcome is Outcome.NOT_DONE
    assert caught.value.hint
    assert f'(HTTP {status}): "No."' in caught.value.message
    assert (len(office.told(AttemptFinished)) > 1) == is_repeated


def test_every_error_of_the_contract_has_a_rule() -> None:
    named = {rule.code for rule in PROVIDER.errors}
    for name in ("SendEmail", "SendBulkEmail", "GetMessageInsights", "GetAccount"):
        assert {each.name for each in service().operation_model(name).error_shapes} <= named
    for rule in PROVIDER.errors:
        assert rule.hint
        if rule.code in service().shape_names:
            assert service().shape_for(rule.code).metadata["error"]["httpStatusCode"] == rule.status


@pytest.mark.parametrize(
    ("settings", "more", "message", "error", "said"),
    [
        ({"identities": ["other.test"]}, "", letter(), errors.ForbiddenError, "not verified"),
        (
            {"identities": ["kitchen.test"], "is_sandbox": True},
            "",
            letter(),
            errors.ForbiddenError,
            "EU-WEST-1: bob@table.test",
        ),
        ({}, "", letter(text=None, template="nothing"), errors.NotFoundError, "nothing does not exist"),
        ({}, "", letter(extra={"mine": {"ConfigurationSetName": "x"}}), errors.NotFoundError, "Configuration set <x>"),
        ({"faults": Faults(is_throttled=True)}, "", letter(), errors.ThrottledError, "Maximum sending rate"),
        ({"faults": Faults(is_quota_exhausted=True)}, "", letter(), errors.ThrottledError, "Daily message quota"),
    ],
)
async def test_the_stand_in_refuses_as_the_vendor_does(
    settings: dict[str, Any], more: str, message: EmailMessage, error: type[errors.FairleadError], said: str
) -> None:
    async with post(more, **settings) as (office, fake):
        with pytest.raises(error) as caught:
            await office.send(message)
    assert said in caught.value.message
    assert fake.sent == []


@pytest.mark.parametrize(
    "wrong", [{"secret_access_key": "other"}, {"access_key_id": "AKIAOTHER"}, {"region": "us-east-1"}], ids=str
)
async def test_nobody_else_is_let_in(wrong: dict[str, str]) -> None:
    async with post(credentials={**SesFake.CREDENTIALS, **wrong}) as (office, fake):
        with pytest.raises(errors.AuthenticationError) as caught:
            await office.send(letter())
    assert caught.value.outcome is Outcome.NOT_DONE
    assert "fake-secret" not in str(caught.value)
    assert fake.sent == []


def test_of_several_messages_each_has_its_result() -> None:
    message = letter(to=(BOB, EVE), text=None, template="welcome", each={BOB.email: {}, EVE.email: {}})
    results = [
        {"Status": "SUCCESS", "MessageId": "m-1"},
        {"Status": "MESSAGE_REJECTED", "Error": "It has a virus."},
    ]
    body = json.dumps({"BulkEmailEntryResults": results}).encode()
    _, receipt = play(SesEmail("mine").send(message), answer(body))
    assert receipt.ref.id == "m-1"
    assert [(each.email, each.taken, each.id, each.reason) for each in receipt.recipients] == [
        (BOB.email, Taken.ACCEPTED, "m-1", None),
        (EVE.email, Taken.REJECTED, None, "MESSAGE_REJECTED It has a virus."),
    ]


async def test_where_none_of_several_is_taken_that_is_an_error() -> None:
    message = letter(to=(BOB, EVE), text=None, template="nothing", each={BOB.email: {}, EVE.email: {}})
    async with post() as (office, fake):
        with pytest.raises(errors.InvalidRequestError, match="none of 2 messages: TEMPLATE_NOT_FOUND") as caught:
            await office.send(message)
    assert caught.value.outcome is Outcome.NOT_DONE
    assert fake.sent == []


# --- Outcomes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("faults", [Faults(lost_share=1), Faults(reset_share=1)], ids=["lost", "half"])
async def test_a_message_whose_answer_is_lost_is_sent_once_and_by_nobody_else(faults: Faults) -> None:
    async with SesFake(faults=faults) as first, SesFake() as second:
        both = connection("mine", first.url) + connection("other", second.url)
        async with Office(both, ENVIRONMENT) as office:
            with pytest.raises(errors.FairleadError) as caught:
                await office.send(letter(), reference="call-1")
    assert caught.value.outcome is Outcome.UNKNOWN
    assert [each.reference for each in first.sent] == ["call-1"]
    assert (second.sent, first.sent_twice()) == ([], [])


async def test_what_became_of_it_can_be_told_by_nothing_but_an_event() -> None:
    settle = SesEmail.SETTLE["send"]
    assert isinstance(settle, Unknowable)
    assert "fairlead_call" in settle.reason
    async with post(faults=Faults(lost_share=1)) as (office, fake):
        with pytest.raises(errors.FairleadError):
            await office.send(letter(), reference="call-1")
        event = json.loads(json.loads(fake.notice("Delivery", fake.sent[0], BOB.email))["Message"])
    assert event["mail"]["tags"]["fairlead_call"] == ["call-1"]


async def test_one_account_that_may_not_send_is_replaced_by_another() -> None:
    async with SesFake(identities=["other.test"]) as first, SesFake() as second:
        both = connection("mine", first.url) + connection("other", second.url)
        async with Office(both, ENVIRONMENT) as office:
            receipt = await office.send(letter())
    assert receipt.ref.connection == "other"
    assert (len(first.sent), len(second.sent)) == (0, 1)


async def test_ten_at_once_are_sent_once_each() -> None:
    async with post() as (office, fake):
        await asyncio.gather(*(office.send(letter(), reference=f"call-{n}") for n in range(10)))
    assert sorted(each.reference or "" for each in fake.sent) == [f"call-{n}" for n in range(10)]


# --- Events -------------------------------------------------------------------------------------------------------

NEWS = {
    "Delivery": "email.delivered",
    "DeliveryDelay": "email.deferred",
    "Bounce": "email.bounced",
    "Reject": "email.dropped",
    "Rendering Failure": "email.dropped",
    "Complaint": "email.complained",
    "Subscription": "email.unsubscribed",
    "Open": "email.opened",
    "Click": "email.clicked",
}


@pytest.mark.parametrize("kind", NEWS)
async def test_what_the_stand_in_tells_is_verified_and_understood(kind: str) -> None:
    webhooks = PROVIDER.webhooks
    assert webhooks is not None
    assert webhooks.normalise is not None
    async with post() as (office, fake):
        receipt = await office.send(letter())
        body = fake.notice(kind, fake.sent[0], BOB.email)
    now = SystemClock().wall()
    pages = {fake.topic.certificate_url: fake.topic.certificate(now)}
    delivery = incoming(body)
    verdict, _ = try_on(webhooks.scheme, delivery, {"topic_arn": fake.topic.arn}, now=now, pages=pages)
    assert verdict.is_accepted
    for arn, forged in (("arn:other", body), (fake.topic.arn, body.replace(b"ada", b"eve"))):
        with pytest.raises(errors.WebhookError):
            try_on(webhooks.scheme, incoming(forged), {"topic_arn": arn}, now=now, pages=pages)
    (notice,) = webhooks.split(delivery)
    event = webhooks.normalise(notice.type, notice.body)
    assert event is not None
    assert (event.type, event.subject, event.recipient) == (NEWS[kind], receipt.ref.id, BOB.email)


# --- Where it is --------------------------------------------------------------------------------------------------


def test_the_region_is_part_of_the_address() -> None:
    settings = connection("mine", "https://unused.test").replace('base_url = "https://unused.test"\n', "")
    office = Office(settings.replace("allow_private = true", ""), ENVIRONMENT)
    assert office.fl.connection("mine").provider.base_url == "https://email.eu-west-1.amazonaws.com"


@pytest.mark.parametrize("region", ["evil.test/", "eu-west-1.evil.test#", "a@b", "", "EU"])
def test_the_region_is_one(region: str) -> None:
    settings = connection("mine", "https://unused.test").replace("eu-west-1", region)
    with pytest.raises(errors.ConfigError, match="region"):
        Office(settings, ENVIRONMENT)
