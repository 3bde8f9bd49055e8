"""Whatever comes, a provider's reading of it ends quickly, in notices or in a refusal."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import WebhookError, WebhookReason
from fairlead.model.event import Notice
from fairlead.runtime.registry import load_provider, provider_names
from fairlead.spec.webhook import HmacScheme, Webhooks
from webhook_trial import incoming, try_on

SENDING = [name for name in provider_names() if load_provider(name).webhooks]
#: Headers that a delivery of some vendor is not read without.
HEADERS = {"x-github-event": "push", "x-github-delivery": "1", "authorization": "Bearer x"}
KINDS = ("payment_intent.succeeded", "bounce", "failed", "Bounce", "email.bounced", "message.sent", "payment.updated")
BOMBS = {
    "lists": b"[" * 100_000,
    "objects": b'{"a":' * 100_000,
    "within": b'{"id":"1","type":"a","event":"a","data":' + b"[" * 100_000,
    "unread": b'{"unread":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "no text": b'{"id": "\xff\xfe", "type": "a"}',
    "half a letter": b'{"id": "\xc3',
    "surrogate": b'{"id": "\\ud800", "type": "\\udfff", "event": "\\ud800"}',
    "number": b'{"id":' + b"9" * 5000 + b"}",
    "nothing": b"",
    "fields": b"a=1&" * 2000,
}

few = settings(max_examples=25)
each_vendor = pytest.mark.parametrize("name", SENDING)


def webhooks_of(name: str) -> Webhooks:
    found = load_provider(name).webhooks
    assert found is not None
    return found


def refusal(run: Callable[[], object]) -> WebhookReason | None:
    """Return why it is refused, or None where it is not; anything else that is raised fails the test."""
    try:
        run()
    except WebhookError as error:
        return error.reason
    return None


def read(name: str, body: bytes) -> None:
    """Read it in every way; only a refusal may come out, or notices that have what they need."""
    webhooks = webhooks_of(name)
    notices: list[Notice] = []
    assert refusal(lambda: notices.extend(webhooks.split(incoming(body, HEADERS)))) in {None, "malformed", "unsigned"}
    assert all(isinstance(text, str) for each in notices for text in (each.key, each.type))
    if webhooks.normalise:
        for kind in KINDS:
            assert refusal(partial(webhooks.normalise, kind, body)) in {None, "malformed"}


@each_vendor
@pytest.mark.parametrize("bomb", BOMBS)
def test_what_is_too_deep_or_no_text_is_refused(name: str, bomb: str) -> None:
    read(name, BOMBS[bomb])


@each_vendor
@few
@given(body=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(name: str, body: bytes) -> None:
    read(name, body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "type", "event", "data", "object", "created", "entry", "changes", "field", "timestamp"]),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@each_vendor
@few
@given(value=json_values)
def test_any_json_is_read_or_refused(name: str, value: object) -> None:
    try:
        body = msgspec.json.encode(value)
    except (OverflowError, UnicodeEncodeError):  # no JSON of ours
        return
    read(name, body)


@each_vendor
@few
@given(body=st.binary(max_size=40), text=st.text(max_size=40))
def test_any_delivery_is_refused_where_nothing_vouches_for_it(name: str, body: bytes, text: str) -> None:
    webhooks = webhooks_of(name)
    headers = dict.fromkeys(("x-sig", "authorization", "x-signature", "x-twilio-signature", "stripe-signature"), text)
    with pytest.raises(WebhookError):
        try_on(webhooks.scheme, incoming(body, headers), dict.fromkeys(webhooks.secrets, "a"), now=0)


@each_vendor
def test_a_refusal_takes_less_than_a_millisecond(name: str) -> None:
    webhooks = webhooks_of(name)
    header = webhooks.scheme.header if isinstance(webhooks.scheme, HmacScheme) else "authorization"
    stamped = {"x-slack-request-timestamp": "1", "webhook-timestamp": "1", "webhook-id": "1", "svix-id": "1"}
    delivery = incoming(
        msgspec.json.encode({"unread": ["text"] * 2000}),
        {header or "x-signature": "t=1,v1=ab v1,ab sha256=ab HMAC ab", "svix-timestamp": "1", **stamped},
    )
    secrets = dict.fromkeys(webhooks.secrets, "whsec_YWJj")
    best = 1.0
    for _ in range(20):
        began = time.process_time()
        with pytest.raises(WebhookError):
            try_on(webhooks.scheme, delivery, secrets, now=0)
        best = min(best, time.process_time() - began)
    assert best < 0.001
