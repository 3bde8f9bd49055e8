"""Forwarding over real sockets: what an application of any language is told, signed, and told again until it takes it.

The signature is checked by the rules of Standard Webhooks (standardwebhooks.com, version 1.0) twice: written down here
anew, and by the room that verifies what vendors send.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from acme_shop import CONFIG, ENVIRONMENT, Shop, installed, shop
from fairlead.config.read import parse_settings
from fairlead.errors import InvalidSettingError, UnresolvedReferenceError, WebhookError
from fairlead.model.secret import Secret
from fairlead.observe.events import JobEnded
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.forward import sign
from fairlead.spec.encoding import Encoding
from fairlead.spec.webhook import HmacScheme
from raw_server import Peer, RawServer, serve
from stages import http
from webhook_trial import incoming, try_on

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
PAID = {"id": "evt_1", "type": "order.paid", "subject": "o1", "sequence": 2}
STANDARD = HmacScheme(
    header="webhook-signature",
    message="{id}.{timestamp}.{body}",
    encoding=Encoding.BASE64,
    prefix="v1,",
    separator=" ",
    timestamp_header="webhook-timestamp",
    id_header="webhook-id",
    key_prefix="whsec_",
    has_base64_key=True,
)
FORWARD = """
[connections.app]
base_url = "{url}"
allow_private = true
retry = {{ max_attempts = 1 }}

[webhooks]
waits_s = [5, 60]

