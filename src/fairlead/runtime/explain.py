"""Turn the end of an exchange into the error that the caller reads: what happened, and what to do."""

from __future__ import annotations

from fairlead import errors
from fairlead.model.exchange import Broken
from fairlead.model.message import Response
from fairlead.runtime.connection import Connection
from fairlead.spec.answer import text_at
from fairlead.spec.outcomes import Verdict

_LONGEST_QUOTE = 200

_HINTS: dict[type[errors.FairleadError], str] = {
    errors.AuthenticationError: "Check the connection's credentials; `fairlead check` tries them.",
    errors.ForbiddenError: "Check what the key is allowed to do in the vendor's dashboard.",
    errors.QuotaExhaustedError: "Wait for the reset, or take a larger plan.",
    errors.ThrottledError: "Set the connection's plan or rate, so that Fairlead keeps within it.",
    errors.HostBlockedError: "Only public addresses are reached; set allow_private = true for one of your own.",
    errors.ConnectError: "Check base_url, the name server and the certificate.",
    errors.AnswerTooLargeError: "Raise the connection's max_answer_bytes if such answers are wanted.",
    errors.AttemptTimeoutError: "Raise the connection's timeouts if the vendor is always this slow.",
}


def explain(verdict: Verdict, answer: Response | Broken, connection: Connection) -> errors.FairleadError:
    """Return the error for a verdict. What the vendor says is quoted, short, and with the credentials masked."""
    kind = verdict.error or errors.UnexpectedAnswerError
    status = None if isinstance(answer, Broken) else answer.status
    message = errors.default_message(kind)
    if isinstance(answer, Broken):
        message = f"{message.rstrip('.')}: {verdict.name}, {answer.detail}." if answer.detail else message
    else:
        said = text_at(answer, connection.provider.error_message_at)
        quote = f': "{mask(said, connection)}"' if said else ""
        message = f"{message.rstrip('.')} (HTTP {answer.status}){quote}."
    return kind(message, hint=_HINTS.get(kind, ""), outcome=verdict.outcome, status=status)


def mask(text: str, connection: Connection) -> str:
    """Cut a vendor's sentence short and mask the connection's credentials in it: some vendors quote them."""
    for secret in connection.credentials.values():
        if secret:
            text = text.replace(secret.reveal(), "***")
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"
