"""Resend: email by its API, and what it tells of emails.

Docs: https://resend.com/docs/api-reference/emails/send-email. Unversioned; facts from the vendor's OpenAPI description
(resend/resend-openapi fd6f395, 1.5.0, 2026-08-21), and from the pages named beside them.
"""

from __future__ import annotations

from fairlead.errors import AuthenticationError, ConflictError, ForbiddenError, QuotaExhaustedError
from fairlead.providers.resend.email import ResendEmail, probe
from fairlead.providers.resend.webhooks import WEBHOOKS
from fairlead.spec.outcomes import ErrorRule
from fairlead.spec.provider import Bearer, Credential, Plan, Provider, Terms

_ERRORS = "resend.com/docs/api-reference/errors, read 2026-11-25"

PROVIDER = Provider(
    id="resend",
    title="Resend",
    docs_url="https://resend.com/docs/api-reference/emails/send-email",
    api_version="unversioned",
    base_url="https://api.resend.com",
    credentials=(
        Credential(
            name="api_key",
            label="API key",
            help="https://resend.com/api-keys: one with 'Full access'; another can send, but not be tried or ask",
        ),
        Credential(
            name="webhook_secret",
            label="Signing secret of the webhook",
            help="Webhooks, the webhook: 'Signing Secret', whole, as whsec_...",
            is_required=False,
        ),
    ),
    auth=Bearer("api_key"),
    capabilities={"email": ResendEmail},
    probe=probe,
    has_free_probe=True,
    # Page 'Rate limit', read 2026-11-25: two a second, of all keys of a team together.
    plans={"default": Plan(requests=2, per_s=1)},
    default_plan="default",
    errors=(
        ErrorRule(
            status=401,
            code="restricted_api_key",
            error=ForbiddenError,
            hint="Use a key with 'Full access': this one may only send.",
            evidence=_ERRORS,
        ),
        ErrorRule(status=403, code="invalid_api_key", error=AuthenticationError, evidence=_ERRORS),
        ErrorRule(
            status=403,
            error=ForbiddenError,
            hint="Verify the sender's domain at https://resend.com/domains; until then mail goes to yourself alone.",
            evidence=f"{_ERRORS}: validation_error",
        ),
        ErrorRule(
            status=409,
            code="invalid_idempotent_request",
            error=ConflictError,
            hint="Something else was sent with this key before: look at the message that it stands for.",
            evidence=_ERRORS,
        ),
        ErrorRule(
            status=429,
            code="daily_quota_exceeded",
            error=QuotaExhaustedError,
            hint="Wait until 24 hours have passed, or take a larger plan.",
            evidence=_ERRORS,
        ),
        ErrorRule(
            status=429,
            code="monthly_quota_exceeded",
            error=QuotaExhaustedError,
            hint="Wait for the next month, or take a larger plan.",
            evidence=_ERRORS,
        ),
    ),
    error_code_at=("name",),
    error_message_at=("message",),
    idempotency_header="Idempotency-Key",
    # Page 'Idempotency keys', read 2026-11-25.
    idempotency_window_s=24 * 3600.0,
    terms=Terms(
        cache_max_age_s=0,
        source="What became of an email changes by the minute: nothing is kept, so the terms were not read for it "
        "(2026-11-25)",
    ),
    webhooks=WEBHOOKS,
    data_sent=("names and addresses", "subjects, bodies and attachments", "tags and metadata"),
)