[[webhooks.forwards]]
events = ["payment.*", "acme:stock.*"]
connection = "app"
path = "/hooks"
secret = "file:{secret}"
"""


class Told(NamedTuple):
    """One request that the application got."""

    line: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    def read(cls, raw: bytes) -> Told:
        head, _, body = raw.partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        return cls(line, {name.lower(): value for name, _, value in (each.partition(": ") for each in fields)}, body)

    def document(self) -> Any:
        return json.loads(self.body)


class Stage(NamedTuple):
    """An application that answers as it is told to, and the engine that forwards to it."""

    world: Shop
    app: RawServer
    answers: list[int]

    def requests(self) -> list[Told]:
        return [Told.read(each) for each in self.app.requests]

    async def ended(self, times: int, *, step_s: float = 0.0) -> list[JobEnded]:
        """Wait until events have had so many turns."""
        await self.world.until(lambda: len(self.world.ended()) >= times, step_s=step_s)
        return self.world.ended()


@asynccontextmanager
async def forwarding(tmp_path: Path, *answers: int) -> AsyncIterator[Stage]:
    left = list(answers)

    async def application(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.send(http(left.pop(0)))

    (tmp_path / "secret").write_text(SECRET)
    async with serve(application) as app:
        settings = FORWARD.format(url=app.url(), secret=tmp_path / "secret")
        async with shop(tmp_path / "jobs.db", settings) as world:
            yield Stage(world, app, left)


async def test_an_event_is_told_in_neutral_words_and_with_the_original(tmp_path: Path) -> None:
    async with forwarding(tmp_path, 204) as stage:
        await stage.world.deliver(PAID)
        (ended,) = await stage.ended(1)
        assert (ended.state, stage.answers) == ("done", [])
        (told,) = stage.requests()
        assert told.line == "POST /hooks HTTP/1.1"
        assert told.headers["content-type"] == "application/json"
        document = told.document()
        assert document["type"] == "payment.succeeded"
        data = document["data"]
        assert (data["connection"], data["provider"], data["vendor_type"]) == ("shop", "acme", "order.paid")
        assert (data["key"], data["is_late"], data["neutral"]["subject"]) == ("evt_1", False, "o1")
        assert json.loads(data["original"]) == PAID


async def test_an_event_without_a_neutral_word_goes_by_the_vendors(tmp_path: Path) -> None:
    async with forwarding(tmp_path, 200) as stage:
        await stage.world.deliver({"id": "evt_2", "type": "stock.low"}, {"id": "evt_3", "type": "odd"})
        await stage.ended(2)
        (told,) = stage.requests()
        assert told.document()["type"] == "acme:stock.low"
        assert told.document()["data"]["neutral"] is None


async def test_the_signature_is_that_of_standard_webhooks(tmp_path: Path) -> None:
    async with forwarding(tmp_path, 200) as stage:
        await stage.world.deliver(PAID)
        await stage.ended(1)
        (told,) = stage.requests()
        identifier, timestamp = told.headers["webhook-id"], told.headers["webhook-timestamp"]
        signed = b".".join((identifier.encode(), timestamp.encode(), told.body))
        digest = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert told.headers["webhook-signature"] == f"v1,{digest}"
        assert identifier == "shop:evt_1"
        now = stage.world.clock.wall()
        assert abs(int(timestamp) - now) <= 1
        verdict, _ = try_on(STANDARD, incoming(told.body, told.headers), {"webhook_secret": SECRET}, now=now)
        assert verdict.is_accepted
        for body, secret in ((told.body + b" ", SECRET), (told.body, f"whsec_{base64.b64encode(bytes(32)).decode()}")):
            with pytest.raises(WebhookError):
                try_on(STANDARD, incoming(body, told.headers), {"webhook_secret": secret}, now=now)


def test_a_signature_is_the_one_of_the_specification() -> None:
    # The example of the reference libraries of Standard Webhooks.
    secret = Secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signature = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body, secret)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("status", [500, 503, 410, 404, 400, 302])
async def test_an_answer_that_is_not_good_counts_as_a_failure_and_it_is_told_again(tmp_path: Path, status: int) -> None:
    async with forwarding(tmp_path, status, 200) as stage:
        await stage.world.deliver(PAID)
        (first,) = await stage.ended(1)
        assert (first.state, first.failures) == ("waiting", 1)
        assert first.error
        _, second = await stage.ended(2, step_s=1)
        assert (second.state, second.failures) == ("done", 1)
        one, other = stage.requests()
        assert one.headers["webhook-id"] == other.headers["webhook-id"]
        assert one.body == other.body
        assert int(other.headers["webhook-timestamp"]) - int(one.headers["webhook-timestamp"]) >= 4  # 5 s, spread
        assert one.headers["webhook-signature"] != other.headers["webhook-signature"]


async def test_one_that_is_never_taken_is_dead_after_its_waits_and_can_be_replayed(tmp_path: Path) -> None:
    async with forwarding(tmp_path, 410, 410, 410, 200) as stage:
        await stage.world.deliver(PAID)
        turns = await stage.ended(3, step_s=1)
        assert [each.state for each in turns] == ["waiting", "waiting", "dead"]
        (dead,) = await stage.world.fl.webhooks.list(state="dead")
        assert dead.failures == 3
        assert dead.error
        assert "410" in dead.error
        assert await stage.world.fl.webhooks.replay(state="dead") == 1
        assert (await stage.ended(4))[-1].state == "done"


async def test_an_application_that_is_down_is_told_when_it_is_back(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    async with serve(_refuse_nobody) as gone:
        url = gone.url()
    async with shop(tmp_path / "jobs.db", FORWARD.format(url=url, secret=tmp_path / "secret")) as world:
        await world.deliver(PAID)
        await world.until(lambda: len(world.ended()) == 1)
        (first,) = world.ended()
        assert (first.state, first.failures) == ("waiting", 1)
        assert first.error is not None
        assert first.error.startswith("unavailable: ") or first.error.startswith("connect: "), first.error
        async with serve(_refuse_nobody) as back:
            text = CONFIG.format(path=tmp_path / "jobs.db") + FORWARD.format(url=back.url(), secret=tmp_path / "secret")
            await world.fl.reload(parse_settings(text))
            await world.until(lambda: len(world.ended()) == 2, step_s=1)
            assert world.ended()[-1].state == "done"
            assert len(back.requests) == 1


async def _refuse_nobody(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(http(204))
    await peer.wait_for_end()


_NONE = "no secret of Standard Webhooks"


def _short(folder: Path) -> str:
    (folder / "bad").write_text("whsec_c2hvcnQ=")
    return f"file:{folder / 'bad'}"


def _odd(folder: Path) -> str:
    (folder / "bad").write_text("canary-no-base64!")
    return f"file:{folder / 'bad'}"


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda folder: ('secret = "file:', f'secret = "{_short(folder)}" #'), InvalidSettingError, _NONE),
        (lambda folder: ('secret = "file:', f'secret = "{_odd(folder)}" #'), InvalidSettingError, _NONE),
        (lambda _: ('secret = "file:', 'secret = "env:MISSING" #'), UnresolvedReferenceError, "MISSING"),
        (lambda _: ('secret = "file:', f'secret = "{SECRET}" #'), InvalidSettingError, "plain text"),
        (lambda _: ('connection = "app"', 'connection = "ap"'), InvalidSettingError, "no connection 'ap'"),
        (lambda _: ('"payment.*"', '"acme:"'), InvalidSettingError, "'acme:' is no pattern"),
        (lambda _: ('"payment.*"', '"acme:stock.*"'), InvalidSettingError, "is there twice"),
    ],
)  # fmt: skip
def test_a_forward_that_cannot_work_is_refused_at_the_start(
    tmp_path: Path, change: Callable[[Path], tuple[str, str]], error: type[Exception], said: str
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    text = CONFIG.format(path="jobs.db") + FORWARD.format(url="http://127.0.0.1:9", secret=tmp_path / "secret")
    before, after = change(tmp_path)
    assert before in text
    with installed(), pytest.raises(error, match=said) as caught:
        Fairlead(parse_settings(text.replace(before, after, 1)), environment=ENVIRONMENT)
    assert "webhooks.forwards[0]" in str(caught.value)
    assert "canary" not in str(caught.value)
    assert SECRET not in str(caught.value)
