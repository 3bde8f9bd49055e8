"""The declaration of a provider: data from which validation, prompts, masking and docs are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from fairlead.errors import Decline
from fairlead.model.headers import Pairs
from fairlead.model.operation import Operation
from fairlead.spec.encoding import Encoding
from fairlead.spec.outcomes import ErrorRule
from fairlead.spec.pagination import Pagination
from fairlead.spec.webhook import Webhooks


class Place(StrEnum):
    """Where a credential travels."""

    HEADER = "header"
    QUERY = "query"
    PATH = "path"


class ApiKey(msgspec.Struct, frozen=True):
    """A credential field sent as it is, under its name in a header or the query, or for `{name}` in the path."""

    field: str
    place: Place
    name: str


class Basic(msgspec.Struct, frozen=True):
    """HTTP Basic (RFC 7617) from two credential fields, or from one where everybody has the same user.

    `path` are fields that stand in the path beside it, each for `{its name}`.
    """

    user: str = "user"
    password: str = "password"  # noqa: S105  # the name of a field
    fixed_user: str = ""
    path: tuple[str, ...] = ()


class Bearer(msgspec.Struct, frozen=True):
    """A bearer token (RFC 6750) from one credential field."""

    field: str = "token"


class Hmac(msgspec.Struct, frozen=True, kw_only=True):
    """An HMAC-SHA256 (RFC 2104) of `message`, keyed with one credential field, in a header.

    `message` is a template of `{method}`, `{path}` (with that of the base URL), `{query}` (as sent), `{timestamp}`
    (whole seconds since 1970) and `{body}`. `id_field` is a credential sent beside it, where the vendor asks whose
    signature it is.
    """

    header: str
    field: str = "secret"
    message: str = "{method}\n{path}\n{timestamp}\n{body}"
    encoding: Encoding = Encoding.HEX
    prefix: str = ""
    timestamp_header: str = "x-timestamp"
    id_header: str | None = None
    id_field: str = "id"
    #: The path of the base URL, which belongs to what the vendor sees.
    base_path: str = ""


class SigV4(msgspec.Struct, frozen=True, kw_only=True):
    """AWS Signature Version 4 for one service in one region, from three credential fields.

    The session token is optional: temporary credentials have one.
    """

    service: str
    region: str
    access_key_id: str = "access_key_id"
    secret_access_key: str = "secret_access_key"  # noqa: S105  # the name of a field
    session_token: str = "session_token"  # noqa: S105  # likewise
    #: The credential field with the region, where that is a connection's own.
    region_field: str | None = None


Auth = tuple[ApiKey, ...] | Basic | Bearer | Hmac | SigV4


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a connection must be given."""

    name: str
    label: str
    help: str
    is_secret: bool = True
    is_required: bool = True
    #: A regular expression that a good value matches whole.
    pattern: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one price plan of the vendor allows.

    `requests` in `per_s` seconds are kept however the vendor counts, unless it says that it fills a bucket evenly:
    then `burst` is what the bucket holds. `quota` is in the vendor's points, from one `quota_reset` to the next.
    """

    requests: int
    per_s: float
    burst: int | None = None
    concurrent: int | None = None
    quota: float | None = None


class QuotaReset(StrEnum):
    """When the vendor's quota starts anew."""

    MIDNIGHT_UTC = "midnight_utc"
    MONTH_UTC = "month_utc"


class Reset(StrEnum):
    """How a vendor writes when a limit starts anew."""

    #: Told apart by what it looks like; milliseconds to the reset do not look like any, and must be declared.
    ANY = "any"
    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    #: Seconds since 1970.
    EPOCH = "epoch"
    EPOCH_MS = "epoch_ms"


class LimitHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """The headers in which a vendor reports one of its limits. Those it does not send are None.

    Only names that are the vendor's own need a declaration: the `X-RateLimit-`, `X-Rate-Limit-` and `RateLimit`
    families are known.
    """

    #: What the limit is called, to tell several apart.
    name: str = ""
    limit: str | None = None
    remaining: str | None = None
    used: str | None = None
    #: A header with used and limit in one, as `32/40`.
    used_of_limit: str | None = None
    reset: str | None = None
    reset_is: Reset = Reset.ANY
    #: The limit is the plan's `quota`, which starts anew at the provider's `quota_reset`.
    is_quota: bool = False


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the vendor's terms allow to do with its answers. `source` says where and when they were read."""

    source: str
    #: The longest that an answer may be kept, in seconds; None where the contract with the vendor says it.
    cache_max_age_s: float | None = None
    #: Nothing may be kept until the user says, by `cache_permitted`, that the vendor has agreed.
    cache_needs_permission: bool = False
    attribution: str = ""


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor's API as we know it."""

    id: str
    title: str
    docs_url: str
    api_version: str
    #: `{region}` in it is the credential of that name, which is no secret.
    base_url: str
    credentials: tuple[Credential, ...]
    auth: Auth
    #: Where else the vendor takes a key, and clients of its API may put theirs; `auth` says where ours goes.
    key_slots: tuple[ApiKey, ...] = ()
    #: Capability name -> the class with its operations; it is made with the name of the connection. Where the
    #: vendor only sends to us, there is none.
    capabilities: Mapping[str, Callable[[str], Any]]
    #: The cheapest call that proves the credentials.
    probe: Callable[[], Operation[Any]] | None = None
    #: The probe is not charged for, in money or in quota: it may be repeated in the background.
    has_free_probe: bool = False
    plans: Mapping[str, Plan] = {}
    #: The plan of somebody who has not said which one is theirs.
    default_plan: str | None = None
    quota_reset: QuotaReset | None = None
    #: The headers with the vendor's own names for what is left.
    limits: tuple[LimitHeaders, ...] = ()
    errors: tuple[ErrorRule, ...] = ()
    #: The header with an error's code; what follows a colon in it is not part of the code.
    error_code_header: str | None = None
    #: Where an error body holds its code and its sentence.
    error_code_at: tuple[str, ...] = ()
    error_message_at: tuple[str, ...] = ()
    #: Of a payment that was refused: where an error body has the reason (the first that is there counts), and what
    #: the vendor's codes mean; what is not among them is `Decline.OTHER`.
    decline_code_at: tuple[tuple[str, ...], ...] = ()
    declines: Mapping[str, Decline] = {}
    #: Where good statuses carry an error code too: the codes that mean success. None where a good status says enough.
    ok_codes: tuple[str, ...] | None = None
    idempotency_header: str | None = None
    #: For how long the vendor knows a key, in seconds; later nothing is repeated with it. An hour where it is not said.
    idempotency_window_s: float = 3600.0
    #: Headers of every request that does not have its own: the version of the API, where a header pins it.
    fixed_headers: Pairs = ()
    pagination: Pagination | None = None
    terms: Terms | None = None
    webhooks: Webhooks | None = None
    #: The vendor's API is to be spoken to in HTTP/2.
    http2: bool = False
    #: What kinds of the application's data a call hands to the vendor.
    data_sent: tuple[str, ...] = ()


def variable_name(provider: str, credential: str) -> str:
    """Return the environment variable that is suggested for a credential, as `ACME_API_KEY`."""
    return re.sub("[^A-Z0-9_]", "_", f"{provider}_{credential}".upper())
