"""Amazon SES: our adapter at a server of AWS's services that looks at signatures, AWS's own client at our stand-in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients.gateway import gateway
from fairlead import errors
from fairlead.model.outcome import Outcome
from fairlead.testing.fakes.ses import SesFake
from fairlead.testing.faults import Faults
from mailing import LOGO, MENU, Office, letter
from moto_server import REGION, Aws, client_of, run_moto

KEY = "gateway-key-8731"
ID, SECRET = SesFake.CREDENTIALS["access_key_id"], SesFake.CREDENTIALS["secret_access_key"]


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with run_moto() as running:
        with running.client("sesv2") as ses:
            ses.create_email_identity(EmailIdentity="ada@kitchen.test")
        yield running


def settings(url: str, more: str = "") -> str:
    return f"""
[connections.mine]
provider = "ses"
base_url = "{url}"
allow_private = true
rate = {{ requests = 100000 }}
{more}
[connections.mine.credentials]
access_key_id = "env:ID"
secret_access_key = "env:SECRET"
region = "{REGION}"
"""


def sent_so_far(aws: Aws) -> float:
    with aws.client("ses") as ses:
        return float(ses.get_send_quota()["SentLast24Hours"])


# --- Our adapter, somebody else's server --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"html": "<b>☃</b>", "metadata": {"order": "4711"}, "headers": (("X-Table", "7"),)},
        {"html": "<img src='cid:logo'>", "attachments": (LOGO, MENU)},
    ],
    ids=["simple", "more", "raw"],
)
async def test_a_server_that_looks_at_signatures_takes_our_messages(aws: Aws, fields: dict[str, Any]) -> None:
    before = sent_so_far(aws)
    environment = {"ID": aws.access_key_id, "SECRET": aws.secret_access_key}
    async with Office(settings(aws.url), environment) as office:
        receipt = await office.send(letter(**fields), reference="call-1")
    assert receipt.ref.id
    assert await asyncio.to_thread(sent_so_far, aws) > before  # it counts recipients of raw messages twice


@pytest.mark.parametrize("wrong", [{"SECRET": "wrong"}, {"ID": "AKIAWRONG"}], ids=str)
async def test_it_takes_none_that_somebody_else_signed(aws: Aws, wrong: dict[str, str]) -> None:
    before = sent_so_far(aws)
    environment = {"ID": aws.access_key_id, "SECRET": aws.secret_access_key, **wrong}
    async with Office(settings(aws.url), environment) as office:
        with pytest.raises(errors.AuthenticationError) as caught:
            await office.send(letter())
    assert caught.value.outcome is Outcome.NOT_DONE
    assert await asyncio.to_thread(sent_so_far, aws) == before


# --- Their client, our stand-in -----------------------------------------------------------------------------------

SIMPLE = {
    "FromEmailAddress": "ada@kitchen.test",
    "Destination": {"ToAddresses": ["bob@table.test"], "BccAddresses": ["dan@table.test"]},
    "Content": {"Simple": {"Subject": {"Data": "Soup ☃"}, "Body": {"Text": {"Data": "It is ready."}}}},
    "EmailTags": [{"Name": "fairlead_call", "Value": "call-1"}],
}


def use(ses: Any) -> dict[str, Any]:
    """Use all that the stand-in has."""
    first = ses.send_email(**SIMPLE)["MessageId"]
    raw = b"From: ada@kitchen.test\r\nTo: bob@table.test\r\nSubject: Raw\r\n\r\nIt is ready.\r\n"
    ses.send_email(Destination={"ToAddresses": ["bob@table.test"]}, FromEmailAddress="ada@kitchen.test",
                   Content={"Raw": {"Data": raw}})  # fmt: skip
    ses.create_email_template(
        TemplateName="hello", TemplateContent={"Subject": "Hi {{name}}", "Text": "Hello {{name}}"}
    )
    bulk = ses.send_bulk_email(
        FromEmailAddress="ada@kitchen.test",
        DefaultContent={"Template": {"TemplateName": "hello", "TemplateData": '{"name": "you"}'}},
        BulkEmailEntries=[
            {"Destination": {"ToAddresses": ["bob@table.test"]}},
            {
                "Destination": {"ToAddresses": ["eve@table.test"]},
                "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": '{"name": "Eve"}'}},
            },
        ],
    )["BulkEmailEntryResults"]
    ses.put_suppressed_destination(EmailAddress="eve@table.test", Reason="BOUNCE")
    with pytest.raises(ses.exceptions.NotFoundException):
        ses.send_email(**{**SIMPLE, "ConfigurationSetName": "nothing"})
    with pytest.raises(ses.exceptions.AlreadyExistsException):
        ses.create_email_template(TemplateName="hello", TemplateContent={"Subject": "Hi"})
    with pytest.raises(ses.exceptions.NotFoundException):
        ses.get_message_insights(MessageId="nothing")
    return {
        "bulk": [each["Status"] for each in bulk],
        "account": ses.get_account()["SendQuota"],
        "insights": ses.get_message_insights(MessageId=first),
    }


def check(seen: dict[str, Any], fake: SesFake) -> None:
    assert seen["bulk"] == ["SUCCESS", "SUCCESS"]
    assert seen["account"]["SentLast24Hours"] == 4.0
    assert [each["Destination"] for each in seen["insights"]["Insights"]] == ["bob@table.test", "dan@table.test"]
    assert seen["insights"]["EmailTags"] == SIMPLE["EmailTags"]
    assert [each.subject for each in fake.sent] == ["Soup ☃", "Raw", "Hi you", "Hi Eve"]
    assert fake.sent[0].recipients == ("bob@table.test", "dan@table.test")
    assert fake.suppressed == {"eve@table.test"}


async def test_awss_own_client_gets_along_with_the_stand_in() -> None:
    async with SesFake() as fake:

        def run() -> dict[str, Any]:
            with client_of("sesv2", fake.url, ID, SECRET) as ses:
                return use(ses)

        check(await asyncio.to_thread(run), fake)


async def test_awss_own_client_gets_along_through_the_gateway() -> None:
    """It knows a key of the gateway's alone: the gateway signs anew."""
    async with (
        SesFake() as fake,
        gateway(settings(fake.url), key=KEY, environment={"ID": ID, "SECRET": SECRET}) as url,
    ):

        def run() -> dict[str, Any]:
            with client_of("sesv2", f"{url}/mine", "fairlead", KEY) as ses:
                return use(ses)

        check(await asyncio.to_thread(run), fake)


