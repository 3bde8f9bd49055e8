"""What an exchange came to, by the outcome table, the vendor's rules, and the code in the answer's body."""

from __future__ import annotations

from fairlead.model.exchange import Broken
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Phase
from fairlead.spec.answer import refusal_in, text_at
from fairlead.spec.outcomes import Verdict, classify, classify_refusal
from fairlead.spec.provider import Provider


def assess(provider: Provider, request: Request, answer: Response | Broken) -> Verdict:
    """Judge an exchange. Where the vendor says errors with a good status, its body is looked into too."""
    if isinstance(answer, Broken):
        return classify(answer.failure, phase=answer.phase, effect=request.effect, rules=provider.errors)
    code = None
    if answer.status >= 400:
        code = text_at(answer, provider.error_code_at)
    elif provider.ok_codes is not None and answer.status < 300 and answer.body:
        refusal = refusal_in(answer, provider.error_code_at, provider.ok_codes)
        if refusal is not None:
            return classify_refusal(answer.status, refusal, effect=request.effect, rules=provider.errors)
    return classify(answer.status, phase=Phase.ANSWERED, effect=request.effect, rules=provider.errors, code=code)
