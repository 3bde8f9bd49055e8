"""Mail: how it is handed over, over which connections, and how far it got when the server is gone."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from fairlead.model.exchange import Broken
from fairlead.model.mail import Mail
from fairlead.model.message import Response
from fairlead.model.outcome import Failure, Outcome, Phase
from fairlead.testing.fakes.smtp import SmtpFake
from fairlead.testing.faults import Faults
from fairlead.testing.mail_visit import Step, Then, Trouble
from fairlead.transport.http import HttpOptions
from fairlead.transport.mail import MailTransport
from mail_stages import BODY, LOGIN, PLAIN, answer_of, mail, outcome_of, post, send, until
from raw_server import Peer, serve
from stages import PATIENCE_S, SHORT_S


@pytest.fixture(params=["asyncio", pytest.param("uvloop", marks=pytest.mark.uvloop)], autouse=True)
def _in_either_event_loop() -> None:
    """Run each test in asyncio's own, and in that of the gateway."""


# --- A message that goes well -------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_tls_first", [False, True])
@pytest.mark.parametrize("ways_in", [("PLAIN", "LOGIN"), ("LOGIN",), ("CRAM-MD5", "PLAIN")])
async def test_a_message_is_handed_over_in_secret(is_tls_first: bool, ways_in: tuple[str, ...]) -> None:
    async with SmtpFake(is_tls_first=is_tls_first) as fake:
        fake.ways_in = ways_in
        ending = await send(fake, mail("bob@table.test", "eve@table.test"))
    assert isinstance(ending, Response)
    assert ending.status == 250
    (taken,) = fake.sent
    assert (taken.sender, taken.recipients) == ("ada@kitchen.test", ("bob@table.test", "eve@table.test"))
    assert (taken.user, taken.is_secret) == ("fake-user", True)
    head = b"Date: Fri, 02 Jan 1970 00:00:00 -0000\r\nMessage-ID: <call-1@kitchen.test>\r\n"
    assert taken.content == head + BODY
    assert answer_of(ending).message_id == "call-1@kitchen.test"


async def test_a_message_without_a_name_is_given_one() -> None:
    async with SmtpFake() as fake:
        ending = await send(fake, mail(message_id=None))
    assert answer_of(ending).message_id == "id-1@kitchen.test"
    assert b"\r\nMessage-ID: <id-1@kitchen.test>\r\n" in fake.sent[0].content


@pytest.mark.parametrize(
    ("body", "arrives"),
    [
        (b"A: b\r\n\r\n.\r\n..\r\nx\r\n", b"A: b\r\n\r\n.\r\n..\r\nx\r\n"),
        (b"A: b\n\nno end", b"A: b\r\n\r\nno end\r\n"),
        # What some servers take for the end, with a second message of a stranger's behind it.
        (b"A: b\r\n\r\nx\n.\nMAIL FROM:<a@b.c>\r\n", b"A: b\r\n\r\nx\r\n.\r\nMAIL FROM:<a@b.c>\r\n"),
        (b"A: b\r\n\r\nx\r.\rMAIL", b"A: b\r\n\r\nx\r\n.\r\nMAIL\r\n"),
        (b"A: b\r\n\r\n" + b"x" * 70 + b"\r\n" * 100_000, b"A: b\r\n\r\n" + b"x" * 70 + b"\r\n" * 100_000),
    ],
    ids=["dots", "bare LF", "smuggled by LF", "smuggled by CR", "long"],
)
async def test_a_message_arrives_as_it_was(body: bytes, arrives: bytes) -> None:
    async with SmtpFake() as fake:
        await send(fake, mail(body=body))
    (taken,) = fake.sent
    assert taken.content.partition(b"kitchen.test>\r\n")[2] == arrives


async def test_what_some_recipients_are_refused_is_data() -> None:
    async with SmtpFake() as fake:
        ending = await send(fake, mail("bob@table.test", "unknown@table.test", "full@table.test"))
    assert isinstance(ending, Response)
    assert ending.status == 250
    assert fake.sent[0].recipients == ("bob@table.test",)
    assert {each: str(reply) for each, reply in answer_of(ending).recipients.items()} == {
        "bob@table.test": "250 2.1.5 Fine",
        "unknown@table.test": "550 5.1.1 No such user here",
        "full@table.test": "452 4.2.2 The mailbox is full",
    }


