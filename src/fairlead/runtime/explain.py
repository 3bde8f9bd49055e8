"""Turn the end of an exchange into the error that the caller reads: what happened, and what to do."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from urllib.parse import quote, quote_plus

from fairlead import errors
from fairlead.auth.sign import sign
from fairlead.model.exchange import Broken
from fairlead.model.message import Request, Response
from fairlead.runtime.connection import Connection
from fairlead.spec.answer import text_at
from fairlead.spec.card_numbers import mask_card_numbers
from fairlead.spec.outcomes import Verdict

_LONGEST_QUOTE = 200
# What is shorter is a public test key: to mask it would only riddle the text.
_SHORTEST_SECRET = 4

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
        quoted = f': "{shorten(mask(said, connection))}"' if said else ""
        spoken = "SMTP" if connection.provider.base_url.startswith("smtp") else "HTTP"
        message = f"{message.rstrip('.')} ({spoken} {answer.status}){quoted}."
        if kind is errors.DeclinedError:
            return _declined(message, verdict, answer, connection)
    return kind(message, hint=verdict.hint or _HINTS.get(kind, ""), outcome=verdict.outcome, status=status)


def _declined(message: str, verdict: Verdict, answer: Response, connection: Connection) -> errors.DeclinedError:
    """Return the error for a payment that was refused, with the reason."""
    provider = connection.provider
    codes = [code for path in provider.decline_code_at if (code := text_at(answer, path))]
    known = next((code for code in codes if code in provider.declines), None)
    return errors.DeclinedError(
        message,
        decline=provider.declines[known] if known else errors.Decline.OTHER,
        vendor_code=known or next(iter(codes), None),
        hint=verdict.hint,
        outcome=verdict.outcome,
        status=answer.status,
    )


def explain_stumble(cause: Exception, verdict: Verdict) -> errors.UnexpectedAnswerError:
    """Return the error for a provider that broke on an answer: where, and not with what, which may be private."""
    *_, last = traceback.extract_tb(cause.__traceback__)
    place = f"{type(cause).__name__} in {Path(last.filename).name}, line {last.lineno}"
    return errors.UnexpectedAnswerError(
        f"The provider stumbled over the answer: {place}.",
        hint="This is a fault of the provider; please report it.",
        outcome=verdict.outcome,
    )


def conceal(error: errors.FairleadError, connection: Connection) -> errors.FairleadError:
    """Mask the connection's credentials in an error that a provider made of an answer; return it."""
    error.message = mask(error.message, connection)
    error.args = (error.message,)
    return error


def shorten(text: str) -> str:
    """Return a vendor's sentence on one line, and cut where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


def mask(text: str, connection: Connection) -> str:
    """Mask the connection's credentials, and card numbers, in what a vendor says: some quote what they were sent."""
    text = mask_card_numbers(text)
    signed = sign(Request.get("/"), connection.provider.auth, connection.credentials)
    values = {value.rpartition(" ")[2] for _, value in (*signed.query, *signed.headers)}  # without 'Bearer' or 'Basic'
    told = {each.name for each in connection.provider.credentials if not each.is_secret}  # a region says where to look
    values |= {secret.reveal() for name, secret in connection.credentials.items() if name not in told}
    forms = {form for value in values for form in (value, quote(value), quote(value, safe=""), quote_plus(value))}
    long_enough = (form for form in forms if len(form) >= _SHORTEST_SECRET)
    longest_first = sorted(long_enough, key=len, reverse=True)  # one credential may begin like another
    if not longest_first:
        return text
    return re.sub("|".join(map(re.escape, longest_first)), "***", text, flags=re.IGNORECASE)
