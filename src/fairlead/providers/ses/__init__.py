"""Amazon SES: email by its API v2, and what it tells of emails.

Docs: https://docs.aws.amazon.com/ses/latest/APIReference-V2/. Version: 2019-09-27, whose paths begin with /v2; facts
from the service's own description (sesv2-2019-09-27.service-2, as botocore 1.44 has it), the page 'Common errors' and
the developer guide's pages named beside them, read 2026-11-25.
"""

from __future__ import annotations

from fairlead.errors import (
    AuthenticationError,
    FairleadError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    QuotaExhaustedError,
    ThrottledError,
)
from fairlead.model.outcome import Outcome
from fairlead.providers.ses.email import SesEmail, probe
from fairlead.providers.ses.webhooks import WEBHOOKS
from fairlead.spec.outcomes import ErrorRule, Wait
from fairlead.spec.provider import Credential, Plan, Provider, SigV4, Terms

_CONTRACT = "sesv2-2019-09-27.service-2, errors of SendEmail; read 2026-11-25"
_COMMON = "AWS, page 'Common errors'; read 2026-11-25"
_CHECK_KEY = (
    "Check access_key_id, secret_access_key and, for temporary ones, session_token; `fairlead check` tries them."
)


def _rule(status: int, code: str, error: type[FairleadError], hint: str, evidence: str = _CONTRACT) -> ErrorRule:
    return ErrorRule(status=status, code=code, error=error, hint=hint, evidence=evidence, outcome=Outcome.NOT_DONE)


PROVIDER = Provider(
    id="ses",
    title="Amazon SES",
    docs_url="https://docs.aws.amazon.com/ses/latest/APIReference-V2/Welcome.html",
    api_version="2019-09-27",
    base_url="https://email.{region}.amazonaws.com",
    credentials=(
        Credential(
            name="access_key_id",
            label="access key id",
            help="IAM, Users, Security credentials: of a user that may ses:SendEmail and ses:GetAccount",
            is_secret=False,
        ),
        Credential(name="secret_access_key", label="secret access key", help="Shown once, when the key is created"),
        Credential(
            name="region",
            label="region",
            help="Where the sender is verified, as eu-west-1",
            is_secret=False,
            pattern="[a-z0-9-]+",  # it becomes part of the host,
        ),
        Credential(
            name="session_token", label="session token", help="Of temporary credentials", is_required=False
        ),
        Credential(
            name="topic_arn",
            label="ARN of the topic",
            help="Where the configuration set publishes its events. Messages of any other topic are refused",
            is_secret=False,
            is_required=False,
        ),
    ),
    auth=SigV4(service="ses", region="us-east-1", region_field="region"),
    capabilities={"email": SesEmail},
    probe=probe,
    has_free_probe=True,
    # Page 'Service quotas': out of the sandbox, the account says what is allowed.
    plans={"sandbox": Plan(requests=1, per_s=1.0)},
    default_plan="sandbox",
    errors=(
        _rule(400, "MessageRejected", ForbiddenError,
              "Verify the sender in this region; in the sandbox every recipient too."),
        _rule(400, "MailFromDomainNotVerifiedException", ForbiddenError,
              "Verify the domain of the sender in this region."),
        _rule(400, "AccountSuspendedException", ForbiddenError, "Ask the vendor why the account may not send."),
        _rule(400, "SendingPausedException", ForbiddenError,
              "Resume sending in the console, for the account or the configuration set."),
        _rule(400, "LimitExceededException", QuotaExhaustedError, "Ask for a larger quota in the console."),
        _rule(400, "BadRequestException", InvalidRequestError, "Read what the vendor says of the message."),
        _rule(404, "NotFoundException", NotFoundError,
              "Create the template or the configuration set in this region, or correct its name."),
        *(
            ErrorRule(
                status=status, code=code, error=ThrottledError, is_transient=True, wait=Wait.RETRY_AFTER,
                outcome=Outcome.NOT_DONE, evidence=evidence,
                hint="Set the connection's rate to what the account allows, or ask for a larger sending quota.",
            )
            for status, code, evidence in (
                (429, "TooManyRequestsException", _CONTRACT),
                (400, "ThrottlingException", "Developer guide, 'Errors related to sending quotas', read 2026-11-25"),
            )
        ),
        _rule(403, "AccessDeniedException", ForbiddenError, "Allow ses:SendEmail in the user's policy.", _COMMON),
        _rule(403, "OptInRequired", ForbiddenError, "Subscribe the account to the service, in the console.", _COMMON),
        ErrorRule(status=403, error=AuthenticationError, hint=_CHECK_KEY, evidence=f"{_COMMON}: the rest is of keys"),
    ),
    error_code_header="x-amzn-errortype",
    error_message_at=("message",),
    terms=Terms(
        cache_max_age_s=0,
        source="What became of an email changes by the minute: nothing is kept, so the terms were not read for it "
        "(2026-11-25)",
    ),
    webhooks=WEBHOOKS,
    data_sent=("names and addresses", "subjects, bodies and attachments", "tags and metadata"),
)  # fmt: skip
