"""Every row of the outcome table, as it comes about on a real socket."""

from __future__ import annotations

import gzip
from typing import NamedTuple

import msgspec
import pytest

from fairlead.errors import UnexpectedAnswerError
from fairlead.model.exchange import Broken
from fairlead.model.message import Response
from fairlead.model.outcome import Effect, Failure, Outcome, Phase
from fairlead.spec.answer import decode
from fairlead.spec.outcomes import TABLE, classify
from raw_server import ignore, reply_once
from stages import (
    CANARY,
    CLIENTS,
    NOBODY_LISTENS,
    SHORT_S,
    Authority,
    Client,
    Stage,
    answer,
    body,
    hello,
    plain,
    request_for,
    secure,
    unknown,
)
from talks import (
    BOMB,
    FINE,
    GIVEN_UP,
    GONE_AWAY,
    HALF,
    HALF_AND_NO_MORE,
    HALF_AND_RESET,
    HALF_AND_STALL,
    HALF_CHUNK,
    HANG_UP,
    LONG_FIELD,
    MANY_FIELDS,
    NOT_HTTP,
    ON_AND_ON,
    QUIET,
    REFUSED_STREAM,
    RESET,
    TWO_GIGABYTES,
    Talk,
    close_at_hello,
    reset_at_hello,
    saying,
    speak_plainly,
)

