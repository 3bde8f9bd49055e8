"""What can be wrong with a vendor, as data: how often, how slow, and in which way."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from random import Random
from typing import Never

import msgspec

from fairlead.errors import InvalidArgumentError
from fairlead.model.suggest import suggest

#: How many standard deviations the 99th percentile of a normal distribution lies above its middle.
_P99_DEVIATIONS = 2.3263478740408408


class Fault(StrEnum):
    """What happens to one answer."""

    NONE = "none"
    #: The vendor's own error, with `error_status`.
    ERROR = "error"
    #: The connection is reset (RST) with half of the body sent.
    RESET = "reset"
    #: It is done, and the connection reset (RST) before any of the answer.
    LOST = "lost"
    #: Nothing is done, and nothing ever answered.
    HANG = "hang"
    #: A good status, and half a JSON document that claims to be whole.
    MALFORMED = "malformed"
    #: A good status, and the HTML page of some proxy.
    WRONG_TYPE = "wrong_type"
    #: The connection is reset before any answer: the down phase of flapping.
    DOWN = "down"


class Faults(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a fake misbehaves; by default not at all.

    Shares are parts of all answers, from 0 to 1, and exclude each other, so that they add up to 1 at most. Times
    are in seconds. Raises `ValueError` for what cannot be.
    """

    #: How long an answer takes: the median, or every one where there is no `latency_p99_s`.
    latency_s: float = 0.0
    #: How long one answer of a hundred takes, or longer; lognormal in between.
    latency_p99_s: float = 0.0
    #: The vendor's own error, with `error_status`.
    error_share: float = 0.0
    #: The status of that error, from 400 to 599.
    error_status: int = 500
    #: The connection is reset with half of the body sent.
    reset_share: float = 0.0
    #: It is done, and the connection is reset before any of the answer.
    lost_share: float = 0.0
    #: Nothing is ever answered.
    hang_share: float = 0.0
    #: A good status, and half a JSON document that claims to be whole.
    malformed_share: float = 0.0
    #: A good status, and the HTML page of some proxy.
    wrong_type_share: float = 0.0
    #: Up for so long, then down for `flap_down_s`, and again.
    flap_up_s: float = 0.0
    #: While it is down, connections are reset.
    flap_down_s: float = 0.0
    #: The vendor says that the quota is used up.
    is_quota_exhausted: bool = False
    #: The vendor says that requests come too fast.
    is_throttled: bool = False
    #: What `Retry-After` says, where the vendor sends one; null sends none.
    retry_after_s: float | None = None

    def __post_init__(self) -> None:
        for name, share in self._shares().items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {share}.")
        if sum(self._shares().values()) > 1 + 1e-9:
            raise ValueError("The shares exclude each other and cannot add up to more than 1.")
        for name in ("latency_s", "latency_p99_s", "flap_up_s", "flap_down_s", "retry_after_s"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name} is a time, which cannot be negative.")
        if self.latency_p99_s and not 0 < self.latency_s <= self.latency_p99_s:
            raise ValueError("latency_p99_s needs a latency_s above 0, and cannot lie below it.")
        if bool(self.flap_up_s) != bool(self.flap_down_s):
            raise ValueError("flap_up_s and flap_down_s are set together.")
        if not 400 <= self.error_status <= 599:
            raise ValueError(f"error_status is a status from 400 to 599, not {self.error_status}.")

    def _shares(self) -> dict[str, float]:
        return {
            "error_share": self.error_share,
            "reset_share": self.reset_share,
            "lost_share": self.lost_share,
            "hang_share": self.hang_share,
            "malformed_share": self.malformed_share,
            "wrong_type_share": self.wrong_type_share,
        }

    def draw(self, chance: Random, *, age_s: float) -> Fault:
        """Decide what happens to the next answer; `age_s` is how long these faults have been in force."""
        if self.flap_down_s and age_s % (self.flap_up_s + self.flap_down_s) >= self.flap_up_s:
            return Fault.DOWN
        point = chance.random()
        for name, share in self._shares().items():
            if point < share:
                return Fault(name.removesuffix("_share"))
            point -= share
        return Fault.NONE

    def draw_latency(self, chance: Random) -> float:
        """Decide how many seconds the next answer takes."""
        if not self.latency_p99_s:
            return self.latency_s
        spread = math.log(self.latency_p99_s / self.latency_s) / _P99_DEVIATIONS
        return chance.lognormvariate(math.log(self.latency_s), spread)

    def retry_after(self) -> tuple[tuple[str, str], ...]:
        """Return the `Retry-After` header in whole seconds, or nothing where none is sent."""
        return () if self.retry_after_s is None else (("Retry-After", str(math.ceil(self.retry_after_s))),)


def parse_faults(text: str | bytes) -> Faults:
    """Read faults from JSON; raise `InvalidArgumentError`, which names the field, for what cannot be."""
    try:
        return msgspec.json.decode(text, type=Faults)
    except msgspec.ValidationError as error:
        return _refuse(str(error))
    except (msgspec.DecodeError, UnicodeError):
        raise InvalidArgumentError(
            "The faults are not JSON.", hint='Write them as {"error_share": 0.5, "latency_s": 0.2}.'
        ) from None


def _refuse(problem: str) -> Never:
    """Say in our words what the library found wrong."""
    names = Faults.__struct_fields__
    if unknown := re.search("unknown field `(.*)`", problem):
        raise InvalidArgumentError(
            f"{unknown[1]!r} is not a fault.",
            hint=suggest(unknown[1], names),
        )
    sentence, _, place = problem.partition(" - at `$.")
    if sentence.startswith("Expected"):  # the library's own words, which leave out of what
        sentence = f"{place.rstrip('`') or 'The faults'}: {sentence}."
    raise InvalidArgumentError(sentence)
