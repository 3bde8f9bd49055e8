"""Trouble made on purpose: rules that say which calls shall go wrong, how, and when.

A failover that was never seen to work does not work. The rules rehearse it with the real vendor: a share of the calls
to one connection is slow, fails, is answered and then left without its answer, or gets an answer that is broken. They
decide and do nothing: the pipeline carries it out, and marks what it did.

Off unless it is switched on, and then only where a rule applies.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import msgspec

from fairlead.errors import InvalidSettingError
from fairlead.model.ports import Random


class Delay(msgspec.Struct, frozen=True, tag=True):
    """The request leaves later by so many seconds."""

    seconds: float


class Fail(msgspec.Struct, frozen=True, tag=True):
    """The request does not leave; the caller gets the error with this code."""

    code: str


class LoseAnswer(msgspec.Struct, frozen=True, tag=True):
    """The vendor acts, and its answer is dropped: whether it was done is not known."""


class Damage(StrEnum):
    """What is done to the body of an answer."""

    #: The second half is missing.
    TRUNCATED = "truncated"
    #: It is a page of HTML, as a proxy sends it.
    HTML = "html"
    #: It is empty.
    EMPTY = "empty"


class Corrupt(msgspec.Struct, frozen=True, tag=True):
    """The vendor acts, and its answer comes with a damaged body."""

    damage: Damage = Damage.TRUNCATED


Fault: TypeAlias = Delay | Fail | LoseAnswer | Corrupt


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong, for whom, and when. Raises `InvalidSettingError` for what cannot be."""

    fault: Fault
    #: The connection; all of them unless set.
    connection: str | None = None
    #: The operation; all of them unless set.
    operation: str | None = None
    #: The part of the calls it hits.
    share: float = 1.0
    #: From this instant on, on the clock whose time is asked with.
    begins_at: float | None = None
    #: Before this instant.
    ends_at: float | None = None
    #: In between, for the first `for_s` of every so many seconds since `begins_at`: a vendor that flaps.
    every_s: float | None = None
    for_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InvalidSettingError(f"chaos.share ({self.share:g}) is a share from 0 to 1.")
        if self.begins_at is not None and self.ends_at is not None and self.begins_at >= self.ends_at:
            raise InvalidSettingError("chaos.begins_at must be before chaos.ends_at.")
        if self.every_s is not None and not (0 < self.for_s <= self.every_s and self.begins_at is not None):
            raise InvalidSettingError("chaos.every_s needs begins_at, and a for_s that is above 0 and not longer.")
        if isinstance(self.fault, Delay) and self.fault.seconds <= 0:
            raise InvalidSettingError("chaos: a delay takes some time.")

    def applies(self, connection: str, operation: str, now: float) -> bool:
        """Whether a call is one of those it may hit."""
        if self.connection not in {None, connection} or self.operation not in {None, operation}:
            return False
        begins_at = now if self.begins_at is None else self.begins_at
        if now < begins_at or (self.ends_at is not None and now >= self.ends_at):
            return False
        return self.every_s is None or (now - begins_at) % self.every_s < self.for_s


class Trouble(NamedTuple):
    """What is to happen to one call: delays add up; of all else the first rule that hits decides."""

    delay_s: float = 0.0
    fault: Fail | LoseAnswer | Corrupt | None = None


class Chaos:
    """The rules, and the switch."""

    __slots__ = ("_rules", "is_on")

    def __init__(self, rules: Sequence[Rule] = (), *, is_on: bool = False) -> None:
        self._rules = tuple(rules)
        self.is_on = is_on

    def decide(self, connection: str, operation: str, *, now: float, random: Random) -> Trouble | None:
        """Return what is to happen to a call, or None where it goes its way."""
        if not self.is_on:
            return None
        delay_s, fault = 0.0, None
        for rule in self._rules:
            if not rule.applies(connection, operation, now) or (rule.share < 1 and random() >= rule.share):
                continue
            if isinstance(rule.fault, Delay):
                delay_s += rule.fault.seconds
            elif fault is None:
                fault = rule.fault
        return Trouble(delay_s, fault) if delay_s or fault else None


def damaged(body: bytes, damage: Damage) -> bytes:
    """Return what is left of a body."""
    match damage:
        case Damage.TRUNCATED:
            return body[: len(body) // 2]
        case Damage.HTML:
            return b"<!doctype html><title>502 Bad Gateway</title>"
        case Damage.EMPTY:
            return b""
