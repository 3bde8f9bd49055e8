"""The provider and its stand-in, through the whole pipeline and over real sockets."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest

from fairlead import errors
from fairlead.capabilities.email import Attachment, Feature, Taken
from fairlead.capabilities.mailbox import Address
from fairlead.config.read import parse_settings
from fairlead.model.call import Ref
from fairlead.model.message import Request
from fairlead.model.outcome import Outcome
from fairlead.observe.events import AttemptFinished, BreakerChanged
from fairlead.providers.smtp import PROVIDER, SmtpEmail
from fairlead.runtime.fairlead import Fairlead
from fairlead.spec.settlement import Unknowable
from fairlead.testing.fakes.smtp import SmtpFake
from fairlead.testing.faults import Faults
from fairlead.testing.mail_visit import Step, Then, Trouble
from fairlead.transport.http import HttpOptions, HttpTransport
from mailing import ADA, BOB, LOGO, MENU, Office, letter
from stages import PATIENCE_S

ENVIRONMENT = {"USER": "fake-user", "PASSWORD": "fake-password"}


def connection(name: str, fake: SmtpFake, more: str = "") -> str:
    return f"""
[connections.{name}]
provider = "smtp"
base_url = "{fake.url}"
allow_private = true
ca_file = "{fake.ca_file}"
credentials = {{ user = "env:USER", password = "env:PASSWORD" }}
retry = {{ base_s = 0.01 }}
{more}
"""


@asynccontextmanager
async def post(more: str = "", **settings: Any) -> AsyncIterator[tuple[Office, SmtpFake]]:
    async with SmtpFake(**settings) as fake, Office(connection("relay", fake, more), ENVIRONMENT) as office:
        yield office, fake


# --- What goes well -----------------------------------------------------------------------------------------------


async def test_a_message_is_on_its_way_to_everybody_and_names_the_call() -> None:
    message = letter(
        cc=(Address("ce@table.test", 'Cé, "the" cook'),),
        bcc=(Address("dan@table.test", "Dan"),),
        reply_to=(ADA, BOB),
        html="<p>It is ready.<img src='cid:logo'>",
        attachments=(LOGO, MENU),
        headers=(("X-Table", "Nº 7"),),
        unsubscribe_url="https://kitchen.test/leave?" + "a" * 100,
    )
    async with post() as (office, fake):
        receipt = await office.send(message, reference="call-7")
    assert receipt.ref == Ref("relay", "call-7@kitchen.test")
    assert [(each.email, each.taken) for each in receipt.recipients] == [
        (email, Taken.ACCEPTED) for email in ("bob@table.test", "ce@table.test", "dan@table.test")
    ]
    (taken,) = fake.sent
    assert taken.recipients == ("bob@table.test", "ce@table.test", "dan@table.test")
    assert b"dan" not in taken.content.lower()
    parsed = message_from_bytes(taken.content, policy=default)
    assert parsed["message-id"] == "<call-7@kitchen.test>"
    assert parsed["date"].datetime is not None
    assert (parsed["subject"], parsed["x-table"]) == ("Soup ☃", "Nº 7")
    assert [(each.display_name, each.addr_spec) for each in parsed["cc"].addresses] == [
        ('Cé, "the" cook', "ce@table.test")
    ]
    assert parsed["list-unsubscribe"] == f"<https://kitchen.test/leave?{'a' * 100}>"
    files = {part.get_filename(): part.get_payload(decode=True) for part in parsed.walk() if part.get_filename()}
    assert files == {"logo.png": LOGO.content, "menü.pdf": MENU.content}


async def test_a_call_without_a_name_has_a_message_id_all_the_same() -> None:
    async with post() as (office, fake):
        first, second = await office.send(letter()), await office.send(letter())
    assert first.ref.id.endswith("@kitchen.test")
    assert first.ref.id != second.ref.id
    assert f"<{first.ref.id}>".encode() in fake.sent[0].content


async def test_recipients_who_are_refused_are_told_with_the_reason() -> None:
    async with post() as (office, fake):
        receipt = await office.send(letter(to=(BOB, Address("unknown@table.test"))))
    assert [(each.email, each.taken, each.reason) for each in receipt.recipients] == [
        ("bob@table.test", Taken.ACCEPTED, None),
        ("unknown@table.test", Taken.REJECTED, "550 5.1.1 No such user here"),
    ]
    assert fake.sent[0].recipients == ("bob@table.test",)


async def test_who_is_greylisted_comes_again_and_is_let_in_once() -> None:
    async with post() as (office, fake):
        await office.send(letter(to=(Address("greylisted@table.test"),)))
    assert len(fake.sent) == 1
    assert [(each.attempt.outcome, each.attempt.error) for each in office.told(AttemptFinished)] == [
        (Outcome.NOT_DONE, "unavailable"),
        (Outcome.DONE, None),
    ]


async def test_credentials_may_be_left_out_where_nobody_asks() -> None:
    async with SmtpFake(credentials=None, is_plain=True) as fake:
        settings = f"""
