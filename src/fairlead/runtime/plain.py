"""A provider made of settings alone: any HTTP API without a provider file, or one clear error."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from fairlead import errors
from fairlead.config import settings as config
from fairlead.model.headers import checked_headers
from fairlead.model.message import is_path
from fairlead.model.outcome import Outcome
from fairlead.model.suggest import suggest
from fairlead.runtime.policy import BatchPolicy
from fairlead.spec.batch import PLACEHOLDER, BatchRule
from fairlead.spec.describe import many_of
from fairlead.spec.encoding import Encoding
from fairlead.spec.mapping import Path
from fairlead.spec.outcomes import ErrorRule, Wait
from fairlead.spec.pagination import ByCursor, ByLink, ByOffset, ByPage, ByUrl, Pagination, Style
from fairlead.spec.provider import ApiKey, Auth, Basic, Bearer, Credential, Hmac, Place, Provider, SigV4

# draft-ietf-httpapi-idempotency-key-header
_IDEMPOTENCY_HEADER = "idempotency-key"
#: Settings that say what a provider's file says; beside a provider they would be ignored.
_OF_PROVIDERS = (
    "auth", "api_version", "idempotency_header", "error_code_at", "ok_codes", "error_message_at", "errors",
)  # fmt: skip
_PLACEHOLDERS = {"method", "path", "query", "timestamp", "body"}
#: The keys of `pagination` that only some styles have.
_KEYS: Mapping[str, set[str]] = {
    "offset": {"param", "first", "has_more_at", "total_at"},
    "page": {"param", "first", "has_more_at", "pages_at"},
    "cursor": {"param", "has_more_at", "cursor_at", "cursor_header", "cursor_of_last"},
    "token": {"param", "has_more_at", "cursor_at", "cursor_header", "cursor_of_last"},
    "link": set(),
    "next_url": {"next_url_at"},
}
#: The keys of `auth` that only some schemes have.
_AUTH_KEYS: Mapping[str, set[str]] = {
    "key": {"header", "query"},
    "hmac": {"header", "message", "encoding", "prefix", "timestamp_header", "id_header"},
    "sigv4": {"service", "region"},
}
#: The schemes without keys of their own, and the credentials they need.
_PLAIN_AUTH: Mapping[str, tuple[Auth, tuple[str, ...]]] = {
    "bearer": (Bearer(), ("token",)),
    "basic": (Basic(), ("user", "password")),
    "none": ((), ()),
}
#: A connection may go without these.
_OPTIONAL = {"session_token"}
#: What these errors say leaves open how far the vendor got.
_IN_DOUBT = {errors.UnavailableError, errors.UnexpectedAnswerError, errors.ProviderError}


def build_provider(name: str, wanted: config.Connection, where: str) -> Provider:
    """Return what the settings say of an API that has no provider; raise `InvalidSettingError` naming the key."""
    if wanted.base_url is None:
        raise errors.InvalidSettingError(
            f"{where} has neither a provider nor a base_url.", hint="Say which service it is."
        )
    auth, fields = _auth(wanted.auth, wanted.base_url, f"{where}.auth")
    if isinstance(auth, SigV4) and wanted.follow_redirects:
        raise errors.InvalidSettingError(
            f"{where}.follow_redirects does not go with the scheme 'sigv4'.",
            hint="A signature is for one path: a redirected request would be refused.",
        )
    code_at = _place(wanted.error_code_at, f"{where}.error_code_at")
    if wanted.ok_codes and not code_at:
        raise errors.InvalidSettingError(
            f"{where}.ok_codes means nothing without error_code_at.", hint="Say where the code is."
        )
    header = wanted.idempotency_header
    return Provider(
        id="http",
        title=name,
        docs_url="",
        api_version=wanted.api_version.value if wanted.api_version else "",
        base_url=wanted.base_url,
        credentials=tuple(
            Credential(name=field, label=field, help="", is_required=field not in _OPTIONAL) for field in fields
        ),
        auth=auth,
        capabilities={},
        errors=tuple(_rules(wanted, where)),
        error_code_at=code_at,
        ok_codes=tuple(wanted.ok_codes) if code_at else None,
        error_message_at=_place(wanted.error_message_at, f"{where}.error_message_at") or ("message",),
        idempotency_header=_IDEMPOTENCY_HEADER
        if header is None
        else header and _header(header, f"{where}.idempotency_header"),
        fixed_headers=_fixed_headers(wanted.api_version, f"{where}.api_version"),
        pagination=build_pagination(wanted.pagination, f"{where}.pagination"),
    )


def refuse_doubled(wanted: config.Connection, where: str) -> None:
    """Raise `InvalidSettingError` for a setting that contradicts what the connection's provider says."""
    for key in _OF_PROVIDERS:
        if getattr(wanted, key) != getattr(config.Connection(), key):
            raise errors.InvalidSettingError(
                f"{where}.{key} is for connections without a provider.",
                hint=f"The provider {wanted.provider!r} says it; take it out.",
            )


