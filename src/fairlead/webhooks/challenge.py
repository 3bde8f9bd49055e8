"""Questions by which a vendor makes sure that an address is ours."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import msgspec

from fairlead.errors import WebhookError, WebhookReason
from fairlead.model.incoming import Incoming, Reply
from fairlead.spec.notice import form_pairs, parse_json
from fairlead.spec.webhook import Challenge, HmacScheme
from fairlead.webhooks.digest import sign_text
from fairlead.webhooks.secrets import Secrets, is_agreed, values_of

# What is signed on request must never be what could be a delivery: no brace, no quote, no space.
_HARMLESS = re.compile(r"[A-Za-z0-9_=+/.~-]{1,256}")
_LONGEST = 1024


def answer_open(challenge: Challenge, scheme: HmacScheme | None, incoming: Incoming, secrets: Secrets) -> Reply | None:
    """Answer a question that comes unsigned, in a GET; return None where this is no question."""
    if incoming.method != "GET":
        return None
    query = dict(reversed(form_pairs(urlsplit(incoming.url).query.encode())))
    if any(query.get(name) != value for name, value in challenge.only_where):
        return None
    question = query.get(challenge.parameter) if challenge.parameter else incoming.headers.get(challenge.header or "")
    if not question:
        return None
    if challenge.token is not None:
        parameter, field = challenge.token
        if not is_agreed(query.get(parameter, ""), values_of(secrets, field)):
            raise WebhookError.of(WebhookReason.BAD_TOKEN)
    if challenge.topic is not None:
        _check_topic(query, challenge.topic, secrets)
    if challenge.is_signed and scheme is not None:
        if not _HARMLESS.fullmatch(question):
            raise WebhookError.of(WebhookReason.MALFORMED)
        question = sign_text(scheme, values_of(secrets, scheme.field)[0], question.encode())
    return _reply(challenge, question)


def answer_signed(challenge: Challenge, incoming: Incoming) -> Reply | None:
    """Answer a question that stands in a body whose signature holds; return None where this is none."""
    if challenge.json_field is None or challenge.json_field.encode() not in incoming.body:
        return None
    try:
        found: dict[str, Any] = parse_json(incoming.body, dict[str, Any])
    except WebhookError:  # another kind of body; whoever splits it will say what is wrong with it
        return None
    question = found.get(challenge.json_field)
    if not isinstance(question, str) or any(found.get(name) != value for name, value in challenge.only_where):
        return None
    return _reply(challenge, question)


def _check_topic(query: dict[str, str], topic: tuple[str, str], secrets: Secrets) -> None:
    """Agree to begin what is wanted, and to end what is not (WebSub §5.3)."""
    parameter, field = topic
    wanted = {each.reveal() for each in secrets.get(field, ())}
    begins = query.get("hub.mode") == "subscribe"
    if begins != (query.get(parameter) in wanted):
        raise WebhookError.of(WebhookReason.WRONG_AUDIENCE)


def _reply(challenge: Challenge, answer: str) -> Reply:
    if len(answer) > _LONGEST:
        raise WebhookError.of(WebhookReason.MALFORMED)
    if challenge.answer_field is None:
        kind, body = "text/plain; charset=utf-8", answer.encode()
    else:
        kind, body = "application/json", msgspec.json.encode({challenge.answer_field: answer})
    # Nobody's browser may take an echo for a page.
    return Reply(200, (("content-type", kind), ("x-content-type-options", "nosniff")), body)