@pytest.mark.parametrize(
    ("recipients", "status", "enhanced"),
    [
        (("unknown@t.test",), 550, "5.1.1"),
        (("unknown@t.test", "full@t.test"), 452, "4.2.2"),
        (("greylisted@t.test", "forbidden@t.test"), 451, "4.7.1"),
    ],
)
async def test_where_all_are_refused_nothing_is_sent_and_a_passing_reason_counts(
    recipients: tuple[str, ...], status: int, enhanced: str
) -> None:
    async with SmtpFake() as fake:
        ending = await send(fake, mail(*recipients))
    assert isinstance(ending, Response)
    assert (ending.status, answer_of(ending).enhanced, answer_of(ending).step) == (status, enhanced, "rcpt")
    assert set(answer_of(ending).recipients) == set(recipients)
    assert fake.sent == []


# --- Connections --------------------------------------------------------------------------------------------------


async def test_a_connection_serves_one_message_after_the_other() -> None:
    async with SmtpFake() as fake, post(fake) as transport:
        for _ in range(3):
            assert isinstance(await transport.exchange(mail(), timeout_s=PATIENCE_S), Response)
        assert isinstance(await transport.exchange(mail("unknown@t.test"), timeout_s=PATIENCE_S), Response)
        assert isinstance(await transport.exchange(mail(), timeout_s=PATIENCE_S), Response)
        assert (fake.visits, len(fake.sent)) == (1, 4)


async def test_several_messages_at_once_have_a_connection_each_and_few_are_kept() -> None:
    async with SmtpFake() as fake, post(fake, pool=8) as transport:
        endings = await asyncio.gather(*(transport.exchange(mail(), timeout_s=PATIENCE_S) for _ in range(20)))
        assert all(isinstance(each, Response) for each in endings)
        assert (len(fake.sent), fake.visits <= 20) == (20, True)
        assert len(transport._idle) <= 4
        assert transport._places._value == 8


async def test_a_kept_connection_that_died_is_replaced_before_anything_is_sent() -> None:
    async with SmtpFake() as fake, post(fake) as transport:
        await transport.exchange(mail(), timeout_s=PATIENCE_S)
        fake.troubles[Step.RSET] = Trouble(then=Then.HANG_UP)
        assert isinstance(await transport.exchange(mail(), timeout_s=PATIENCE_S), Response)
        assert (fake.visits, len(fake.sent)) == (2, 2)


async def test_other_credentials_have_another_connection() -> None:
    async with SmtpFake() as fake, post(fake) as transport:
        assert isinstance(await transport.exchange(mail(), timeout_s=PATIENCE_S), Response)
        ending = await transport.exchange(mail(headers=()), timeout_s=PATIENCE_S)
        assert isinstance(ending, Response)
        assert (ending.status, answer_of(ending).enhanced) == (530, "5.7.0")
        assert fake.visits == 2


async def test_a_server_that_says_goodbye_is_not_asked_again() -> None:
    async with SmtpFake() as fake, post(fake) as transport:
        fake.troubles[Step.MAIL] = Trouble(reply="421 4.3.2 Closing for today", then=Then.HANG_UP)
        ending = await transport.exchange(mail(), timeout_s=PATIENCE_S)
        assert isinstance(ending, Response)
        assert ending.status == 421
        fake.troubles.clear()
        assert isinstance(await transport.exchange(mail(), timeout_s=PATIENCE_S), Response)
        assert fake.visits == 2


async def test_a_closed_transport_may_be_used_again() -> None:
    async with SmtpFake() as fake, post(fake) as transport:
        await transport.exchange(mail(), timeout_s=PATIENCE_S)
        await transport.close()
        assert isinstance(await transport.exchange(mail(), timeout_s=PATIENCE_S), Response)


async def test_a_knock_signs_in_and_sends_nothing() -> None:
    knock = msgspec.structs.replace(Mail.knock(), headers=LOGIN)
    async with SmtpFake() as fake:
        good = await send(fake, knock)
        bad = await send(fake, msgspec.structs.replace(knock, headers=(LOGIN[0], ("password", "wrong"))))
    assert isinstance(good, Response)
    assert isinstance(bad, Response)
    assert (good.status, bad.status, fake.sent) == (250, 535, [])


# --- How far it got -----------------------------------------------------------------------------------------------

BEFORE = [each for each in Step if each not in {Step.DOT, Step.RSET, Step.NOOP}]


@pytest.mark.parametrize("step", BEFORE)
async def test_who_hangs_up_before_the_dot_has_taken_nothing(step: Step) -> None:
    async with SmtpFake() as fake:
        fake.troubles[step] = Trouble(then=Then.HANG_UP)
        ending = await send(fake, mail(body=BODY * 500_000))
    assert isinstance(ending, Broken)
    assert (ending.failure, outcome_of(ending)) == (Failure.RESET, Outcome.NOT_DONE)
    assert not ending.phase.was_sent
    assert fake.sent == []


