"""What stand-ins for vendors of email share: the letters they took, whom they no longer write to, what they tell.

A vendor's fake reads its own requests into a `Letter` and writes its own notices of one; the rest is here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from email.utils import getaddresses
from random import Random
from typing import Any
from uuid import UUID

import msgspec

from fairlead.model.headers import Pairs
from fairlead.model.ports import Clock
from fairlead.testing.faults import Faults
from fairlead.testing.post import post_notice
from fairlead.testing.server import FakeServer

#: Name and address, as they were written.
Mailbox = tuple[str, str]


class Enclosure(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a letter. With a `content_id` it is a picture of the HTML."""

    name: str
    type: str
    content: bytes
    content_id: str | None = None


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the vendor understood it, to those who each see the others. `at` is in seconds since 1970."""

    id: str
    at: float
    sender: Mailbox
    to: Sequence[Mailbox] = ()
    cc: Sequence[Mailbox] = ()
    bcc: Sequence[Mailbox] = ()
    reply_to: Sequence[Mailbox] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    enclosures: Sequence[Enclosure] = ()
    headers: Mapping[str, str] = {}
    tags: Sequence[str] = ()
    metadata: Mapping[str, str] = {}
    template: str | None = None
    variables: Mapping[str, Any] = {}
    track_opens: bool | None = None
    track_clicks: bool | None = None
    send_at: float | None = None

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses of everybody who gets it."""
        return tuple(email for _, email in (*self.to, *self.cc, *self.bcc))

    @property
    def reference(self) -> str | None:
        """The caller's own name for the call, where it travelled in the metadata."""
        return self.metadata.get("fairlead_call")


class MailFake(FakeServer):
    """A vendor of email, with its books: `sent` holds every letter, and `suppressed` whom it no longer writes to.

    What it took can be looked up after `visible_after_s`. `senders` are the domains that it sends for; None is any.
    """

    def __init__(
        self,
        *,
        visible_after_s: float = 0.0,
        senders: Sequence[str] | None = None,
        port: int = 0,
        faults: Faults | None = None,
        random: Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(port=port, faults=faults, random=random, clock=clock)
        self.visible_after_s = visible_after_s
        self.senders = senders
        self.sent: list[Letter] = []
        #: What became of which letter, for whom, in the vendor's words.
        self.happened: list[tuple[str, Letter, str]] = []
        self.suppressed: set[str] = set()

    def forget(self) -> None:
        """Drop every letter, and write to everybody again."""
        self.sent.clear()
        self.happened.clear()
        self.suppressed.clear()

    def new_id(self) -> str:
        """Return an id that no letter has."""
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def sends_for(self, address: str) -> bool:
        """Whether the account may send in the name of an address."""
        return self.senders is None or address.rpartition("@")[2].lower() in self.senders

    def visible(self) -> list[Letter]:
        """Return the letters that a look-up shows by now, the newest first."""
        now = self.clock.wall()
        return [each for each in reversed(self.sent) if each.at + self.visible_after_s <= now]

    def find(self, identifier: str) -> Letter | None:
        """Return a letter that a look-up shows by now."""
        return next((each for each in self.visible() if each.id == identifier), None)

    def sent_twice(self) -> list[tuple[str, str]]:
        """Return each call and recipient for which more than one letter was taken."""
        counts = Counter((each.reference or each.id, email) for each in self.sent for email in each.recipients)
        return [pair for pair, count in counts.items() if count > 1]

    def became_of(self, letter: Letter, recipient: str | None = None) -> list[str]:
        """Return what became of a letter so far, for all or for one."""
        return [kind for kind, other, who in self.happened if other is letter and recipient in {None, who}]

    # What it tells of its own accord.

    @property
    def webhook_secrets(self) -> Mapping[str, str]:
        """What its notices are verified with, by the name of the credential."""
        raise NotImplementedError

    def notice(self, kind: str, letter: Letter, recipient: str) -> tuple[bytes, Pairs]:
        """Return the body and the headers, signature included, by which the vendor tells what became of a letter."""
        raise NotImplementedError

    async def tell(self, url: str, kind: str, letter: Letter, recipient: str | None = None) -> int:
        """Send a notice to a URL; return the status of the answer. Raise `ConnectionError` where there is none.

        `kind` is the vendor's own word for what happened.
        """
        recipient = recipient or letter.recipients[0]
        self.happened.append((kind, letter, recipient))
        body, headers = self.notice(kind, letter, recipient)
        return await post_notice(url, headers, body)


def mailboxes(text: str | Sequence[str] | None) -> tuple[Mailbox, ...]:
    """Read addresses as a header has them, several after commas; encoded words (RFC 2047) stay as they are."""
    return tuple(getaddresses([text] if isinstance(text, str) else list(text or ())))
