"""Twilio SendGrid: email by its Web API, and what it tells of emails.

Docs: https://www.twilio.com/docs/sendgrid/api-reference/mail-send. Version: v3, in the path; facts from the vendor's
OpenAPI descriptions (twilio/sendgrid-oai dbe0e0d, 2026-01-22) of mail, email activity and scopes, and from the pages
named beside them.
Subusers in the EU set `base_url` to https://api.eu.sendgrid.com.
"""

from __future__ import annotations

from fairlead.errors import ForbiddenError, InvalidRequestError, QuotaExhaustedError
from fairlead.providers.sendgrid.email import SendgridEmail, probe
from fairlead.providers.sendgrid.webhooks import WEBHOOKS
from fairlead.spec.outcomes import ErrorRule
from fairlead.spec.provider import Bearer, Credential, Provider, Terms

PROVIDER = Provider(
    id="sendgrid",
    title="Twilio SendGrid",
    docs_url="https://www.twilio.com/docs/sendgrid/api-reference/mail-send",
    api_version="v3",
    base_url="https://api.sendgrid.com",
    credentials=(
        Credential(
            name="api_key",
            label="API key",
            help="Settings, API Keys, at https://app.sendgrid.com: with 'Mail Send', and 'Email Activity' to settle",
        ),
        Credential(
            name="webhook_public_key",
            label="Verification key of the event webhook",
            help="Settings, Mail Settings, Event Webhooks, Signed Event Webhook: 'Verification Key'",
            is_secret=False,
            is_required=False,
        ),
    ),
    auth=Bearer("api_key"),
    capabilities={"email": SendgridEmail},
    probe=probe,
    has_free_probe=True,
    errors=(
        ErrorRule(
            status=401,
            code="Maximum credits exceeded",
            error=QuotaExhaustedError,
            hint="Wait until the plan's credits start anew, or take a larger plan.",
            evidence="sendgrid/sendgrid-nodejs issue 1032 (2020-01-23): the plan's emails are used up",
        ),
        ErrorRule(
            status=403,
            error=ForbiddenError,
            hint="Verify the sender under Settings, Sender Authentication; and see that the key has 'Mail Send'.",
            evidence="Twilio's error 60222, 'The from address does not match a verified Sender Identity', HTTP 403; "
            "read 2026-11-25",
        ),
        ErrorRule(
            status=413,
            error=InvalidRequestError,
            hint="Send a link in place of the attachment: all of a message may have 30 MB, encoded.",
            evidence="tsg_mail_v3 (2026-01-22), response 413 of POST /v3/mail/send",
        ),
    ),
    error_code_at=("errors", "message"),
    error_message_at=("errors", "message"),
    terms=Terms(
        cache_max_age_s=0,
        source="What became of an email changes by the minute: nothing is kept, so the terms were not read for it "
        "(2026-11-25)",
    ),
    webhooks=WEBHOOKS,
    data_sent=("names and addresses", "subjects, bodies and attachments", "tags and metadata"),
)
