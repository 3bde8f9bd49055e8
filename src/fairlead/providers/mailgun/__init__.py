"""Mailgun: email by its API, and what it tells of emails.

Docs: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages. Version: v3, in the path;
facts from the vendor's OpenAPI description (mailgun/mailgun-mcp-server 78d610f, 3.0.0, 2026-07-09), and from the pages
named beside them. Domains in the EU set `base_url` to https://api.eu.mailgun.net.
"""

from __future__ import annotations

from fairlead.errors import ForbiddenError, InvalidRequestError
from fairlead.providers.mailgun.email import MailgunEmail, probe
from fairlead.providers.mailgun.webhooks import WEBHOOKS
from fairlead.spec.outcomes import ErrorRule
from fairlead.spec.provider import Basic, Credential, Provider, Terms

PROVIDER = Provider(
    id="mailgun",
    title="Mailgun",
    docs_url="https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages",
    api_version="v3",
    base_url="https://api.mailgun.net",
    credentials=(
        Credential(
            name="api_key",
            label="API key",
            help="https://app.mailgun.com/settings/api_security; a sending key of the domain may send, and not look up",
        ),
        Credential(
            name="domain",
            label="Sending domain",
            help="As under 'Domains', as mg.example.com; one in the EU needs base_url = 'https://api.eu.mailgun.net'",
            is_secret=False,
        ),
        Credential(
            name="webhook_secret",
            label="HTTP webhook signing key",
            help="API Security, 'HTTP webhook signing key': it is not the API key",
            is_required=False,
        ),
    ),
    auth=Basic(password="api_key", fixed_user="api", path=("domain",)),  # noqa: S106  # the name of a field
    capabilities={"email": MailgunEmail},
    probe=probe,
    has_free_probe=True,
    errors=(
        ErrorRule(
            status=403,
            error=ForbiddenError,
            hint="Verify the domain under 'Domains'; a sandbox domain writes to authorised recipients alone.",
            evidence="RFC 9110 §15.5.4; OpenAPI description 3.0.0 (2026-07-09), event 'rejected', on sandbox domains",
        ),
        ErrorRule(
            status=404,
            error=ForbiddenError,
            hint="Compare the domain with that under 'Domains'; one in the EU needs base_url = "
            "'https://api.eu.mailgun.net'.",
            evidence="django-anymail 8c40cc4 (2026-07-30): a terse 404, 'Domain not found', for unknown sender domains "
            "and for those of the other region",
        ),
        ErrorRule(
            status=413,
            error=InvalidRequestError,
            hint="Send a link in place of the attachment: a message may have 25 MB, encoded.",
            evidence="RFC 9110 §15.5.14; documentation.mailgun.com, 'Messages': at most 25 MB (read 2026-11-25)",
        ),
    ),
    error_message_at=("message",),
    terms=Terms(
        cache_max_age_s=0,
        source="What became of an email changes by the minute: nothing is kept, so the terms were not read for it "
        "(2026-11-25)",
    ),
    webhooks=WEBHOOKS,
    data_sent=("names and addresses", "subjects, bodies and attachments", "tags and metadata"),
)
