"""Looker: results of schedules.

Nothing is signed: a token of the instance comes in a header. Facts: community article 'Webhook payload description',
and Looker's own bot, which checks the header `X-Looker-Webhook-Token` (looker-slackbot, its listeners); read
2026-11-25.
"""

from __future__ import annotations

import msgspec

from fairlead.model.event import Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import content_key, parse_json
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import TokenScheme, Webhooks


class _Plan(msgspec.Struct, frozen=True):
    scheduled_plan_id: int | str | None = None
    type: str | None = None


class _Delivery(msgspec.Struct, frozen=True):
    scheduled_plan: _Plan | None = None


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one result of a delivery: of a `Look` or a `Dashboard`; it has no id of its own."""
    delivery: _Delivery = parse_json(incoming.body, _Delivery)
    plan = delivery.scheduled_plan or _Plan()
    subject = None if plan.scheduled_plan_id is None else str(plan.scheduled_plan_id)
    return (
        Notice(key=content_key(incoming.body), type=plan.type or "scheduled_plan", subject=subject, body=incoming.body),
    )


PROVIDER = Provider(
    id="looker",
    title="Looker",
    docs_url="https://cloud.google.com/looker/docs/scheduling-looks-and-dashboards",
    api_version="4.0",
    base_url="https://looker.invalid",  # each instance has its own: `base_url` of the connection says it
    credentials=(
        Credential(
            name="webhook_token",
            label="Webhook token of the instance",
            help="Admin, Webhooks: the token that Looker sends with each of them",
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=TokenScheme(header="x-looker-webhook-token"),
        secrets=("webhook_token",),
        split=split,
        source="looker-slackbot, its listeners, read 2026-11-25",
    ),
)