[connections.relay]
provider = "smtp"
base_url = "{fake.url}"
allow_private = true
tls = {{ plain_on_loopback = true }}
"""
        async with Office(settings, {}) as office:
            await office.send(letter())
    assert [(each.user, each.is_secret) for each in fake.sent] == [(None, False)]


# --- What does not ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "reply", "error", "hint"),
    [
        (Step.AUTH, "535 5.7.8 No", errors.AuthenticationError, "Check user and password"),
        (Step.MAIL, "530 5.7.0 Who are you?", errors.AuthenticationError, "Set user and password"),
        (Step.GREETING, "554 Not you", errors.ForbiddenError, "does not speak to us"),
        (Step.RCPT, "550 5.1.1 Nobody", errors.NotFoundError, "Correct the address"),
        (Step.RCPT, "550 5.7.1 Relaying denied", errors.ForbiddenError, "another sender"),
        (Step.RCPT, "452 4.2.2 Full", errors.UnavailableError, "later, or elsewhere"),
        (Step.RCPT, "451 4.7.1 Greylisted", errors.UnavailableError, "in the background"),
        (Step.MAIL, "552 5.3.4 Too big", errors.InvalidRequestError, "Send a link"),
        (Step.MAIL, "421 4.3.2 Closing", errors.UnavailableError, "Send it later"),
        (Step.DATA, "451 Not now", errors.UnavailableError, "Send it later"),
        (Step.DOT, "554 5.7.1 Spam", errors.ForbiddenError, "another sender"),
        (Step.DOT, "554 5.6.0 Garbled", errors.ForbiddenError, "Read what the server says"),
        (Step.DOT, "550 5.6.0 Garbled", errors.InvalidRequestError, "Read what the server says"),
        (Step.EHLO, "502 What?", errors.InvalidRequestError, "Read what the server says"),
        (Step.RCPT, "599 Odd", errors.ForbiddenError, "Read what the server says"),
        (Step.RCPT, "499 Odd", errors.UnavailableError, "Send it later"),
    ],
)
async def test_every_refusal_has_its_error_and_was_not_done(
    step: Step, reply: str, error: type[errors.FairleadError], hint: str
) -> None:
    async with post() as (office, fake):
        fake.troubles[step] = Trouble(reply=reply)
        with pytest.raises(error) as caught:
            await office.send(letter())
    told = caught.value
    assert told.outcome is Outcome.NOT_DONE
    assert hint in told.hint
    assert f'(SMTP {told.status}): "{reply[4:]}"' in told.message
    assert "fake-password" not in str(told)
    assert fake.sent == []
    is_repeated = len(office.told(AttemptFinished)) > 1
    assert is_repeated == reply.startswith("4")


def test_every_rule_says_what_to_do() -> None:
    for rule in PROVIDER.errors:
        assert rule.hint
        assert rule.outcome is Outcome.NOT_DONE
        assert rule.is_transient == (rule.status < 500)


@pytest.mark.parametrize("then", [Then.HANG_UP, Then.HANG])
async def test_a_message_whose_answer_is_lost_is_sent_once_and_by_nobody_else(then: Then) -> None:
    async with SmtpFake() as first, SmtpFake() as second:
        first.troubles[Step.DOT] = Trouble(then=then)
        both = connection("one", first, "timeouts = { attempt_s = 0.5 }") + connection("two", second)
        async with Office(both, ENVIRONMENT) as office:
            with pytest.raises(errors.FairleadError) as caught:
                await office.send(letter())
    assert caught.value.outcome is Outcome.UNKNOWN
    assert (len(first.sent), len(second.sent)) == (1, 0)
    assert len(office.told(AttemptFinished)) == 1


@pytest.mark.parametrize("step", [Step.GREETING, Step.AUTH, Step.MAIL, Step.RCPT, Step.DATA, Step.CONTENT])
async def test_a_server_that_goes_before_the_dot_is_replaced_by_another(step: Step) -> None:
    async with SmtpFake() as first, SmtpFake() as second:
        first.troubles[step] = Trouble(then=Then.HANG_UP)
        # In the middle is only what is more than lies in the sockets on the way.
        files = (Attachment(name="a", content=b"x" * 9_000_000),) if step is Step.CONTENT else ()
        async with Office(connection("one", first) + connection("two", second), ENVIRONMENT) as office:
            receipt = await office.send(letter(attachments=files))
    assert receipt.ref.connection == "two"
    assert (len(first.sent), len(second.sent)) == (0, 1)


async def test_a_server_that_is_ill_is_left_alone() -> None:
    async with post("breaker = { min_attempts = 5 }", faults=Faults(error_share=1)) as (office, fake):
        for _ in range(4):
            with pytest.raises(errors.FairleadError):
                await office.send(letter(), deadline_s=1.0)
        assert office.told(BreakerChanged)
        before = fake.books.operations["mail"]
        with pytest.raises(errors.FairleadError):
            await office.send(letter(), deadline_s=0.2)
        assert fake.books.operations["mail"] == before
        assert fake.sent == []


async def test_ten_at_once_are_sent_once_each() -> None:
    async with post("concurrency = { limit = 3 }") as (office, fake):
        receipts = await asyncio.gather(*(office.send(letter(), reference=f"call-{n}") for n in range(10)))
    assert len({each.ref.id for each in receipts}) == 10
    assert sorted(message_from_bytes(each.content)["message-id"] for each in fake.sent) == sorted(
        f"<{each.ref.id}>" for each in receipts
    )
    assert fake.visits <= 3


UNSUPPORTED: dict[Feature, dict[str, Any]] = {
    Feature.TAG: {"tags": ("a",)},
    Feature.TAGS: {"tags": ("a", "b")},
    Feature.METADATA: {"metadata": {"a": "b"}},
    Feature.TEMPLATE: {"template": "t", "text": None},
    Feature.EACH: {"each": {BOB.email: {"a": 1}}},
    Feature.TRACK_OPENS: {"track_opens": True},
    Feature.TRACK_CLICKS: {"track_clicks": True},
    Feature.SEND_AT: {"send_at": 1.0},
}


def test_every_feature_is_mapped_or_refused() -> None:
    assert SmtpEmail.FEATURES | UNSUPPORTED.keys() == set(Feature)


@pytest.mark.parametrize("feature", UNSUPPORTED)
async def test_what_no_mail_server_has_is_refused_before_it_hears_of_it(feature: Feature) -> None:
    async with post() as (office, fake):
        with pytest.raises(errors.UnsupportedFeatureError, match=feature.value):
            await office.send(letter(**UNSUPPORTED[feature]))
        assert fake.visits == 0


async def test_what_became_of_a_message_cannot_be_asked() -> None:
    assert isinstance(SmtpEmail.SETTLE["send"], Unknowable)
    async with post() as (office, fake):
        with pytest.raises(errors.UnsupportedFeatureError):
            await office.ask("status", "call-1@kitchen.test")
        assert fake.visits == 0


# --- Settings -----------------------------------------------------------------------------------------------------


async def test_a_mail_server_takes_no_requests() -> None:
    async with post() as (office, fake):
        with pytest.raises(errors.InvalidArgumentError, match="carries mail"):
            await office.fl.http("relay").request("GET", "/")
        assert fake.visits == 0


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ('provider = "smtp"\nbase_url = "https://mail.test"', "base_url is not a usable URL"),
        ('provider = "themealdb"\nbase_url = "smtp://mail.test"', "base_url is not a usable URL"),
        ('base_url = "smtp://mail.test"', "base_url is not a usable URL"),
        ('provider = "smtp"\nbase_url = "smtp://user:pass@mail.test"', "base_url is not a usable URL"),
        ('provider = "smtp"\nproxy = "http://proxy.test"', "base_url leads to a mail server"),
    ],
)
def test_what_leads_to_the_wrong_kind_of_server_is_refused_at_start(settings: str, problem: str) -> None:
    with pytest.raises(errors.ConfigError, match=problem):
        Fairlead(parse_settings(f"[connections.a]\n{settings}"), source="a.toml", environment={})


# --- The stand-in -------------------------------------------------------------------------------------------------


def use_smtplib(fake: SmtpFake, use: Callable[[smtplib.SMTP], Any]) -> Any:
    trust = ssl.create_default_context(cafile=fake.ca_file)
    with smtplib.SMTP("127.0.0.1", int(fake.url.rpartition(":")[2]), timeout=PATIENCE_S) as client:
        client.starttls(context=trust)
        client.login("fake-user", "fake-password")
        return use(client)


async def test_the_standard_librarys_client_gets_along_with_the_stand_in() -> None:
    text = "Subject: Soup\r\n\r\n.It is\r\n..ready.\r\n"
    async with SmtpFake() as fake:
        refused = await asyncio.to_thread(
            use_smtplib, fake, lambda client: client.sendmail("a@b.test", ["bob@t.test", "unknown@t.test"], text)
        )
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            await asyncio.to_thread(
                use_smtplib, fake, lambda client: client.sendmail("a@b.test", ["full@t.test"], text)
            )
    assert refused == {"unknown@t.test": (550, b"5.1.1 No such user here")}
    (taken,) = fake.sent
    assert (taken.content.decode(), taken.recipients) == (text, ("bob@t.test",))


async def test_the_stand_in_lets_nobody_in_who_has_not_signed_in_secret() -> None:
    def send(fake: SmtpFake) -> list[tuple[int, bytes]]:
        with smtplib.SMTP("127.0.0.1", int(fake.url.rpartition(":")[2]), timeout=PATIENCE_S) as client:
            client.ehlo()
            early = client.mail("a@b.test")
            client.starttls(context=ssl.create_default_context(cafile=fake.ca_file))
            client.ehlo()
            return [early, client.mail("a@b.test"), client.rcpt("b@c.test"), client.docmd("AUTH", "PLAIN !")]

    async with SmtpFake() as fake:
        said = await asyncio.to_thread(send, fake)
    assert [code for code, _ in said] == [530, 530, 503, 501]


async def test_what_the_stand_in_took_is_shown_and_forgotten() -> None:
    async with post() as (office, fake):
        await office.send(letter())
        page = HttpTransport(HttpOptions(base_url=fake.admin_url, allow_private=True))
        shown: Any = await page.exchange(Request.get("/messages"), timeout_s=PATIENCE_S)
        await page.exchange(Request.post("/_fake/reset"), timeout_s=PATIENCE_S)
        await page.close()
    assert [each["recipients"] for each in shown.json()] == [["bob@table.test"]]
    assert fake.sent == []


@pytest.mark.parametrize(
    ("faults", "outcome", "sent"),
    [
        (Faults(error_share=1), Outcome.NOT_DONE, 0),
        (Faults(is_throttled=True), Outcome.NOT_DONE, 0),
        (Faults(is_quota_exhausted=True), Outcome.NOT_DONE, 0),
        (Faults(hang_share=1), Outcome.NOT_DONE, 0),
        (Faults(flap_up_s=0.001, flap_down_s=1e6), Outcome.NOT_DONE, 0),
        (Faults(reset_share=1), Outcome.UNKNOWN, 1),
        (Faults(lost_share=1), Outcome.UNKNOWN, 1),
        (Faults(malformed_share=1), Outcome.UNKNOWN, 1),
        (Faults(wrong_type_share=1), Outcome.UNKNOWN, 1),
    ],
    ids=lambda each: repr(each)[:40] if isinstance(each, Faults) else None,
)
async def test_the_stand_in_has_every_fault(faults: Faults, outcome: Outcome, sent: int) -> None:
    async with post("timeouts = { read_s = 0.2 }") as (office, fake):
        fake.faults = faults
        with pytest.raises(errors.FairleadError) as caught:
            await office.send(letter(), deadline_s=2.0)
    assert caught.value.outcome is outcome
    assert len(fake.sent) == sent