@pytest.mark.parametrize(
    ("identity", "secret", "code"),
    [(ID, "wrong", "InvalidSignatureException"), ("AKIAWRONG", SECRET, "UnrecognizedClientException")],
)
async def test_the_stand_in_looks_at_signatures(identity: str, secret: str, code: str) -> None:
    async with SesFake() as fake:

        def run() -> None:
            with client_of("sesv2", fake.url, identity, secret) as ses:
                ses.send_email(**SIMPLE)

        with pytest.raises(ClientError) as refused:
            await asyncio.to_thread(run)
    assert refused.value.response["Error"]["Code"] == code
    assert fake.sent == []


@pytest.mark.parametrize(
    ("setup", "code"),
    [
        ({"identities": ["other.test"]}, "MessageRejected"),
        ({"faults": Faults(is_throttled=True)}, "TooManyRequestsException"),
        ({"faults": Faults(error_share=1, error_status=503)}, "ServiceUnavailable"),
    ],
)
async def test_awss_own_client_reads_the_stand_ins_errors(setup: dict[str, Any], code: str) -> None:
    async with SesFake(**setup) as fake:

        def run() -> None:
            with client_of("sesv2", fake.url, ID, SECRET) as ses:
                ses.send_email(**SIMPLE)

        with pytest.raises(ClientError) as refused:
            await asyncio.to_thread(run)
    assert refused.value.response["Error"]["Code"] == code
    assert fake.sent == []
