"""What can be wrong with a vendor, as data: how often, how slow, and in which way."""

from __future__ import annotations

import math
from enum import StrEnum
from random import Random

import msgspec

#: How many standard deviations the 99th percentile of a normal distribution lies above its middle.
_P99_DEVIATIONS = 2.3263478740408408


class Fault(StrEnum):
    """What happens to one answer."""

    NONE = "none"
    #: The vendor's own error, with `error_status`.
    ERROR = "error"
    #: The connection is reset (RST) with half of the body sent.
    RESET = "reset"
    #: Nothing is ever answered.
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

    #: The latency's median and 99th percentile, lognormal between; a `latency_p99_s` of 0 makes every answer take
    #: `latency_s`.
    latency_s: float = 0.0
    latency_p99_s: float = 0.0
    error_share: float = 0.0
    error_status: int = 500
    reset_share: float = 0.0
    hang_share: float = 0.0
    malformed_share: float = 0.0
    wrong_type_share: float = 0.0
    #: Up for so long, then down for so long, and again. Both or neither.
    flap_up_s: float = 0.0
    flap_down_s: float = 0.0
    #: The vendor says that the quota is used up.
    is_quota_exhausted: bool = False
    #: The vendor says that requests come too fast.
    is_throttled: bool = False
    #: What `Retry-After` says, where the vendor sends one; None sends none.
    retry_after_s: float | None = None

    def __post_init__(self) -> None:
        for name, share in self._shares().items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {share}.")
        if sum(self._shares().values()) > 1 + 1e-9:
            raise ValueError("The shares exclude each other and cannot add up to more than 1.")
        if min(self.latency_s, self.latency_p99_s, self.flap_up_s, self.flap_down_s) < 0:
            raise ValueError("A time cannot be negative.")
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
