"""AWS Signature Version 4 over real sockets: to a server that looks at signatures, and from AWS's own client."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from fairlead import Fairlead, errors
from fairlead.auth.sigv4 import Verified, verify_v4
from fairlead.config.read import parse_settings
from fairlead.model.secret import Secret
from moto_server import BUCKET, REGION, Aws, client_of, run_moto
from raw_server import Peer, RawServer, serve

KEY = "object of üse/☃ + (1)~.txt"
BODY = "what is inside, ☃".encode()
GATEWAY_KEY = "canary-gateway-key"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with run_moto() as running:
        yield running


def connect(aws: Aws, service: str, **change: str) -> Fairlead:
    environment = {"ID": aws.access_key_id, "SECRET": aws.secret_access_key, **change}
    text = f"""
[connections.aws]
base_url = "{aws.url}"
allow_private = true
auth = {{ scheme = "sigv4", service = "{service}", region = "{REGION}" }}
credentials = {{ access_key_id = "env:ID", secret_access_key = "env:SECRET" }}
"""
    return Fairlead(parse_settings(text), environment=environment)


# --- To a server that looks at signatures -------------------------------------------------------------------------


async def test_an_object_is_put_got_and_listed_under_whatever_key(aws: Aws) -> None:
    path = f"/{BUCKET}/{quote(KEY)}"
    async with connect(aws, "s3") as fl:
        s3 = fl.http("aws")
        put = await s3.request("PUT", path, body=BODY, headers={"content-type": "text/plain", "x-amz-meta-a": "b  c"})
        assert put.headers["etag"] == f'"{hashlib.md5(BODY).hexdigest()}"'  # noqa: S324  # what S3 calls an ETag
        assert (await s3.get(path)).body == BODY
        assert (await s3.get(path, headers={"range": "bytes=0-3"})).body == b"what"
        listed = await s3.get(f"/{BUCKET}", query={"list-type": "2", "prefix": "object of üse/☃ +", "max-keys": 5})
        assert KEY in listed.text
        unlisted = await s3.get(f"/{BUCKET}", query={"list-type": "2", "prefix": "object of use/"})
        assert KEY not in unlisted.text
    with aws.client("s3") as theirs:
        found = theirs.get_object(Bucket=BUCKET, Key=KEY)
        assert (found["Body"].read(), found["ContentType"], found["Metadata"]) == (BODY, "text/plain", {"a": "b  c"})


async def test_a_body_may_go_unsigned(aws: Aws) -> None:
    headers = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    async with connect(aws, "s3") as fl:
        await fl.http("aws").request("PUT", f"/{BUCKET}/unsigned", body=BODY, headers=headers)
        assert (await fl.http("aws").get(f"/{BUCKET}/unsigned")).body == BODY


async def test_mail_is_sent_as_json(aws: Aws) -> None:
    async with connect(aws, "ses") as fl:
        ses = fl.http("aws")
        await ses.post("/v2/email/identities", json={"EmailIdentity": "cook@kitchen.test"})
        mail = {
            "FromEmailAddress": "cook@kitchen.test",
            "Destination": {"ToAddresses": ["guest@table.test"]},
            "Content": {"Simple": {"Subject": {"Data": "Soup ☃"}, "Body": {"Text": {"Data": "It is ready."}}}},
        }
        assert (await ses.post("/v2/email/outbound-emails", json=mail)).json()["MessageId"]


async def test_a_form_is_posted_to_a_query_service(aws: Aws) -> None:
    async with connect(aws, "sns") as fl:
        answer = await fl.http("aws").post("/", body=b"Action=CreateTopic&Version=2010-03-31&Name=menu", headers=FORM)
        assert f"arn:aws:sns:{REGION}:" in answer.text


@pytest.mark.parametrize(
    ("service", "method", "path", "wanted"),
    [
        ("s3", "GET", f"/{BUCKET}", {"query": {"list-type": 2}}),
        ("ses", "POST", "/v2/email/identities", {"json": {"EmailIdentity": "chef@kitchen.test"}}),
        ("sns", "POST", "/", {"body": b"Action=ListTopics&Version=2010-03-31", "headers": FORM}),
    ],
)
async def test_another_secret_is_refused(aws: Aws, service: str, method: str, path: str, wanted: Any) -> None:
    async with connect(aws, service, SECRET="canary-of-another") as fl:
        with pytest.raises(errors.ForbiddenError) as caught:
            await fl.http("aws").request(method, path, **wanted)
    assert "canary" not in str(caught.value)
    async with connect(aws, service) as fl:
        assert (await fl.http("aws").request(method, path, **wanted)).status == 200


# --- What comes off the wire verifies -----------------------------------------------------------------------------


ANSWERS = {
    b"s3": b"<Any/>",
    b"sns": b"<PublishResponse><PublishResult/></PublishResponse>",
    b"sesv2": b"{}",
    b"dynamodb": b"{}",
    b"ours": b"",
}


async def record(peer: Peer) -> None:
    """Take requests in as they come, with the body that some announce first, and answer each."""
    while True:
        head = await peer._reader.readuntil(b"\r\n\r\n")
        fields = {name.lower(): value for name, value in fields_of(head)}
        if b"expect" in fields:
            await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await peer._reader.readexactly(int(fields.get(b"content-length", b"0")))
        if fields.get(b"transfer-encoding") == b"chunked":
            body = await peer._reader.readuntil(b"\r\n0\r\n\r\n")
        peer.count(head + body)
        answer = ANSWERS[re.split(b"[/ ?]", head)[3]]
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer))


def fields_of(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = head.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]


def verify(request: bytes, **change: Any) -> Verified:
    """Verify a request as it came off the wire."""
    head, _, body = request.partition(b"\r\n\r\n")
    method, target, _ = head.split(b"\r\n")[0].split(b" ")
    path, _, query = target.partition(b"?")
    wanted = {"body": body, "secrets": [Secret("old"), Secret(GATEWAY_KEY)], "now": time.time(), **change}  # noqa: TID251
    return verify_v4(method.decode(), path, query, fields_of(head + b"\r\n\r\n"), **wanted)


@pytest.mark.parametrize("host", ["127.0.0.1", "LocalHost"])
@pytest.mark.parametrize("service", ["s3", "ses"])
async def test_what_we_send_arrives_as_it_was_signed(host: str, service: str) -> None:
    async with serve(record) as server:
        aws = Aws(f"{server.url(host=host)}/base/ours/", "fairlead", GATEWAY_KEY)
        async with connect(aws, service) as fl:
            headers = {"x-amz-meta-a": "a,  b", "content-type": "text/plain", "x-own": "ü"}
            query = {"prefix": "a b+c/ü", "list": ["2", "1"], "acl": ""}
            await fl.http("aws").request("PUT", "/a+b/%C3%BC//c:d", body=BODY, query=query, headers=headers)
        (request,) = server.requests
    assert request.startswith(
        b"PUT /base/ours/a%2Bb/%C3%BC//c%3Ad?prefix=a%20b%2Bc%2F%C3%BC&list=2&list=1&acl= HTTP/1.1\r\n"
    )
    assert verify(request).secret == Secret(GATEWAY_KEY)


Use = Callable[[Any], object]
SEND = {
    "FromEmailAddress": "a@b.test",
    "Content": {"Simple": {"Subject": {"Data": "ü"}, "Body": {"Text": {"Data": "ü"}}}},
}


@pytest.mark.parametrize(
    ("service", "use"),
    [
        ("s3", lambda s3: s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY, Metadata={"a": "b c"})),
        ("s3", lambda s3: s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY, ChecksumAlgorithm="SHA256")),
        ("s3", lambda s3: s3.upload_fileobj(io.BytesIO(BODY), BUCKET, KEY)),
        ("s3", lambda s3: s3.get_object(Bucket=BUCKET, Key="a//../b", Range="bytes=0-3")),
        ("s3", lambda s3: s3.list_objects_v2(Bucket=BUCKET, Prefix="a b+c/☃", MaxKeys=2)),
        ("s3", lambda s3: s3.put_object_acl(Bucket=BUCKET, Key=KEY, ACL="private")),
        ("sesv2", lambda ses: ses.send_email(**SEND)),
        ("sesv2", lambda ses: ses.get_email_identity(EmailIdentity="a+b@c.test")),
        ("sns", lambda sns: sns.publish(TopicArn="arn:aws:sns:eu-west-1:1:menu", Message="ü ☃")),
        ("dynamodb", lambda db: db.list_tables()),
    ],
    ids=["put", "checksum", "upload", "get", "list", "acl", "mail", "identity", "publish", "json"],
)
async def test_what_boto3_signs_with_a_key_of_ours_verifies(service: str, use: Use) -> None:
    async with serve(record) as server:
        await asyncio.to_thread(use_boto3, server, service, use)
        (request,) = server.requests
    verified = verify(request)
    assert (verified.secret, verified.access_key_id) == (Secret(GATEWAY_KEY), "fairlead")
    with pytest.raises(errors.SignatureError, match="fits no key"):
        verify(request, secrets=[Secret("old")])


def use_boto3(server: RawServer, service: str, use: Use) -> None:
    with client_of(service, f"{server.url()}/base/{service}", "fairlead", GATEWAY_KEY) as client:
        use(client)


@pytest.mark.parametrize(
    ("service", "operation", "wanted"),
    [("s3", "get_object", {"Bucket": BUCKET, "Key": KEY}), ("sns", "publish", {"TopicArn": "menu", "Message": "ü"})],
)
def test_what_boto3_presigns_with_a_key_of_ours_verifies(service: str, operation: str, wanted: Any) -> None:
    with client_of(service, "http://gateway.test/proxy/aws", "fairlead", GATEWAY_KEY) as client:
        url = urlsplit(client.generate_presigned_url(operation, wanted, ExpiresIn=60, HttpMethod="GET"))
    request = f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode()
    assert verify(request).access_key_id == "fairlead"
    with pytest.raises(errors.SignatureError, match="too old"):
        verify(request, now=time.time() + 90)  # noqa: TID251  # boto3 signs with the wall clock
