"""What a provider declares, as data for programs and in words for people: the CLI and the documentation read this."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, get_args, get_type_hints

import msgspec

from fairlead.model.outcome import Effect
from fairlead.spec.outcomes import ErrorRule
from fairlead.spec.provider import Credential, Plan, Provider, QuotaReset, Terms
from fairlead.spec.webhook import Webhooks
from fairlead.spec.webhook_text import scheme_text

_SPANS = {1: "second", 60: "minute", 3600: "hour", 86_400: "day"}
_RESETS = {QuotaReset.MIDNIGHT_UTC: "daily, at midnight UTC", QuotaReset.MONTH_UTC: "monthly, in UTC"}


class OperationFeature(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of a capability, and whether this provider has it."""

    name: str
    effect: Effect
    is_supported: bool


class ErrorFeature(msgspec.Struct, frozen=True, kw_only=True):
    """Where the vendor departs from the outcome table, and how that is known."""

    status: int
    code: str | None
    error: str
    evidence: str
    #: What to do about it, where the error alone does not say it.
    hint: str = ""


class WebhookFeature(msgspec.Struct, frozen=True, kw_only=True):
    """What the vendor sends of its own accord, and how it is verified."""

    verified_by: str
    secrets: Sequence[str]
    has_neutral_events: bool
    source: str


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a provider declares and a program can read."""

    id: str
    title: str
    docs_url: str
    api_version: str
    base_url: str
    capabilities: Mapping[str, Sequence[OperationFeature]]
    credentials: Sequence[Credential]
    auth: Sequence[Mapping[str, Any]]
    plans: Mapping[str, Plan]
    default_plan: str | None
    quota_reset: QuotaReset | None
    errors: Sequence[ErrorFeature]
    idempotency_header: str | None
    terms: Terms | None
    data_sent: Sequence[str]
    has_probe: bool
    webhooks: WebhookFeature | None


def describe(provider: Provider) -> Description:
    """Gather what a provider declares."""
    schemes = provider.auth if isinstance(provider.auth, tuple) else (provider.auth,)
    return Description(
        id=provider.id,
        title=provider.title,
        docs_url=provider.docs_url,
        api_version=provider.api_version,
        base_url=provider.base_url,
        capabilities={name: list_operations(provider, name) for name in provider.capabilities},
        credentials=provider.credentials,
        auth=[{"scheme": _scheme(each), **msgspec.structs.asdict(each)} for each in schemes],
        plans=provider.plans,
        default_plan=provider.default_plan,
        quota_reset=provider.quota_reset,
        errors=[
            ErrorFeature(
                status=rule.status, code=rule.code, error=rule.error.code, evidence=rule.evidence, hint=rule.hint
            )
            for rule in provider.errors
        ],
        idempotency_header=provider.idempotency_header,
        terms=provider.terms,
        data_sent=provider.data_sent,
        has_probe=provider.probe is not None,
        webhooks=_webhooks(provider.webhooks),
    )


def _webhooks(declared: Webhooks | None) -> WebhookFeature | None:
    if declared is None:
        return None
    return WebhookFeature(
        verified_by=scheme_text(declared.scheme),
        secrets=declared.secrets,
        has_neutral_events=declared.normalise is not None,
        source=declared.source,
    )


def _scheme(auth: msgspec.Struct) -> str:
    """Return the name that the configuration of a connection without a provider has for it."""
    return type(auth).__name__.lower().removeprefix("api")


def list_operations(provider: Provider, capability: str) -> tuple[OperationFeature, ...]:
    """Return every operation of a capability, with those that the provider has left out marked so.

    What a provider has not overridden in the capability's own class refuses.
    """
    kind = type(provider.capabilities[capability](provider.id))
    neutral = _neutral(kind)
    return tuple(
        OperationFeature(
            name=name, effect=effect, is_supported=getattr(kind, name, None) is not getattr(neutral, name, None)
        )
        for name, effect in kind.EFFECTS.items()
    )


def _neutral(kind: type[Any]) -> type[Any]:
    """Return the capability's own class: the one that first declares `EFFECTS`."""
    return [each for each in kind.__mro__ if "EFFECTS" in vars(each)][-1]


def answer_type(provider: Provider, capability: str, name: str) -> Any:
    """Return the neutral type of what an operation of a capability answers."""
    return _answer_type(getattr(_neutral(type(provider.capabilities[capability](provider.id))), name))


@cache
def _answer_type(operation: Callable[..., Any]) -> Any:
    """Read it from the declaration, where an operation is a generator that returns its answer."""
    return get_args(get_type_hints(operation)["return"])[-1]


