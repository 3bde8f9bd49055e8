"""What stand-ins for processors of payments share: the books of what they took, and what they tell of their own accord.

A vendor's fake has its own objects and states. Whenever money moves it writes a `Line` into the books here, and
whatever it would tell by a webhook it hands to `announce`: `deliver` sends that, as often and in whichever order a test
wants, and again what was not answered with 2xx.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from random import Random

import msgspec

from fairlead.model.headers import Pairs
from fairlead.model.message import Response
from fairlead.model.money import Money
from fairlead.model.ports import Clock
from fairlead.testing.faults import Faults
from fairlead.testing.post import posting
from fairlead.testing.server import FakeServer


class Moved(StrEnum):
    """Why money moved."""

    CHARGE = "charge"
    REFUND = "refund"
    DISPUTE = "dispute"
    DISPUTE_REVERSED = "dispute_reversed"
    PAYOUT = "payout"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Money that moved. `gross` is above zero where it came in; `fee` is what the vendor kept beside it.

    `payment` is the id by which the vendor's API calls the payment, `reference` our id of the call that asked for it.
    """

    id: str
    kind: Moved
    at: float
    gross: Money
    fee: Money
    payment: str | None = None
    reference: str | None = None

    @property
    def net(self) -> Money:
        """What of it is in the balance."""
        return self.gross - self.fee


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """An event, as it is sent: whenever it is repeated, with the same id and the same body."""

    id: str
    type: str
    body: bytes


class PaymentFake(FakeServer):
    """A processor with its books: `lines` is all money that ever moved. What it made can be found after a while."""

    def __init__(
        self,
        *,
        visible_after_s: float = 0.0,
        port: int = 0,
        faults: Faults | None = None,
        random: Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(port=port, faults=faults, random=random, clock=clock)
        self.visible_after_s = visible_after_s
        self.lines: list[Line] = []
        #: Announced, and not yet taken by anybody.
        self.outbox: list[Announcement] = []
        #: Everything that was ever announced, in order.
        self.announced: list[Announcement] = []

    def forget(self) -> None:
        """Close the books, and begin new ones."""
        self.lines.clear()
        self.outbox.clear()
        self.announced.clear()

    # The books.

    def book(
        self,
        kind: Moved,
        gross: Money,
        *,
        fee: int = 0,
        payment: str | None = None,
        reference: str | None = None,
        identifier: str,
    ) -> Line:
        """Write down that money moved."""
        line = Line(
            id=identifier,
            kind=kind,
            at=self.clock.wall(),
            gross=gross,
            fee=Money(fee, gross.currency),
            payment=payment,
            reference=reference,
        )
        self.lines.append(line)
        return line

    def charged_twice(self) -> list[str]:
        """Return each call for which money was taken more than once."""
        counts = Counter(each.reference for each in self.lines if each.kind is Moved.CHARGE and each.reference)
        return [reference for reference, count in counts.items() if count > 1]

    def balance(self) -> Mapping[str, int]:
        """Return what is in the balance by now, in minor units, by currency."""
        sums: Counter[str] = Counter()
        for line in self.lines:
            sums[line.net.currency] += line.net.minor
        return sums

    # What it tells of its own accord.

    @property
    def webhook_secrets(self) -> Mapping[str, str]:
        """What its events are verified with, by the name of the credential."""
        raise NotImplementedError

    def sign(self, announcement: Announcement, url: str) -> Pairs:
        """Return the headers of one delivery, signature included."""
        raise NotImplementedError

    def announce(self, identifier: str, kind: str, body: bytes) -> None:
        """Have an event sent with the next delivery."""
        announcement = Announcement(id=identifier, type=kind, body=body)
        self.announced.append(announcement)
        self.outbox.append(announcement)

    async def deliver(
        self, url: str, *, chance: Random | None = None, repeat_share: float = 0.0, lose_share: float = 0.0
    ) -> list[int]:
        """Send what is in the outbox; return the statuses of the answers.

        With a `chance`, in any order; a share of them twice, and a share of them never: those are lost for good. What
        was not taken stays for the next time.
        """
        waiting, self.outbox = self.outbox, []
        if chance is not None:
            waiting = [each for each in waiting if chance.random() >= lose_share]
            waiting += [each for each in waiting if chance.random() < repeat_share]
            chance.shuffle(waiting)
        statuses: list[int] = []
        async with posting(url) as post:
            for each in waiting:
                answer = await post(self.sign(each, url), each.body)
                status = answer.status if isinstance(answer, Response) else 0
                statuses.append(status)
                if not 200 <= status < 300 and each not in self.outbox:
                    self.outbox.append(each)
        return statuses

    async def turn(self) -> None:
        """Do what is due by the clock: renew subscriptions, try again what was declined, pay out."""

    def lines_of(self, kind: Moved) -> Sequence[Line]:
        """Return the lines of one kind."""
        return [each for each in self.lines if each.kind is kind]
