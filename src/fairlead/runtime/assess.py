"""What an exchange came to, by the outcome table, the vendor's rules, and the code in the answer's body."""

from __future__ import annotations

from fairlead.model.exchange import Broken
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Phase
from fairlead.spec.answer import refusal_in, text_at
from fairlead.spec.outcomes import Verdict, by_table, classify, classify_refusal
from fairlead.spec.provider import Provider

# Python 3.11 looks the members of an enumeration up slowly.
_ANSWERED = Phase.ANSWERED


def assess(provider: Provider, request: Request, answer: Response | Broken) -> Verdict:
    """Judge an exchange. Where the vendor says errors with a good status, its body is looked into too."""
    if isinstance(answer, Broken):
        return classify(answer.failure, phase=answer.phase, effect=request.effect, rules=provider.errors)
    if answer.status < 300:
        if provider.ok_codes is not None and answer.body:
            refusal = refusal_in(answer, provider.error_code_at, provider.ok_codes)
            if refusal is not None:
                return classify_refusal(answer.status, refusal, effect=request.effect, rules=provider.errors)
        return by_table(answer.status, _ANSWERED, request.effect)
    code = _code(provider, answer) if answer.status >= 400 else None
    return classify(answer.status, phase=Phase.ANSWERED, effect=request.effect, rules=provider.errors, code=code)


def _code(provider: Provider, answer: Response) -> str | None:
    """Return the vendor's code of an error, from the header or the body."""
    said = answer.headers.get(provider.error_code_header) if provider.error_code_header else None
    return said.partition(":")[0].strip() if said else text_at(answer, provider.error_code_at)
