"""An SES of our own with a connection to it, and AWS's own description of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import botocore.session

from fairlead.capabilities.mailbox import Address
from fairlead.providers.ses.email import SesEmail
from fairlead.testing.fakes.ses import SesFake
from mailing import Office

ARN = "arn:aws:ses:eu-west-1:123456789012:template/welcome"
ENVIRONMENT = {"SECRET": "fake-secret"}
EVE = Address("eve@table.test", 'Ève, the "guest"')


def connection(name: str, url: str, more: str = "") -> str:
    return f"""
[connections.{name}]
provider = "ses"
base_url = "{url}"
allow_private = true
retry = {{ base_s = 0.01 }}
rate = {{ requests = 100000 }}
{more}
[connections.{name}.credentials]
access_key_id = "AKIAFAKEFAKEFAKEFAKE"
secret_access_key = "env:SECRET"
region = "eu-west-1"
"""


@asynccontextmanager
async def post(more: str = "", **settings: Any) -> AsyncIterator[tuple[Office, SesFake]]:
    async with SesFake(**settings) as fake, Office(connection("mine", fake.url, more), ENVIRONMENT) as office:
        yield office, fake


def email(reference: str = "") -> SesEmail:
    made = SesEmail("mine")
    made.reference = reference
    return made


@cache
def service() -> Any:
    return botocore.session.get_session().get_service_model("sesv2")
