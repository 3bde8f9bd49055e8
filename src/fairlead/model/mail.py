"""One mail transaction (RFC 5321 §3.3) and its answer, as providers see them: plain values, no I/O.

A `Mail` is a `Request`, and its answer a `Response`: so the pipeline treats it as any other, with breaker, limits,
retry, deadline and marks, and `Transport.exchange` stays the one seam to the network. Its body is the message, its
headers are what signs in; the status of its answer is the server's reply code, the body a `MailAnswer`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from fairlead.errors import InvalidArgumentError
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect

#: RFC 5321 §4.1.2 without quoted spaces, which no vendor takes: nothing that would end the address, or the line.
_PATH = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")
# RFC 3463 §2: class, subject and detail, which stand before the text (RFC 2034 §4).
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
#: The reply codes that are known; of others the first digit says what is meant (RFC 5321 §4.2.1).
_KNOWN = frozenset(
    {
        250, 251, 252, 421, 450, 451, 452, 454, 455, 500, 501, 502, 503, 504, 521, 530, 534, 535, 538, 550, 551, 552,
        553, 554, 555, 556,
    }
)  # fmt: skip
_FOR_OTHERS = {2: 250, 4: 451, 5: 554}


class Mail(Request, frozen=True, kw_only=True):
    """A message for a mail server: from whom and to whom on the envelope, and `body` as it is sent.

    The body has neither Date nor Message-ID: both are written when it leaves, the latter from `message_id` where that
    is set. Without recipients nothing is handed over: the server is only asked whether it lets us in.
    """

    sender: str
    recipients: tuple[str, ...]
    message_id: str | None = None

    def __repr__(self) -> str:  # who writes to whom is private
        return f"Mail({len(self.recipients)} recipients, {len(self.body)} bytes, {self.effect})"

    @classmethod
    def build(
        cls, sender: str, recipients: Sequence[str], body: bytes, *, message_id: str | None = None
    ) -> Mail:  # a repeat is a second message: no mail server looks for the first
        """Build a transaction; raise `InvalidArgumentError` for what cannot stand on an envelope."""
        for each in (sender, *recipients):
            if not _PATH.fullmatch(each):
                raise InvalidArgumentError(
                    "An address of the envelope is none.", hint="Write it in ASCII: a domain as IDNA has it."
                )
        return cls(
            method="MAIL",
            path="/",
            effect=Effect.ONCE,
            body=body,
            sender=sender,
            recipients=tuple(dict.fromkeys(recipients)),
            message_id=message_id,
        )

    @classmethod
    def knock(cls) -> Mail:
        """Build what proves that the server is there and takes the credentials."""
        return cls(method="NOOP", path="/", effect=Effect.READ, sender="", recipients=())


class Reply(msgspec.Struct, frozen=True):
    """What a server says: a code, and a text for people."""

    code: int
    text: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it says yes."""
        return 200 <= self.code < 300

    @property
    def enhanced(self) -> str:
        """The code of RFC 3463 that says more, as `5.1.1`; empty where there is none."""
        found = _ENHANCED.match(self.text)
        return found[1] if found else ""

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip()


class MailAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a transaction: the final reply, at which command it fell, and the reply for each recipient.

    Of recipients that were refused while others were not, the message is on its way to those others alone.
    """

    step: str
    text: str = ""
    enhanced: str = ""
    message_id: str = ""
    recipients: dict[str, Reply] = {}

    @classmethod
    def of(cls, response: Response) -> MailAnswer:
        """Read the answer to a `Mail`."""
        return msgspec.json.decode(response.body, type=cls)


def answer_mail(
    step: str, reply: Reply, *, message_id: str = "", recipients: dict[str, Reply] | None = None
) -> Response:
    """Return the answer to a `Mail`; a code that nobody knows is that which its first digit stands for."""
    status = reply.code if reply.code in _KNOWN else _FOR_OTHERS.get(reply.code // 100, 554)
    answer = MailAnswer(
        step=step, text=reply.text, enhanced=reply.enhanced, message_id=message_id, recipients=recipients or {}
    )
    return Response(status=status, headers=Headers(), body=msgspec.json.encode(answer))