def build_pagination(wanted: config.Pagination | None, where: str) -> Pagination | None:
    """Return how lists are split; raise `InvalidSettingError` for keys that do not go together."""
    if wanted is None:
        return None
    for key in sorted(set().union(*_KEYS.values()) - _KEYS[wanted.style]):
        if getattr(wanted, key) is not None:
            raise errors.InvalidSettingError(
                f"{where}.{key} is not for the style {wanted.style!r}.",
                hint=f"It has: {', '.join(sorted(_KEYS[wanted.style])) or 'no keys of its own'}.",
            )
    if (wanted.size is None) != (wanted.size_param is None):
        missing = "size" if wanted.size is None else "size_param"
        raise errors.InvalidSettingError(f"{where} lacks {missing!r}.", hint="size and size_param go together.")
    for key in ("param", "size_param"):
        if getattr(wanted, key) == "":
            raise errors.InvalidSettingError(f"{where}.{key} is empty.", hint="Name a query parameter.")
    style = _style(wanted, where)
    if isinstance(style, ByOffset | ByPage | ByCursor) and style.param == wanted.size_param:
        raise errors.InvalidSettingError(f"{where}.size_param is the same as param.", hint="They are two parameters.")
    return Pagination(
        style=style,
        items_at=_place(wanted.items_at or None, f"{where}.items_at"),
        may_lack_items=wanted.may_lack_items,
        size_param=wanted.size_param,
        size=wanted.size,
        max_pages=wanted.max_pages,
    )


def build_batch(wanted: config.Batch | None, provider: Provider, where: str) -> BatchPolicy:
    """Return how single reads are joined; raise `InvalidSettingError` where there is nothing to join them by."""
    if wanted is None:
        return BatchPolicy()
    if not wanted.rules and not any(many_of(provider, each) for each in provider.capabilities):
        raise errors.InvalidSettingError(
            f"{where} has nothing to join: the connection has no operation for several things, and no rules.",
            hint='Add rules = [{ path = "/items/{id}", many = "/items" }], or take it out.',
        )
    rules = tuple(_batch_rule(rule, f"{where}.rules[{at}]") for at, rule in enumerate(wanted.rules))
    for at, rule in enumerate(rules):
        if rule.path in {each.path for each in rules[:at]}:
            raise errors.InvalidSettingError(
                f"{where}.rules[{at}] never fits.", hint="An earlier rule has the same path."
            )
    return BatchPolicy(window_s=wanted.window_s, max_size=wanted.max_size, rules=rules)


def _batch_rule(wanted: config.BatchRule, where: str) -> BatchRule:
    if wanted.path.count(PLACEHOLDER) != 1 or not is_path(wanted.path.replace(PLACEHOLDER, "1")):
        raise errors.InvalidSettingError(
            f"{where}.path is not the path of one thing.", hint="Write it as /items/{id}, with {id} once."
        )
    if not is_path(wanted.many) or PLACEHOLDER in wanted.many:
        raise errors.InvalidSettingError(
            f"{where}.many is not the path of several things.", hint="Write it as /items; the ids go into the query."
        )
    if not wanted.param:
        raise errors.InvalidSettingError(f"{where}.param is empty.", hint="Name a query parameter.")
    return BatchRule(
        path=wanted.path,
        many=wanted.many,
        param=wanted.param,
        separator=wanted.separator,
        items_at=_place(wanted.items_at or None, f"{where}.items_at"),
        id_at=_place(wanted.id_at, f"{where}.id_at"),
    )