def argument_types(provider: Provider, capability: str, name: str) -> tuple[Any, ...]:
    """Return the neutral types of an operation's arguments."""
    return _argument_types(getattr(_neutral(type(provider.capabilities[capability](provider.id))), name))


@cache
def _argument_types(operation: Callable[..., Any]) -> tuple[Any, ...]:
    return tuple(kind for name, kind in get_type_hints(operation).items() if name != "return")


def effect_of(provider: Provider, capability: str, name: str) -> Effect:
    """Return what an operation is declared to do."""
    kind = provider.capabilities[capability]
    effects: Mapping[str, Effect] = getattr(kind, "EFFECTS", None) or kind(provider.id).EFFECTS
    return effects[name]


def many_of(provider: Provider, capability: str) -> Mapping[str, str]:
    """Return the operations for one thing that the provider also has for several: name -> name."""
    declared: Mapping[str, str] = getattr(provider.capabilities[capability](provider.id), "MANY", {})
    supported = {each.name for each in list_operations(provider, capability) if each.is_supported}
    return {one: many for one, many in declared.items() if many in supported}


def iter_facts(provider: Provider) -> Iterator[tuple[str, str, str]]:
    """Yield what there is to say of a provider to people: the topic, what of it, and the word on that."""
    yield "API", "version", provider.api_version
    yield "API", "address", provider.base_url
    for capability in provider.capabilities:
        for each in list_operations(provider, capability):
            yield capability, each.name, each.effect if each.is_supported else "not supported"
    for credential in provider.credentials:
        yield "credentials", credential.name, credential_text(credential)
    for name, plan in provider.plans.items():
        yield "plans", name, plan_text(plan) + (", unless another is set" * (name == provider.default_plan))
    if provider.quota_reset:
        yield "quota", "starts anew", quota_text(provider.quota_reset)
    if provider.idempotency_header:
        yield "repeats", "header", provider.idempotency_header
    for rule in provider.errors:
        yield "its own errors", f"{rule.status} {rule.code or ''}".strip(), _error_text(rule)
    yield from _webhook_facts(provider.webhooks)
    if provider.data_sent:
        yield "data", "sent", ", ".join(provider.data_sent)
    if provider.terms:
        yield "terms", "answers kept", keeping_text(provider.terms)
        yield "terms", "attribution", provider.terms.attribution or "none asked for"
        yield "terms", "source", provider.terms.source


def _webhook_facts(declared: Webhooks | None) -> Iterator[tuple[str, str, str]]:
    if declared is None:
        return
    yield "webhooks", "verified by", scheme_text(declared.scheme)
    yield "webhooks", "events", "neutral, beside the vendor's" if declared.normalise else "the vendor's"
    yield "webhooks", "source", declared.source


def _error_text(rule: ErrorRule) -> str:
    """Say which error it is, what to do about it, and how that is known."""
    return f"{rule.error.code}: {rule.hint} ({rule.evidence})" if rule.hint else f"{rule.error.code}: {rule.evidence}"


def plan_text(plan: Plan) -> str:
    """Say what a plan allows, as in `5 a second, 2 at once`."""
    span = f"a {_SPANS[int(plan.per_s)]}" if plan.per_s in _SPANS else f"in {plan.per_s:g} s"
    return f"{plan.requests} {span}" + (f", {plan.concurrent} at once" if plan.concurrent else "")


def quota_text(reset: QuotaReset | None) -> str:
    """Say when a used-up quota starts anew; nothing where that is not known."""
    return _RESETS[reset] if reset else ""


def keeping_text(terms: Terms | None) -> str:
    """Say how long the vendor's terms allow to keep an answer, as in `1 hour, once agreed`."""
    if terms is None:
        return ""
    if terms.cache_max_age_s == 0:
        return "not at all"
    longest = "" if terms.cache_max_age_s is None else duration_text(terms.cache_max_age_s)
    if terms.cache_needs_permission:
        return ", ".join(filter(None, (longest, "once agreed")))
    return longest or "no limit stated"


def credential_text(credential: Credential) -> str:
    """Say what a credential is and where it is found."""
    kind = ("" if credential.is_required else ", optional") + ("" if credential.is_secret else ", no secret")
    return f"{credential.label}{kind}: {credential.help}"


def duration_text(seconds: float) -> str:
    """Write seconds in the largest unit that is whole, as in `1 hour`."""
    for size, name in sorted(_SPANS.items(), reverse=True):
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return f"{count} {name}{'s' * (count > 1)}"
    return f"{seconds:g} seconds"
