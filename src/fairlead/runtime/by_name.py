"""Calls by name and words: how the command line and the gateway, which have only text, reach the operations."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping
from typing import Any

from fairlead.capabilities.email_fields import read_list, write_message
from fairlead.errors import InvalidArgumentError
from fairlead.model.answer import Answer
from fairlead.model.call import Ref
from fairlead.model.suggest import suggest
from fairlead.runtime import named_payments
from fairlead.runtime.email import ON_UNKNOWN
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.named import Named, Words
from fairlead.runtime.wanted import CallOptions


def _search(fl: Fairlead, words: Words, options: CallOptions) -> Awaitable[Any]:
    if words.get("cursor"):
        if not words.get("connection"):
            raise InvalidArgumentError(
                "recipes.search needs connection beside cursor.", hint="Both name the next page."
            )
        return fl.recipes.next_page(Ref(words["connection"], words["cursor"]), **options)
    if not words.get("q"):
        raise InvalidArgumentError("recipes.search needs q.", hint="Write it as q=pasta.")
    minutes = words.get("max_minutes")
    return fl.recipes.search(
        words["q"],
        diets=tuple(filter(None, words.get("diets", "").split(","))),
        max_total_time_s=parse_number(minutes, "max_minutes") * 60 if minutes else None,
        **options,
    )


def _send(fl: Fairlead, words: Words, options: CallOptions) -> Awaitable[Any]:
    given: dict[str, Any] = {**options, "idempotency_key": words.get("idempotency_key") or None}
    fields: dict[str, Any] = {name: words[name] for name in _TEXTS if words.get(name)}
    fields |= {name: read_list(words[name]) for name in _MAILBOXES if words.get(name)}
    fields["tags"] = tuple(filter(None, (each.strip() for each in words.get("tags", "").split(","))))
    send: Any = fl.email.send  # which of its forms is meant, the options say
    sending: Awaitable[Any] = send(write_message(fields), on_unknown=read_choice(words.get("on_unknown")), **given)
    return sending


#: The fields of a message that are a word, and those that are addresses with commas between.
_TEXTS = ("sender", "subject", "text", "html", "template")
_MAILBOXES = ("to", "cc", "bcc", "reply_to")

OPERATIONS: Mapping[str, Named] = {
    "recipes.search": Named(
        words={
            "q": "what to search for",
            "diets": "names with commas between, as vegan,gluten-free",
            "max_minutes": "the longest total time",
            "connection": "with cursor: the connection of the page before",
            "cursor": "the id of the next page",
        },
        run=_search,
    ),
    "recipes.fetch": Named(
        words={"ref!": "connection:id"}, run=lambda fl, words, options: fl.recipes.fetch(words["ref"], **options)
    ),
    "recipes.nutrition": Named(
        words={"ref!": "connection:id"}, run=lambda fl, words, options: fl.recipes.nutrition(words["ref"], **options)
    ),
    "email.send": Named(
        words={
            "to!": "addresses with commas between",
            "sender!": "an address of yours",
            "subject": "what it is about",
            "text": "the body",
            "html": "the body for those who show it",
            "cc": "like to",
            "bcc": "like to",
            "reply_to": "like to",
            "template": "the vendor's id of one, in place of a body",
            "tags": "words with commas between",
            "idempotency_key": "one key is one message",
            "on_unknown": "hold, or resend where nobody knows whether it was sent",
        },
        run=_send,
    ),
    "email.status": Named(
        words={"ref!": "connection:id"}, run=lambda fl, words, options: fl.email.status(words["ref"], **options)
    ),
    "http.get": Named(
        words={"connection!": "the connection's name", "path!": "the path, beginning with /"},
        run=lambda fl, words, options: fl.http(words["connection"]).get(words["path"], **options),
    ),
    **named_payments.OPERATIONS,
}


async def call_by_name(fl: Fairlead, name: str, words: Words, options: CallOptions) -> Answer:
    """Make a call; raise `InvalidArgumentError` for a name or a word that is not known."""
    if name not in OPERATIONS:
        raise _unknown(name, OPERATIONS, "an operation")
    known = {word.rstrip("!"): word.endswith("!") for word in OPERATIONS[name].words}
    for word in words:
        if word not in known:
            raise _unknown(word, known, f"a word of {name}")
    for word, is_required in known.items():
        if is_required and not words.get(word):
            raise InvalidArgumentError(f"{name} needs {word}.", hint=f"Write it as {word}=...")
    answer: Answer = await OPERATIONS[name].run(fl, words, options)
    return answer


def _unknown(name: str, known: Mapping[str, Any], kind: str) -> InvalidArgumentError:
    hint = suggest(name, known)
    return InvalidArgumentError(f"{name!r} is not {kind}.", hint=hint)


def read_choice(given: str | None) -> str:
    """Read what follows when nobody knows whether a message was sent: `hold`, unless it is `resend`."""
    if given not in {None, "", *ON_UNKNOWN}:
        raise InvalidArgumentError(f"{given!r} is no answer to not knowing.", hint=f"Use {' or '.join(ON_UNKNOWN)}.")
    return given or ON_UNKNOWN[0]


def parse_number(text: str, name: str) -> int:
    """Read a whole number above 0, with nine digits at most; raise `InvalidArgumentError` for anything else."""
    if not re.fullmatch("[0-9]{1,9}", text) or not int(text):
        raise InvalidArgumentError(f"{name} must be a whole number above 0, of nine digits at most.")
    return int(text)
