"""What is sent, what the stand-in answers and what it understood, against AWS's own description of the service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.validate import ParamValidator

from fairlead import errors
from fairlead.capabilities.email import EmailMessage, Taken
from fairlead.capabilities.mailbox import Address
from fairlead.model.call import Ref
from fairlead.model.exchange import Broken, Transport
from fairlead.model.message import Request, Response
from fairlead.providers.ses import PROVIDER
from fairlead.testing.fakes.ses import SesFake
from mailing import ADA, BOB, LOGO, MENU, letter
from ses_stage import ARN, EVE, post, service


def check(shape: Any, value: Any) -> None:
    """Fail unless a value is of a shape of the contract, and has no field that the shape lacks."""
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()
    check_names(shape, value)


def check_names(shape: Any, value: Any) -> None:
    if shape.type_name == "structure":
        assert value.keys() <= shape.members.keys(), value.keys() - shape.members.keys()
        for name, each in value.items():
            check_names(shape.members[name], each)
    elif shape.type_name == "list":
        for each in value:
            check_names(shape.member, each)


def operation_of(request: Request) -> Any:
    """Find a request's operation in the contract."""
    for name in service().operation_names:
        model = service().operation_model(name)
        parts = model.http["requestUri"].split("/")
        asked = request.path.split("/")
        pairs = zip(parts, asked, strict=False)
        is_alike = len(parts) == len(asked) and all(part == other or part.startswith("{") for part, other in pairs)
        if is_alike and model.http["method"] == request.method:
            return model
    raise AssertionError(f"The contract has no {request.method} {request.path}.")


