"""AWS in a process of its own: a moto server on loopback that refuses what is not signed with a key of its user."""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import DEVNULL, PIPE, Popen
from threading import Thread, Timer
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

REGION = "eu-west-1"
BUCKET = "shelf"
#: Nobody waits longer for it to start, to answer or to end.
PATIENCE_S = 30.0
_EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class Aws(NamedTuple):
    """Where it is, and the key of the user it knows."""

    url: str
    access_key_id: str
    secret_access_key: str

    @contextmanager
    def client(self, service: str) -> Iterator[Any]:
        """Yield AWS's own client for a service."""
        with client_of(service, self.url, self.access_key_id, self.secret_access_key) as client:
            yield client


@contextmanager
def client_of(service: str, url: str, access_key_id: str, secret_access_key: str) -> Iterator[Any]:
    """Yield a client of boto3 that looks for nothing in its surroundings and sends everything once."""
    client = boto3.session.Session(access_key_id, secret_access_key, region_name=REGION).client(
        service,
        endpoint_url=url,
        config=Config(
            proxies={},
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            signature_version="s3v4" if service == "s3" else "v4",
        ),
    )
    try:
        yield client
    finally:
        client.close()


@contextmanager
def run_moto() -> Iterator[Aws]:
    """Start it, let it make a user and a bucket, and have it look at signatures from then on."""
    command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0")
    with Popen(command, stdout=DEVNULL, stderr=PIPE, text=True, env={}) as server:  # noqa: S603  # our own command
        listener = Thread(target=lambda log: log.read(), args=[server.stderr])  # a full pipe would stop it
        try:
            url = _await_url(server)
            listener.start()
            aws = Aws(url, *_make_user(url))
            with aws.client("s3") as s3:
                s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
            _enforce(url)
            yield aws
        finally:
            server.terminate()
            server.wait(PATIENCE_S)
            if listener.ident:
                listener.join()


def _await_url(server: Popen[str]) -> str:
    """Read in its log where it listens."""
    watch = Timer(PATIENCE_S, server.kill)
    watch.start()
    try:
        found = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in server.stderr or ())
        return next(match[0] for match in found if match)
    except StopIteration:
        raise RuntimeError("moto did not start.") from None
    finally:
        watch.cancel()


def _make_user(url: str) -> tuple[str, str]:
    with client_of("iam", url, "root", "root") as iam:
        iam.create_user(UserName="fairlead")
        iam.put_user_policy(UserName="fairlead", PolicyName="everything", PolicyDocument=json.dumps(_EVERYTHING))
        key = iam.create_access_key(UserName="fairlead")["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def _enforce(url: str) -> None:
    """No request more goes unlooked at."""
    request = urllib.request.Request(f"{url}/moto-api/reset-auth", b"0", {"content-type": "text/plain"})  # noqa: S310
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=PATIENCE_S) as answer:
        assert answer.status == 200
