"""Stages for mail: a message, the transport that carries it, and what is known of it afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from fairlead.model.exchange import Broken
from fairlead.model.mail import Mail, MailAnswer
from fairlead.model.message import Response
from fairlead.model.outcome import Effect, Outcome
from fairlead.spec.outcomes import classify
from fairlead.testing.fakes.smtp import SmtpFake
from fairlead.transport.http import HttpOptions
from fairlead.transport.mail import MailTransport
from fairlead.transport.tls import TlsOptions
from stages import PATIENCE_S

LOGIN = (("user", "fake-user"), ("password", "fake-password"))
BODY = b"Subject: Soup\r\n\r\nIt is ready.\r\n"
PLAIN = TlsOptions(plain_on_loopback=True)


def mail(*recipients: str, body: bytes = BODY, headers: Any = LOGIN, **fields: Any) -> Mail:
    made = Mail.build("ada@kitchen.test", recipients or ("bob@table.test",), body, message_id="call-1@kitchen.test")
    return msgspec.structs.replace(made, headers=headers, **fields)


def options_for(fake: SmtpFake, **changes: Any) -> HttpOptions:
    usual = HttpOptions(base_url=fake.url, allow_private=True, ca_file=fake.ca_file)
    return msgspec.structs.replace(usual, **changes)


@asynccontextmanager
async def post(fake: SmtpFake, **changes: Any) -> AsyncIterator[MailTransport]:
    transport = MailTransport(options_for(fake, **changes), wall=lambda: 86_400.0, ids=lambda: "id-1")
    try:
        yield transport
    finally:
        await transport.close()


async def send(fake: SmtpFake, wanted: Mail, *, timeout_s: float = PATIENCE_S, **changes: Any) -> Response | Broken:
    async with post(fake, **changes) as transport:
        return await transport.exchange(wanted, timeout_s=timeout_s)


def outcome_of(ending: Response | Broken) -> Outcome:
    assert isinstance(ending, Broken)
    return classify(ending.failure, phase=ending.phase, effect=Effect.ONCE).outcome


def answer_of(ending: Response | Broken) -> MailAnswer:
    assert isinstance(ending, Response), ending
    return MailAnswer.of(ending)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110  # turns of the loop, not time
            await asyncio.sleep(0)