def _style(wanted: config.Pagination, where: str) -> Style:
    has_more_at = _place(wanted.has_more_at, f"{where}.has_more_at")
    match wanted.style:
        case "offset":
            total_at = _place(wanted.total_at, f"{where}.total_at")
            return ByOffset(
                param=wanted.param or "offset", first=wanted.first or 0, total_at=total_at, has_more_at=has_more_at
            )
        case "page":
            return ByPage(
                param=wanted.param or "page",
                first=1 if wanted.first is None else wanted.first,
                pages_at=_place(wanted.pages_at, f"{where}.pages_at"),
                has_more_at=has_more_at,
            )
        case "link":
            return ByLink()
        case "next_url":
            return ByUrl(at=_place(wanted.next_url_at, f"{where}.next_url_at") or ("next",))
    sources = (wanted.cursor_at, wanted.cursor_header, wanted.cursor_of_last)
    if sum(each is not None for each in sources) != 1:
        raise errors.InvalidSettingError(
            f"{where} must say in one way where the cursor is.",
            hint="Set cursor_at, cursor_header or cursor_of_last.",
        )
    return ByCursor(
        param=wanted.param or ("page_token" if wanted.style == "token" else "cursor"),
        at=_place(wanted.cursor_at, f"{where}.cursor_at"),
        header=wanted.cursor_header and _header(wanted.cursor_header, f"{where}.cursor_header"),
        of_last=_place(wanted.cursor_of_last, f"{where}.cursor_of_last"),
        has_more_at=has_more_at,
        until_empty=wanted.style == "token",
    )


def _auth(wanted: config.Auth, base_url: str, where: str) -> tuple[Auth, tuple[str, ...]]:
    """Return the scheme of a connection without a provider, and the credentials it needs."""
    own = _AUTH_KEYS.get(wanted.scheme, set())
    for key in sorted(set().union(*_AUTH_KEYS.values()) - own):
        if getattr(wanted, key) != getattr(config.Auth(), key):
            raise errors.InvalidSettingError(
                f"{where}.{key} is not for the scheme {wanted.scheme!r}.",
                hint=f"It has: {', '.join(sorted(own)) or 'no keys of its own'}.",
            )
    if wanted.header and wanted.query:
        raise errors.InvalidSettingError(f"{where} has both header and query.", hint="The key travels in one of them.")
    if wanted.scheme in _PLAIN_AUTH:
        return _PLAIN_AUTH[wanted.scheme]
    if wanted.scheme == "hmac":
        return _hmac(wanted, base_url, where)
    if wanted.scheme == "sigv4":
        return _sigv4(wanted, where)
    if wanted.header:
        return (ApiKey("key", Place.HEADER, _header(wanted.header, f"{where}.header")),), ("key",)
    if wanted.query:
        return (ApiKey("key", Place.QUERY, wanted.query),), ("key",)
    raise errors.InvalidSettingError(
        f"{where} does not say where the key goes.", hint='Add header = "x-api-key" or query = "key".'
    )


def _hmac(wanted: config.Auth, base_url: str, where: str) -> tuple[Auth, tuple[str, ...]]:
    if not wanted.header:
        raise errors.InvalidSettingError(
            f"{where} does not say where the signature goes.", hint='Add header = "x-signature".'
        )
    for name in re.findall(r"\{([^{}]*)\}", wanted.message):
        if name not in _PLACEHOLDERS:
            raise errors.InvalidSettingError(
                f"{where}.message has {{{name}}}, which is nothing that can be signed.",
                hint=f"There are: {', '.join(sorted(_PLACEHOLDERS))}.",
            )
    auth = Hmac(
        header=_header(wanted.header, f"{where}.header"),
        message=wanted.message,
        encoding=Encoding(wanted.encoding),
        prefix=wanted.prefix,
        timestamp_header=_header(wanted.timestamp_header, f"{where}.timestamp_header"),
        id_header=wanted.id_header and _header(wanted.id_header, f"{where}.id_header"),
        base_path=urlsplit(base_url).path.rstrip("/"),
    )
    _value(auth.header, wanted.prefix, f"{where}.prefix")
    return auth, ("secret", "id") if auth.id_header else ("secret",)