class Watched:
    """A transport that writes down what goes over another one."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.exchanges: list[tuple[Request, Response]] = []

    async def exchange(self, request: Request, *, timeout_s: float) -> Response | Broken:
        found = await self._inner.exchange(request, timeout_s=timeout_s)
        assert isinstance(found, Response)
        self.exchanges.append((request, found))
        return found

    async def close(self) -> None:
        await self._inner.close()

    def disown(self) -> None:
        self._inner.disown()


MESSAGES: Mapping[str, EmailMessage] = {
    "plain": letter(),
    "everything": letter(
        to=(BOB, EVE),
        cc=(Address("cy@table.test"),),
        bcc=(Address("dan@table.test", "Dan"),),
        reply_to=(ADA, BOB),
        html="<b>It is ready ☃</b>",
        attachments=(MENU,),
        headers=(("X-Table", "7"),),
        tags=("soup",),
        metadata={"order": "4711"},
        unsubscribe_url="https://kitchen.test/leave",
        unsubscribe_email="leave@kitchen.test",
        extra={"mine": {"ConfigurationSetName": "main"}},
    ),
    "pictures": letter(html="<img src='cid:logo'>", attachments=(LOGO, MENU), to=(BOB, EVE)),
    "odd header": letter(headers=(("X-Table", "Nº 7"),)),
    "html alone": letter(text=None, html="<p>ü"),
    "template": letter(text=None, template="welcome", variables={"name": "Bob ☃"}, attachments=(LOGO, MENU)),
    "template of a kind": letter(text=None, template=ARN, variables={"name": "B"}),
    "each": letter(
        to=(BOB, EVE),
        text=None,
        template="welcome",
        variables={"name": "you"},
        each={BOB.email: {"name": "Bob"}, EVE.email: {}},
        metadata={"order": "4711"},
        headers=(("X-Table", "7"),),
    ),
    "each without a template": letter(to=(BOB, EVE), each={BOB.email: {}, EVE.email: {}}, html="<b>Hi"),
}


@pytest.mark.parametrize("name", MESSAGES)
async def test_what_is_sent_and_answered_keeps_to_the_contract_and_is_understood(name: str) -> None:
    message = MESSAGES[name]
    async with post() as (office, fake):
        wire = Watched(office.fl.connection("mine").transport)
        office.fl.connection("mine").transport = wire
        receipt = await office.send(message, reference="call-1")
    ((request, answered),) = wire.exchanges
    check(operation_of(request).input_shape, json.loads(request.body))
    check(operation_of(request).output_shape, answered.json())
    check_understood(message, fake, receipt.ref)
    assert [each.email for each in receipt.recipients] == [each.email for each in message.recipients]
    assert {each.taken for each in receipt.recipients} == {Taken.ACCEPTED}


def check_understood(message: EmailMessage, fake: SesFake, ref: Ref) -> None:
    first = fake.sent[0]
    assert ref == Ref("mine", first.id)
    wanted = [(each,) for each in message.to] if message.each else [message.to]
    assert [each.to for each in fake.sent] == [tuple(map(shown, people)) for people in wanted]
    for sent in fake.sent:
        assert (sent.sender, sent.sender_address) == ("Ada <ada@kitchen.test>", ADA.email)
        assert sent.cc == tuple(map(shown, message.cc))
        assert sent.bcc == tuple(map(shown, message.bcc))
        assert sent.reference == "call-1"
        expected = {**message.metadata, "fairlead_call": "call-1", **({"tag": "soup"} if message.tags else {})}
        assert sent.tags == expected
        assert {**dict(message.headers), **dict(message.unsubscribe_headers())}.items() <= sent.headers.items()
        assert [(each.name, each.content, each.content_id) for each in sent.files] == [
            (each.name, each.content, each.content_id)
            for each in sorted(message.attachments, key=lambda each: each.content_id is None)
        ]
        if message.template is None:
            assert sent.subject == message.subject
            assert (sent.text or "").strip() == (message.text or "")
            assert (sent.html or "").strip() == (message.html or "")
    if message.template is not None:
        names = [{**message.variables, **message.each.get(each.email, {})}["name"] for each in message.to]
        assert [each.text for each in fake.sent] == [f"Hello {name}" for name in names][: len(fake.sent)]


def shown(address: Address) -> str:
    quoted = address.name.replace('"', '\\"')
    plain = address.name.isascii() and quoted.replace(" ", "").isalnum()
    name = address.name if plain or not address.name.isascii() else f'"{quoted}"'
    return f"{name} <{address.email}>" if address.name else address.email


@pytest.mark.parametrize(
    "value",
    [{"Content": {"Simple": {}}}, {"Content": {"Simple": {"Subject": {"Data": 1}, "Body": {}}}}, {"Contents": {}}],
)
def test_the_contract_would_notice(value: Any) -> None:
    with pytest.raises(AssertionError):
        check(service().operation_model("SendEmail").input_shape, value)


async def test_probe_and_status_keep_to_the_contract() -> None:
    async with post() as (office, fake):
        receipt = await office.send(letter(), reference="call-1")
        (sent,) = fake.sent
        for kind in ("Delivery", "DeliveryDelay", "Open", "Rendering Failure"):
            fake.notice(kind, sent, BOB.email)
        response: Response = await office.fl.http("mine").request("GET", f"/v2/email/insights/{sent.id}/")
        status = await office.ask("status", receipt.ref.id)
        account: Response = await office.fl.http("mine").request("GET", "/v2/email/account")
    check(service().operation_model("GetMessageInsights").output_shape, response.json())
    check(service().operation_model("GetAccount").output_shape, account.json())
    assert status.ref == receipt.ref
    assert status.events == ("email.delivered", "email.deferred", "email.opened", "email.dropped")
    assert PROVIDER.probe is not None
    assert next(PROVIDER.probe()).path == operation_path("GetAccount")


def operation_path(name: str) -> str:
    return str(service().operation_model(name).http["requestUri"])


async def test_the_status_is_known_after_a_while_and_of_nothing_else() -> None:
    async with post(visible_after_s=60.0) as (office, fake):
        receipt = await office.send(letter())
        with pytest.raises(errors.NotFoundError):
            await office.ask("status", receipt.ref.id)
        fake.visible_after_s = 0.0
        assert (await office.ask("status", receipt.ref.id)).events == ()
        with pytest.raises(errors.NotFoundError):
            await office.ask("status", "no such message")