@pytest.mark.parametrize("step", [each for each in BEFORE if each is not Step.CONTENT])
async def test_who_says_nothing_before_the_dot_has_taken_nothing(step: Step) -> None:
    async with SmtpFake() as fake:
        fake.troubles[step] = Trouble(then=Then.HANG)
        ending = await send(fake, mail(), read_s=SHORT_S)
    assert isinstance(ending, Broken)
    assert (ending.failure, outcome_of(ending)) == (Failure.TIMEOUT, Outcome.NOT_DONE)
    assert fake.sent == []


async def test_a_server_that_stops_reading_a_long_message_has_taken_nothing() -> None:
    async def stop(peer: Peer) -> None:
        await peer.send(b"220 x\r\n")
        for reply in (b"250 x\r\n", b"250 fine\r\n", b"250 fine\r\n", b"354 go on\r\n"):
            await peer.read_some()
            await peer.send(reply)
        await peer.stay_deaf()

    async with serve(stop) as server:
        wanted = HttpOptions(base_url=server.url("smtp"), allow_private=True, tls=PLAIN, read_s=0.2)
        transport = MailTransport(wanted)
        ending = await transport.exchange(mail(body=b"x" * 30_000_000, headers=()), timeout_s=PATIENCE_S)
        await transport.close()
    assert isinstance(ending, Broken)
    assert (ending.failure, outcome_of(ending)) == (Failure.TIMEOUT, Outcome.NOT_DONE)


@pytest.mark.parametrize(("then", "failure"), [(Then.HANG_UP, Failure.RESET), (Then.HANG, Failure.TIMEOUT)])
async def test_after_the_dot_nobody_knows(then: Then, failure: Failure) -> None:
    async with SmtpFake() as fake:
        fake.troubles[Step.DOT] = Trouble(then=then)
        ending = await send(fake, mail(), timeout_s=0.5)
    assert isinstance(ending, Broken)
    assert (ending.failure, ending.phase, outcome_of(ending)) == (failure, Phase.WAITING, Outcome.UNKNOWN)
    assert len(fake.sent) == 1


async def test_the_reply_to_the_dot_has_all_the_time_that_is_left() -> None:
    async with SmtpFake(faults=Faults(latency_s=4 * SHORT_S)) as fake:
        ending = await send(fake, mail(), read_s=SHORT_S, connect_s=PATIENCE_S)
    assert isinstance(ending, Broken | Response)
    if isinstance(ending, Response):  # a busy machine may be late at an earlier step
        assert ending.status == 250
    else:
        assert not ending.phase.was_sent


@pytest.mark.parametrize("reply", ["<!doctype html>", "999 what", "354 go on"])
async def test_nonsense_after_the_dot_is_no_answer(reply: str) -> None:
    async with SmtpFake() as fake:
        fake.troubles[Step.DOT] = Trouble(reply=reply)
        ending = await send(fake, mail())
    assert outcome_of(ending) is Outcome.UNKNOWN


@pytest.mark.parametrize("step", [Step.GREETING, Step.EHLO, Step.MAIL, Step.DATA])
async def test_nonsense_before_the_dot_is_no_harm(step: Step) -> None:
    async with SmtpFake() as fake:
        fake.troubles[step] = Trouble(reply="HTTP/1.1 400 Bad Request")
        ending = await send(fake, mail())
    assert outcome_of(ending) is Outcome.NOT_DONE


@pytest.mark.parametrize("step", [each for each in BEFORE if each is not Step.CONTENT] + [Step.DOT])
@pytest.mark.parametrize(("reply", "status"), [("451 4.3.0 Later", 451), ("554 5.7.1 Never", 554), ("471 Odd", 451)])
async def test_a_refusal_is_an_answer_at_every_step(step: Step, reply: str, status: int) -> None:
    async with SmtpFake() as fake:
        fake.troubles[step] = Trouble(reply=reply)
        ending = await send(fake, mail())
    assert isinstance(ending, Response)
    assert (ending.status, answer_of(ending).step) == (status, step.value)
    assert answer_of(ending).text == reply[4:]
    assert fake.sent == []


async def test_cancelling_closes_the_socket_and_gives_the_place_back() -> None:
    async with SmtpFake() as fake, post(fake, pool=1) as transport:
        fake.troubles[Step.DATA] = Trouble(then=Then.HANG)
        task = asyncio.create_task(transport.exchange(mail(), timeout_s=PATIENCE_S))
        await until(lambda: fake.books.operations.get("mail") == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not fake.connections)
        fake.troubles.clear()
        assert isinstance(await transport.exchange(mail(), timeout_s=PATIENCE_S), Response)