def _sigv4(wanted: config.Auth, where: str) -> tuple[Auth, tuple[str, ...]]:
    for key, value in (("service", wanted.service), ("region", wanted.region)):
        if not value:
            raise errors.InvalidSettingError(
                f"{where} does not say the {key}.", hint='Add service = "s3" and region = "eu-west-1", or your own.'
            )
        if not re.fullmatch("[a-z0-9-]+", value):
            raise errors.InvalidSettingError(
                f"{where}.{key} is not one of AWS's names.", hint="They have small letters, digits and hyphens."
            )
    auth = SigV4(service=wanted.service or "", region=wanted.region or "")
    return auth, (auth.access_key_id, auth.secret_access_key, auth.session_token)


def _rules(wanted: config.Connection, where: str) -> Iterator[ErrorRule]:
    """Yield the rules for errors; each must be able to fit, and to say where it is from."""
    family: tuple[type[errors.ProviderError], ...] = (errors.ProviderError, *errors.ProviderError.__subclasses__())
    kinds = {kind.code: kind for kind in family}
    taken: set[tuple[int, str | None]] = set()
    for at, rule in enumerate(wanted.errors):
        here = f"{where}.errors[{at}]"
        if rule.error not in kinds:
            raise errors.InvalidSettingError(
                f"{here}.error is not the code of an error that a vendor can answer with.",
                hint=suggest(rule.error, kinds),
            )
        if not rule.evidence.strip():
            raise errors.InvalidSettingError(
                f"{here}.evidence is empty.", hint="Say where the vendor states it, and when."
            )
        if not wanted.error_code_at and (rule.code is not None or rule.status < 300):
            raise errors.InvalidSettingError(
                f"{here} needs the code of the error.", hint="Set the connection's error_code_at."
            )
        if taken & {(rule.status, rule.code), (rule.status, None)}:
            raise errors.InvalidSettingError(f"{here} never fits.", hint="An earlier rule takes all it would.")
        taken.add((rule.status, rule.code))
        yield _rule(rule, kinds[rule.error])


def _rule(rule: config.ErrorRule, kind: type[errors.ProviderError]) -> ErrorRule:
    outcome = Outcome(rule.outcome) if rule.outcome else None
    if outcome is None and rule.status < 300 and kind not in _IN_DOUBT:
        outcome = Outcome.NOT_DONE
    wait = Wait.RETRY_AFTER if rule.is_transient else Wait.NOTHING
    return ErrorRule(
        status=rule.status,
        error=kind,
        evidence=rule.evidence,
        code=rule.code,
        is_transient=rule.is_transient,
        wait=Wait.QUOTA_RESET if kind is errors.QuotaExhaustedError else wait,
        outcome=outcome,
    )


def _fixed_headers(version: config.ApiVersion | None, where: str) -> tuple[tuple[str, str], ...]:
    if version is None:
        return ()
    header = _header(version.header, f"{where}.header")
    return ((header, _value(header, version.value, f"{where}.value")),)


def _header(name: str, where: str) -> str:
    """Return a header's name; raise `InvalidSettingError` for what is none."""
    try:
        checked_headers({name: ""})
    except errors.InvalidArgumentError as error:
        raise errors.InvalidSettingError(f"{where}: {error.message}", hint=error.hint) from None
    return name


def _value(name: str, value: str, where: str) -> str:
    try:
        checked_headers({name: value})
    except errors.InvalidArgumentError as error:
        raise errors.InvalidSettingError(f"{where}: {error.message}", hint=error.hint) from None
    return value


def _place(text: str | None, where: str) -> Path:
    """Return the keys of a dotted place; none for none."""
    if text is None:
        return ()
    keys = tuple(text.split("."))
    if not all(keys):
        raise errors.InvalidSettingError(
            f"{where} is not a place in a body.",
            hint="Write keys with dots between, as data.items, without a leading $.",
        )
    return keys