ELSEWHERE = "Location: /elsewhere"
SWITCH = Talk(reply_once(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: odd\r\n\r\n"))


class Thing(msgspec.Struct):
    """What the vendor is meant to answer."""

    done: bool


class Case(NamedTuple):
    """What is to be seen on a stage.

    `outcomes` is a letter for each effect (read, idempotent, once): Done, Not done, Unknown. `repeats` has the first
    letters of the effects for which the same request may be sent again.
    """

    row: str
    stage: Stage
    seen: Failure | int
    phase: Phase
    outcomes: str
    repeats: str = ""
    note: str = ""


CASES = (
    Case("host blocked", plain(FINE, allow_private=False), Failure.BLOCKED, Phase.CONNECTING, "NNN"),
    Case("host blocked", plain(FINE, host="localhost", allow_private=False), Failure.BLOCKED, Phase.CONNECTING,
         "NNN", note="a name that leads to it"),
    Case("name not found", unknown(".".join(["a" * 60] * 5)), Failure.DNS, Phase.RESOLVING, "NNN", "rio",
         note="longer than DNS allows, so that no resolver is asked"),
    Case("name not found", unknown("a..example"), Failure.DNS, Phase.RESOLVING, "NNN", "rio", note="cannot be a name"),
    Case("connection refused", NOBODY_LISTENS, Failure.REFUSED, Phase.CONNECTING, "NNN", "rio"),
    Case("TLS failure", secure("127.0.0.1", is_trusted=False), Failure.TLS, Phase.CONNECTING, "NNN",
         note="nobody vouches for it"),
    Case("TLS failure", secure("other.example", is_trusted=True), Failure.TLS, Phase.CONNECTING, "NNN",
         note="of somebody else"),
    Case("TLS failure", hello(speak_plainly), Failure.TLS, Phase.CONNECTING, "NNN", note="no TLS"),
    Case("reset before sending", hello(reset_at_hello), Failure.RESET, Phase.CONNECTING, "NNN", "rio"),
    Case("reset before sending", hello(close_at_hello), Failure.RESET, Phase.CONNECTING, "NNN", "rio",
         note="closed in order"),
    Case("timeout before sending", hello(ignore, connect_s=SHORT_S), Failure.TIMEOUT, Phase.CONNECTING,
         "NNN", "rio"),
    Case("turned away", plain(REFUSED_STREAM), Failure.TURNED_AWAY, Phase.WAITING, "NNN", "rio"),
    Case("turned away", plain(GONE_AWAY), Failure.TURNED_AWAY, Phase.WAITING, "NNN", "rio", note="by one who leaves"),
    Case("reset after sending", plain(RESET), Failure.RESET, Phase.WAITING, "NUU", "ri"),
    Case("reset after sending", plain(HANG_UP), Failure.RESET, Phase.WAITING, "NUU", "ri",
         note="closed in order"),
    Case("reset after sending", plain(GIVEN_UP), Failure.RESET, Phase.WAITING, "NUU", "ri", note="the stream alone"),
    Case("timeout after sending", plain(QUIET, read_s=SHORT_S), Failure.TIMEOUT, Phase.WAITING, "NUU", "ri"),
    Case("timeout after sending", plain(HALF_AND_STALL, read_s=0.2), Failure.TIMEOUT, Phase.RECEIVING, "NUU", "ri",
         note="in the body"),
    Case("body cut short", plain(HALF),
         Failure.TRUNCATED, Phase.RECEIVING, "NUU", "ri"),
    Case("body cut short", plain(HALF_CHUNK), Failure.TRUNCATED, Phase.RECEIVING,
         "NUU", "ri", note="in a chunk"),
    Case("body cut short", plain(HALF_AND_RESET), Failure.TRUNCATED, Phase.RECEIVING, "NUU", "ri", note="by a reset"),
    Case("body cut short", plain(HALF_AND_NO_MORE), Failure.TRUNCATED, Phase.RECEIVING, "NUU", "ri",
         note="the stream alone"),
    Case("answer too large", plain(TWO_GIGABYTES), Failure.TOO_LARGE, Phase.RECEIVING, "NUU", note="as it says"),
    Case("answer too large", plain(ON_AND_ON), Failure.TOO_LARGE, Phase.RECEIVING, "NUU", note="in the end"),
    Case("answer too large", plain(BOMB), Failure.TOO_LARGE, Phase.RECEIVING, "NUU", note="when unpacked"),
    Case("not HTTP", plain(NOT_HTTP), Failure.PROTOCOL, Phase.WAITING, "NUU", "ri"),
    Case("not HTTP", plain(Talk(reply_once(b"HTTP/1.1 200 OK\r\nContent-Length: some\r\n\r\n"))), Failure.PROTOCOL,
         Phase.WAITING, "NUU", "ri", note="a length that is none"),
    Case("not HTTP", plain(saying(200, b"not packed", "Content-Encoding: gzip")), Failure.PROTOCOL,
         Phase.RECEIVING, "NUU", "ri", note="not packed as it says"),
    Case("not HTTP", plain(saying(200, gzip.compress(b'{"done": true}')[:-9], "Content-Encoding: gzip")),
         Failure.PROTOCOL, Phase.RECEIVING, "NUU", "ri", note="packed, and cut before it was sent"),
    Case("not HTTP", plain(LONG_FIELD), Failure.PROTOCOL, Phase.WAITING, "NUU", "ri", note="a field of 1 MB"),
    Case("not HTTP", plain(MANY_FIELDS), Failure.PROTOCOL, Phase.WAITING, "NUU", "ri", note="1 MB of fields"),
    Case("malformed body", body(b'{"done": tr'), Failure.MALFORMED, Phase.ANSWERED, "NUU", "ri"),
    Case("malformed body", body(b"<html>Please log in</html>"), Failure.MALFORMED, Phase.ANSWERED, "NUU", "ri",
         note="a page of a proxy"),
    Case("malformed body", body(b""), Failure.MALFORMED, Phase.ANSWERED, "NUU", "ri", note="no body at all"),
    Case("changed body", body(b'{"done": "yes"}'), Failure.CHANGED, Phase.ANSWERED, "NUU"),
    Case("changed body", body(b'{"finished": true}'), Failure.CHANGED, Phase.ANSWERED, "NUU", note="a field is gone"),
    Case("success", body(b'{"done": true}'), 200, Phase.ANSWERED, "DDD"),
    Case("success", answer(201), 201, Phase.ANSWERED, "DDD"),
    Case("success", answer(204), 204, Phase.ANSWERED, "DDD"),
    Case("not modified", answer(304), 304, Phase.ANSWERED, "DDD"),
    Case("moved", answer(307, ELSEWHERE), 307, Phase.ANSWERED, "NNN"),
    Case("moved", answer(308, ELSEWHERE), 308, Phase.ANSWERED, "NNN"),
    Case("redirect", answer(301, ELSEWHERE), 301, Phase.ANSWERED, "NUU"),
    Case("redirect", answer(302, ELSEWHERE), 302, Phase.ANSWERED, "NUU"),
    Case("redirect", answer(303, ELSEWHERE), 303, Phase.ANSWERED, "NUU"),
    Case("unauthorised", answer(401), 401, Phase.ANSWERED, "NNN"),
    Case("payment required", answer(402), 402, Phase.ANSWERED, "NNN"),
    Case("forbidden", answer(403), 403, Phase.ANSWERED, "NNN"),
    Case("not found", answer(404), 404, Phase.ANSWERED, "NNN"),
    Case("request timeout", answer(408), 408, Phase.ANSWERED, "NUU", "ri"),
    Case("conflict", answer(409), 409, Phase.ANSWERED, "NUN", "i"),
    Case("gone", answer(410), 410, Phase.ANSWERED, "NNN"),
    Case("misdirected", answer(421), 421, Phase.ANSWERED, "NNN", "rio"),
    Case("too early", answer(425), 425, Phase.ANSWERED, "NNN", "rio"),
    Case("too many requests", answer(429), 429, Phase.ANSWERED, "NNN", "rio"),
    Case("refused", answer(400), 400, Phase.ANSWERED, "NNN"),
    Case("refused", answer(422), 422, Phase.ANSWERED, "NNN"),
    Case("not implemented", answer(501), 501, Phase.ANSWERED, "NNN"),
    Case("unavailable", answer(503), 503, Phase.ANSWERED, "NUU", "ri"),
    Case("server error", answer(500), 500, Phase.ANSWERED, "NUU", "ri"),
    Case("server error", answer(502), 502, Phase.ANSWERED, "NUU", "ri"),
    Case("server error", answer(504), 504, Phase.ANSWERED, "NUU", "ri"),
    Case("no status", answer(799), 799, Phase.ANSWERED, "NUU"),
    Case("no status", plain(SWITCH), 101, Phase.ANSWERED, "NUU", note="a protocol that nobody asked for"),
)  # fmt: skip

LETTERS = {Outcome.DONE: "D", Outcome.NOT_DONE: "N", Outcome.UNKNOWN: "U"}


def name_of(case: Case) -> str:
    return "-".join(part for part in (case.row, str(case.seen), case.note) if part).replace(" ", "_")


def what_was_seen(result: Response | Broken) -> Failure | int:
    """Read the answer as a provider does."""
    if isinstance(result, Broken):
        return result.failure
    if result.status == 200:
        try:
            decode(result, Thing)
        except UnexpectedAnswerError as error:
            return Failure.MALFORMED if error.is_garbled else Failure.CHANGED
    return result.status


PLAYED = [
    pytest.param(case, client, id=f"{client.name}-{name_of(case)}")
    for client in CLIENTS
    for case in CASES
    if case.stage.suits(client)
]


@pytest.mark.parametrize(("case", "client"), PLAYED)
async def test_the_way_an_exchange_ends_decides_its_outcome(case: Case, client: Client, authority: Authority) -> None:
    outcomes, repeats = "", ""
    for effect in Effect:
        async with case.stage.open(authority, client) as wanted:
            result = await client.exchange(wanted, request_for(effect))

        seen = what_was_seen(result)
        phase = result.phase if isinstance(result, Broken) else Phase.ANSWERED
        assert (seen, phase) == (case.seen, case.phase)
        assert CANARY not in repr(result)

        verdict = classify(seen, phase=phase, effect=effect)
        assert verdict.name == case.row
        outcomes += LETTERS[verdict.outcome]
        repeats += effect.value[0] if verdict.may_repeat else ""
    assert (outcomes, repeats) == (case.outcomes, case.repeats)


def test_every_row_is_shown() -> None:
    assert {row.name for row in TABLE} == {case.row for case in CASES}
