"""The configuration of an application that sends by SendGrid, and by Postmark where that cannot."""

from __future__ import annotations

from pathlib import Path

_CONFIG = """
[connections.first]
provider = "sendgrid"
base_url = "{first}"
allow_private = true
credentials = {{ api_key = "{first_key}"{first_more} }}

[connections.second]
provider = "postmark"
base_url = "{second}"
allow_private = true
credentials = {{ server_token = "{second_key}"{second_more} }}

[routes.email]
connections = ["first", "second"]

[storage]
url = "{store}"
"""


def two_mail_vendors(
    first: str,
    second: str,
    store: str | Path,
    *,
    keys: tuple[str, str] = ("env:FIRST", "env:SECOND"),
    more: tuple[str, str] = ("", ""),
) -> str:
    """Write it for the stand-ins at these URLs; `more` credentials of each begin with a comma."""
    return _CONFIG.format(
        first=first,
        second=second,
        store=store,
        first_key=keys[0],
        second_key=keys[1],
        first_more=more[0],
        second_more=more[1],
    )
