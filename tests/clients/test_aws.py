"""AWS's own client through the gateway, in front of a server that looks at signatures."""

from __future__ import annotations

import asyncio
import hashlib
import io
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from clients.gateway import gateway
from gateway.proxied import KEY, proxied
from moto_server import BUCKET, REGION, Aws, client_of, run_moto
from raw_server import Peer, reply
from stages import http

MB = 1024 * 1024
#: More than the gateway keeps, in parts of which S3 takes none below 5 MB but the last.
LARGE = bytes(range(256)) * 4096 * 11
Use = Callable[[Any], Any]


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with run_moto() as running:
        yield running


def signed(service: str, access_key_id: str, secret: str) -> str:
    return f"""
auth = {{ scheme = "sigv4", service = "{service}", region = "{REGION}" }}
credentials = {{ access_key_id = "env:{access_key_id}", secret_access_key = "env:{secret}" }}
"""


async def through(aws: Aws, client: str, signing_name: str, use: Use, *, secret: str = KEY) -> Any:
    """Use AWS's client, which knows a key of the gateway's alone."""
    settings = f"""
[connections.aws]
base_url = "{aws.url}"
allow_private = true
{signed(signing_name, "ID", "SECRET")}
"""
    environment = {"ID": aws.access_key_id, "SECRET": aws.secret_access_key}
    async with gateway(settings, key=KEY, environment=environment) as url:

        def run() -> Any:
            with client_of(client, f"{url}/aws", "fairlead", secret) as made:
                return use(made)

        return await asyncio.to_thread(run)


def put_and_get(s3: Any) -> None:
    key, body = "soups/of the dåy + (1)~.txt", "what is inside, ☃".encode()
    put = s3.put_object(Bucket=BUCKET, Key=key, Body=body, ContentType="text/plain", Metadata={"a": "b c"})
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'  # noqa: S324  # what S3 calls an ETag
    got = s3.get_object(Bucket=BUCKET, Key=key)
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (body, "text/plain", {"a": "b c"})
    part = s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=5-6")
    assert (part["Body"].read(), part["ContentRange"]) == (b"is", f"bytes 5-6/{len(body)}")
    assert s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"] == len(body)
    s3.delete_object(Bucket=BUCKET, Key=key)
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=BUCKET, Key=key)


async def test_objects_are_put_got_and_deleted(aws: Aws) -> None:
    await through(aws, "s3", "s3", put_and_get)


async def test_lists_page_themselves(aws: Aws) -> None:
    def page(s3: Any) -> list[str]:
        for number in range(5):
            s3.put_object(Bucket=BUCKET, Key=f"list of/{number} + ü", Body=b"")
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix="list of/", PaginationConfig={"PageSize": 2}
        )
        return [each["Key"] for page in pages for each in page["Contents"]]

    assert await through(aws, "s3", "s3", page) == [f"list of/{number} + ü" for number in range(5)]


async def test_a_large_object_goes_in_parts_and_comes_in_ranges(aws: Aws) -> None:
    def transfer(s3: Any) -> bytes:
        parts = TransferConfig(multipart_threshold=5 * MB, multipart_chunksize=5 * MB, max_concurrency=2)
        s3.upload_fileobj(io.BytesIO(LARGE), BUCKET, "large", Config=parts)
        assert s3.head_object(Bucket=BUCKET, Key="large")["ETag"].endswith('-3"')
        target = io.BytesIO()
        s3.download_fileobj(BUCKET, "large", target, Config=parts)
        return target.getvalue()

    assert await through(aws, "s3", "s3", transfer) == LARGE


async def test_whoever_is_given_a_presigned_link_may_read(aws: Aws) -> None:
    def fetch(s3: Any) -> bytes:
        s3.put_object(Bucket=BUCKET, Key="a gift", Body=b"for you")
        link = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "a gift"}, ExpiresIn=60)
        with _open(link) as answer:
            content: bytes = answer.read()
        with pytest.raises(urllib.error.HTTPError) as refused:
            _open(link.replace("gift", "secret"))
        with refused.value as answer:
            assert (answer.status, answer.headers["fairlead-error"]) == (403, "signature")
        return content

    assert await through(aws, "s3", "s3", fetch) == b"for you"


def _open(link: str) -> Any:
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return straight.open(link, timeout=10)


async def test_mail_is_sent(aws: Aws) -> None:
    def send(ses: Any) -> str:
        ses.create_email_identity(EmailIdentity="cook@kitchen.test")
        content = {"Simple": {"Subject": {"Data": "Soup ☃"}, "Body": {"Text": {"Data": "It is ready."}}}}
        sent = ses.send_email(
            FromEmailAddress="cook@kitchen.test", Destination={"ToAddresses": ["guest@table.test"]}, Content=content
        )
        return str(sent["MessageId"])

    assert await through(aws, "sesv2", "ses", send)


# --- Refused before the vendor hears of it ------------------------------------------------------------------------


def changed(s3: Any) -> Any:
    """Send another body than was signed, of the same length."""

    def swap(request: Any, **_: Any) -> None:
        request.body = b"poison"

    s3.meta.events.register("before-send.s3", swap)
    return s3.put_object(Bucket=BUCKET, Key="a", Body=b"dinner")


@pytest.mark.parametrize(
    ("secret", "use"),
    [
        ("wrong", lambda s3: s3.put_object(Bucket=BUCKET, Key="a", Body=b"b")),
        ("wrong", lambda s3: s3.get_object(Bucket=BUCKET, Key="a")),
        (KEY, changed),
    ],
    ids=["a wrong secret", "a wrong secret that reads", "another body"],
)
async def test_what_was_not_signed_with_our_key_is_refused_here(secret: str, use: Use) -> None:
    async with proxied(reply(http(200, b"")), signed("s3", "VENDOR", "VENDOR"), path="") as all_:

        def run() -> Any:
            with client_of("s3", f"http://127.0.0.1:{all_.port}/proxy/shop", "fairlead", secret) as s3:
                return use(s3)

        with pytest.raises(ClientError) as refused:
            await asyncio.to_thread(run)
    answer = refused.value.response["ResponseMetadata"]
    assert answer["HTTPStatusCode"] == 403
    assert answer["HTTPHeaders"]["fairlead-error"] == "signature"
    assert answer["HTTPHeaders"]["content-type"] == "application/problem+json"
    assert not all_.vendor.requests
    assert not all_.vendor.connections


async def test_a_long_body_that_was_not_signed_is_never_whole_at_the_vendor() -> None:
    got = b""

    async def hear(peer: Peer) -> None:
        nonlocal got
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        while data := await peer.read():
            got += data

    async with proxied(hear, signed("s3", "VENDOR", "VENDOR"), path="", gateway="replay_bytes = 3") as all_:

        def run() -> Any:
            with client_of("s3", f"http://127.0.0.1:{all_.port}/proxy/shop", "fairlead", KEY) as s3:
                return changed(s3)

        with pytest.raises(ClientError) as refused:
            await asyncio.to_thread(run)
    answer = refused.value.response["ResponseMetadata"]
    assert (answer["HTTPStatusCode"], answer["HTTPHeaders"]["fairlead-error"]) == (403, "signature")
    assert b"poison" not in got
