"""Every setting there is, with its default. `docs/reference/settings.md` documents each; a test keeps it so."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from fairlead.config.cache import Cache, HttpCache
from fairlead.config.gateway import Gateway
from fairlead.config.group import Count, Group, Seconds, Share
from fairlead.config.policies import Breaker, Chaos, Concurrency, Health, Hedge, Quota, Rate, Retry
from fairlead.config.storage import Storage
from fairlead.config.subscriptions import Subscriptions
from fairlead.config.webhooks import Webhooks


class Timeouts(Group, frozen=True):
    """How long each part of one attempt may take, in seconds."""

    #: Name, address and TLS.
    connect_s: Seconds = 5.0
    #: Between two pieces of the answer.
    read_s: Seconds = 10.0
    #: All of it.
    attempt_s: Seconds = 15.0


class Auth(Group, frozen=True):
    """How a connection without a provider signs: `bearer`, `basic`, a `key` in a header or the query, or a signature.

    `hmac` (HMAC-SHA256, RFC 2104) and `sigv4` (AWS Signature Version 4) sign every try anew, with the time.
    """

    #: How the credentials travel.
    scheme: Literal["bearer", "basic", "key", "hmac", "sigv4", "none"] = "none"
    #: For `key` and `hmac`: the header it travels in.
    header: str | None = None
    #: For `key`: the query parameter it travels in.
    query: str | None = None
    #: For `hmac`: what is signed, of {method}, {path}, {query}, {timestamp} and {body}.
    message: str = "{method}\n{path}\n{timestamp}\n{body}"
    #: For `hmac`: how the signature is written.
    encoding: Literal["hex", "base64"] = "hex"
    #: For `hmac`: what stands before the signature, as `sha256=`.
    prefix: str = ""
    #: For `hmac`: the header with the time, in whole seconds since 1970.
    timestamp_header: str = "x-timestamp"
    #: For `hmac`: the header with the credential `id`, where the vendor asks whose signature it is.
    id_header: str | None = None
    #: For `sigv4`: the service, as AWS signs for it: `s3`, `ses`, `sns`.
    service: str | None = None
    #: For `sigv4`: the region, as `eu-west-1`.
    region: str | None = None


class ApiVersion(Group, frozen=True):
    """The header that pins the version of the API; a request that has its own keeps it."""

    #: The header.
    header: str
    #: The version, as the vendor writes it.
    value: str


class Pagination(Group, frozen=True):
    """How the lists of an API are split into pages. Places in a body are keys with dots between, as `data.items`.

    `offset` asks for what follows the first so many items; `page` for a page by its number; `cursor` hands back what
    the answer gave, until it gives none; `token` does too, and also ends at a page without items; `link` follows the
    Link header (RFC 8288); `next_url` an address in the body.
    """

    #: How the next page is asked for.
    style: Literal["offset", "page", "cursor", "token", "link", "next_url"]
    #: The query parameter that asks for it; `offset`, `page`, `cursor` or `page_token` unless set.
    param: str | None = None
    #: The first offset or page; 0 or 1 unless set.
    first: Annotated[int, msgspec.Meta(ge=0)] | None = None
    #: The query parameter with the size of a page.
    size_param: str | None = None
    #: The size of a page.
    size: Count | None = None
    #: Where the items are; empty for a body that is the list itself.
    items_at: str = ""
    #: The vendor leaves the list out where it is empty; else that is an error.
    may_lack_items: bool = False
    #: For `cursor` and `token`: where the cursor is.
    cursor_at: str | None = None
    #: For `cursor` and `token`: the header of the answer that has it.
    cursor_header: str | None = None
    #: For `cursor` and `token`: where it is within the last item.
    cursor_of_last: str | None = None
    #: For `offset`, `page`, `cursor` and `token`: where a true or false says whether there is more.
    has_more_at: str | None = None
    #: For `offset`: where the number of all items is.
    total_at: str | None = None
    #: For `page`: where the number of all pages is.
    pages_at: str | None = None
    #: For `next_url`: where the address is; `next` unless set.
    next_url_at: str | None = None
    #: A list with more pages is refused there.
    max_pages: Count = 100_000


class ErrorRule(Group, frozen=True):
    """How a vendor departs from the outcome table. The first rule that fits decides.

    A rule for a good status is about the error code in the body. Its outcome is `not_done` unless set; but `unknown`
    for the errors `unavailable`, `unexpected_answer` and `provider`, which do not say how far the vendor got.
    """

    #: The status it is about.
    status: Annotated[int, msgspec.Meta(ge=200, le=599)]
    #: The code of the error, one of those below `provider` in the tree of errors.
    error: str
    #: Where the vendor says so, and when that was read.
    evidence: str
    #: The code at `error_code_at`; any unless set.
    code: str | None = None
    #: The same request may go better later.
    is_transient: bool = False
    #: Where the vendor's word is better than the table's.
    outcome: Literal["done", "not_done", "unknown"] | None = None


class Tls(Group, frozen=True):
    """Who the vendor must be beyond its certificate, and who we are to it: see `docs/explanation/transport.md`."""

    #: Pins of public keys, as `sha256/...`; the server must have one of them. At least two, one of them in reserve.
    pins: list[str] = []
    #: A PEM file with our certificate, for vendors that ask for one.
    client_cert: str | None = None
    #: A PEM file with its key, where that is not in the same file.
    client_key: str | None = None
    #: `env:NAME` or `file:/path` of the key's password, where it has one.
    client_key_password: str | None = None
    #: For a mail server on this machine: speak to it without TLS.
    plain_on_loopback: bool = False


class MappedField(Group, frozen=True):
    """A field of a mapping."""

    #: `text`, `integer`, `number`, `decimal`, `boolean`, `datetime`, `date`, `any`, the name of another mapping of the
    #: connection, or `list of` one of these.
    type: str
    #: The vendor's names for it: the first that is there counts. Its own unless set.
    names: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    #: What it is where the vendor leaves it out.
    default: Any = None
    #: It is None where the vendor leaves it out or sends null.
    is_optional: bool = False


class Mapping(Group, frozen=True):
    """What an answer is read as, by `model="NAME"` in a call. Places are keys with dots between, as `lines.price`."""

    #: Which state of the vendor's contract this is: a date, a number.
    version: Annotated[str, msgspec.Meta(min_length=1)]
    #: The fields by our names.
    fields: dict[str, MappedField]
    #: Where it stands in the answer; the whole of it unless set. Of lists the pagination's `items_at` says so.
    at: str = ""
    #: Places of fields of the vendor's that nobody wants to hear of.
    ignores: list[str] = []
    #: Only what is read is named: the vendor's other fields are no drift.
    is_partial: bool = False


class BatchRule(Group, frozen=True):
    """How single reads of an API become one: `GET /items/42` and `GET /items/43` are `GET /items?ids=42,43`.

    Each caller is answered with its own item; an id that is not in the list raises `not_found`. Only what fits `path`
    to the letter is joined, and has neither a query nor headers of its own.
    """

    #: The path of one, with `{id}` where the id stands.
    path: str
    #: The path of several.
    many: str
    #: The query parameter with the ids.
    param: str = "ids"
    #: What stands between the ids. Where it is empty, the parameter is repeated for each.
    separator: str = ","
    #: Where the items are; empty for a body that is the list itself.
    items_at: str = ""
    #: Where an item has its id.
    id_at: str = "id"


class Batch(Group, frozen=True):
    """Join single reads made within a short while into one request; see `docs/explanation/batching.md`. Off unless set.

    A connection with a provider joins what the provider has an operation for, and any connection what `rules` say.
    """

    #: How long the first one waits for others.
    window_s: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.005
    #: The most in one request; no more than the vendor answers on one page.
    max_size: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 50
    #: For plain calls.
    rules: list[BatchRule] = []


class Connection(Group, frozen=True):
    """A provider, or any HTTP API by its `base_url`, with credentials and policy."""

    #: The vendor, by the name of its file in `providers/`.
    provider: str | None = None
    #: Where the API is; needed without a provider, and else in place of the vendor's own address.
    base_url: str | None = None
    #: Name of each credential -> `env:NAME`, `file:/path`, or the value itself where it is no secret.
    credentials: dict[str, str] = {}
    #: Credentials that deliveries are verified with -> references of further values, which count too: to change one.
    webhook_secrets: dict[str, list[str]] = {}
    #: For a connection without a provider.
    auth: Auth = Auth()
    #: For a connection without a provider.
    api_version: ApiVersion | None = None
    #: For a connection without a provider: the header of idempotency keys; empty where the vendor honours none.
    idempotency_header: str | None = None
    #: For how long the vendor knows an idempotency key; what the provider says unless set, and an hour without one.
    idempotency_window_s: Seconds | None = None
    #: For a connection without a provider: where an error body has its code. A good status with one is an error too.
    error_code_at: str | None = None
    #: Codes there that mean success; so do 0, false and an empty text.
    ok_codes: list[str] = []
    #: For a connection without a provider: where an error body has its sentence; `message` unless set.
    error_message_at: str | None = None
    #: For a connection without a provider.
    errors: list[ErrorRule] = []
    #: In place of the provider's own.
    pagination: Pagination | None = None
    mappings: dict[str, Mapping] = {}
    #: Join single reads into one request.
    batch: Batch | None = None
    #: The price plan, whose published limits are kept; the provider's smallest unless set.
    plan: str | None = None
    #: Reach loopback and private addresses, as stand-ins and internal services need it.
    allow_private: bool = False
    #: A file of certificates to trust instead of the system's.
    ca_file: str | None = None
    tls: Tls = Tls()
    #: `http://host:port` of a proxy to go through; the environment's proxies are never used.
    proxy: str | None = None
    #: `env:NAME` or `file:/path` of `user:password` for the proxy.
    proxy_login: str | None = None
    #: The proxy has a private address, as it mostly does in a company.
    allow_private_proxy: bool = False
    #: Speak HTTP/2 where the vendor does; needs `pip install fairlead[http2]`.
    http2: bool = False
    #: How many redirects are followed, within the vendor's own origin and where it is harmless.
    follow_redirects: Annotated[int, msgspec.Meta(ge=0, le=20)] = 0
    #: Pass cookies through the gateway's proxy; unless set, neither side sees those of the other.
    cookies: bool = False
    #: The vendor has agreed that its answers are kept, where its terms ask for that.
    cache_permitted: bool = False
    #: Keep answers to plain GETs.
    cache: HttpCache | None = None
    #: Seconds from an exhausted quota to the next try, in place of the vendor's own reset.
    quota_reset_s: Seconds | None = None
    #: The vendor is a Fairlead gateway itself: it is told what is left of the deadline, in `fairlead-deadline-ms`.
    passes_deadline: bool = False
    #: What a request costs, in the same unit for all connections of a route: see the strategy `least_cost`.
    cost: Annotated[float, msgspec.Meta(ge=0)] | None = None
    #: Longer answers are dropped.
    max_answer_bytes: Count = 10 * 1024 * 1024
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    health: Health = Health()
    #: In place of what the plan allows.
    concurrency: Concurrency | None = None
    #: In place of what the plan allows.
    rate: Rate | None = None
    #: Several of them, all of which hold: as so many a second, and so many a day.
    rates: list[Rate] = []
    #: Heed what answers say of the vendor's limits, by `RateLimit` and `X-RateLimit-` headers and the provider's own.
    learn_limits: bool = True
    #: In place of the plan's own.
    quota: Quota | None = None
    #: Off unless set.
    hedge: Hedge | None = None


class Route(Group, frozen=True):
    """The connections that serve a capability, how one is chosen, and what bounds a call to it."""

    #: Names of connections: the first that can serve does.
    connections: Annotated[list[str], msgspec.Meta(min_length=1)]
    #: Who is asked first; the others are asked when it cannot serve. See `docs/explanation/routing.md`.
    strategy: Literal["order", "weight", "least_cost", "lowest_latency", "sticky"] = "order"
    #: For `weight` and `sticky`: the part of each connection, as `{ a = 9, b = 1 }`. What has 0 is fallback only.
    weights: dict[str, Annotated[float, msgspec.Meta(ge=0)]] = {}
    #: For `lowest_latency`: the share of calls that asks another one first, to learn how quick it is by now.
    explore_share: Share = 0.05
    #: The time a call may take, all tries at all vendors included.
    deadline_s: Seconds = 30.0
    cache: Cache = Cache()


class State(Group, frozen=True):
    """Where processes share their limits and breakers: Redis or Valkey; see `docs/explanation/shared-state.md`.

    Unless `url` is set, each process has its own. Needs `pip install fairlead[redis]`.
    """

    #: `redis://host:port/db`, or `rediss://` for TLS; a user may stand before the host, a password may not.
    url: str | None = None
    #: `env:NAME` or `file:/path` of the password.
    password: str | None = None
    #: For `rediss`: a file of certificates to trust instead of the system's.
    ca_file: str | None = None
    #: What holds while it is out of reach: each process keeps its share of the limits, or calls are refused.
    on_loss: Literal["scale", "refuse"] = "scale"
    #: How many processes share, as long as that could not be counted yet.
    processes: Count = 1
    #: What every key begins with; processes with the same prefix share.
    prefix: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_.:-]{1,64}$")] = "fairlead"
    #: `env:NAME` or `file:/path` of a secret of 32 characters or more, the same in all processes, for shared caches.
    cache_key: str | None = None
    #: An answer that takes longer counts as none, and the connection as lost.
    answer_s: Annotated[float, msgspec.Meta(gt=0, le=10)] = 0.5


class Settings(Group, frozen=True):
    """A whole configuration."""

    connections: dict[str, Connection] = {}
    #: Capability -> its route; without one, every connection that can serve it does, in the order of the file.
    routes: dict[str, Route] = {}
    gateway: Gateway = Gateway()
    chaos: Chaos = Chaos()
    #: The deadline of a plain call that names none.
    deadline_s: Seconds = 30.0
    #: Calls may treat a connection as failed: see `docs/how-to/rehearse-a-failover.md`.
    drills: bool = True
    state: State = State()
    webhooks: Webhooks = Webhooks()
    storage: Storage = Storage()
    subscriptions: Subscriptions = Subscriptions()
