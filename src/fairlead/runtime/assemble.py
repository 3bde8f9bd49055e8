"""Turn settings into live connections and routes, or into one clear error. Nothing is opened yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from math import inf
from urllib.parse import urlsplit

import msgspec

from fairlead import errors
from fairlead.config import settings as config
from fairlead.config.sources import Sources
from fairlead.model.exchange import Transport
from fairlead.model.secret import Secret
from fairlead.observe.events import BreakerChanged
from fairlead.resilience.breaker import Breaker, BreakerOptions, State
from fairlead.resilience.cache import Cache
from fairlead.resilience.concurrency import Concurrency
from fairlead.resilience.rate import RateLimit
from fairlead.resilience.retry import Retry
from fairlead.resilience.shared_breaker import SharedBreaker
from fairlead.resilience.windows import Gcra, SlidingWindow
from fairlead.runtime.calls import CachePolicy
from fairlead.runtime.connection import Connection, Policy
from fairlead.runtime.facade import Route
from fairlead.runtime.mappings import build_mappings
from fairlead.runtime.plain import build_batch, build_pagination, build_provider, refuse_doubled
from fairlead.runtime.ports import Ports
from fairlead.runtime.registry import load_provider
from fairlead.runtime.shared import SharedConnection, SharedState
from fairlead.spec.provider import Plan, Provider, variable_name
from fairlead.storage.leases import Span
from fairlead.storage.memory import MemoryStore
from fairlead.transport.http import HttpOptions
from fairlead.transport.tls import TlsOptions
from fairlead.vault.references import resolve

Connect = Callable[[HttpOptions], Transport]


def assemble_connection(
    name: str,
    wanted: config.Connection,
    *,
    source: str,
    sources: Sources,
    ports: Ports,
    connect: Connect,
    shared: SharedState | None = None,
) -> Connection:
    """Build one connection; raise `ConfigError` or `UnknownProviderError` naming the file and the key.

    With `shared` its limit and its breaker are those of every process.
    """
    where = f"{source}: connections.{name}"
    provider = _provider(name, wanted, where)
    base_url = wanted.base_url or provider.base_url
    _check_url(base_url, f"{where}.base_url")
    plan = _plan(wanted, provider, where)
    concurrency = wanted.concurrency or config.Concurrency()
    if plan and plan.concurrent and not wanted.concurrency:
        concurrency = config.Concurrency(limit=plan.concurrent)
    breaker = (SharedBreaker if shared else Breaker)(
        _breaker_options(wanted, where), on_change=partial(_tell_breaker_change, name, ports)
    )
    spans = _spans(wanted, plan)
    made = (SharedConnection if shared else Connection)(
        name,
        provider,
        credentials=_credentials(wanted, provider, where, sources),
        transport=_open(
            connect,
            _options(wanted, provider, base_url, where, sources, pool=concurrency.limit),
            where=where,
        ),
        policy=Policy(
            attempt_s=wanted.timeouts.attempt_s,
            quota_reset_s=wanted.quota_reset_s,
            cache_max_age_s=_cache_max_age_s(wanted, provider),
            max_answer_bytes=wanted.max_answer_bytes,
            batch=build_batch(wanted.batch, provider, f"{where}.batch"),
        ),
        retry=Retry(max_attempts=wanted.retry.max_attempts, base_s=wanted.retry.base_s, cap_s=wanted.retry.cap_s),
        breaker=breaker,
        concurrency=Concurrency(limit=concurrency.limit, queue=concurrency.queue),
        rate=None if shared else _rate_limit(wanted, plan),
        ports=ports,
        mappings=build_mappings(wanted.mappings, f"{where}.mappings"),
    )
    if shared and isinstance(made, SharedConnection) and isinstance(breaker, SharedBreaker):
        made.share(shared, breaker, spans)
    return made


def assemble_route(
    capability: str, wanted: config.Route, connections: Mapping[str, Connection], *, source: str
) -> Route:
    """Build one route; raise `ConfigError` for a connection that is missing or cannot serve it."""
    where = f"{source}: routes.{capability}.connections"
    for name in wanted.connections:
        if name not in connections:
            close = get_close_matches(name, connections, n=1)
            raise errors.InvalidSettingError(
                f"{where} names {name!r}, which is no connection.",
                hint=f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(connections)}.",
            )
        if capability not in connections[name].provider.capabilities:
            raise errors.InvalidSettingError(
                f"{where} names {name!r}, whose provider {connections[name].provider.id!r} has no {capability}.",
                hint="Take it out of the route.",
            )
    return Route(
        capability=capability,
        connections=tuple(connections[name] for name in wanted.connections),
        deadline_s=wanted.deadline_s,
        policy=CachePolicy(ttl_s=wanted.cache.ttl_s, stale_if_error_s=wanted.cache.stale_if_error_s),
        cache=Cache(MemoryStore(wanted.cache.max_entries)),
    )


def _options(
    wanted: config.Connection, provider: Provider, base_url: str, where: str, sources: Sources, *, pool: int
) -> HttpOptions:
    """Say what the transport must know."""

    def secret(reference: str | None, key: str) -> Secret | None:
        return None if reference is None else resolve(reference, sources, where=f"{where}.{key}")

    return HttpOptions(
        base_url=base_url,
        allow_private=wanted.allow_private,
        ca_file=wanted.ca_file,
        tls=TlsOptions(
            pins=tuple(wanted.tls.pins),
            client_cert=wanted.tls.client_cert,
            client_key=wanted.tls.client_key,
            client_key_password=secret(wanted.tls.client_key_password, "tls.client_key_password"),
        ),
        proxy=wanted.proxy,
        proxy_login=secret(wanted.proxy_login, "proxy_login"),
        allow_private_proxy=wanted.allow_private_proxy,
        http2=wanted.http2 or provider.http2,
        follow_redirects=wanted.follow_redirects,
        connect_s=wanted.timeouts.connect_s,
        read_s=wanted.timeouts.read_s,
        max_answer_bytes=wanted.max_answer_bytes,
        pool=pool,
    )


def _breaker_options(wanted: config.Connection, where: str) -> BreakerOptions:
    try:
        return BreakerOptions(
            window=wanted.breaker.window,
            min_attempts=wanted.breaker.min_attempts,
            failure_share=wanted.breaker.failure_share,
            open_s=wanted.breaker.open_s,
            max_open_s=wanted.breaker.max_open_s,
            probes=wanted.breaker.probes,
            # A probe waits in line and is sent; after twice its time nobody can be waiting for it.
            lease_s=2 * wanted.timeouts.attempt_s,
        )
    except errors.InvalidSettingError as error:  # it names the setting
        raise errors.InvalidSettingError(f"{where}.{error.message}", hint=error.hint) from None


def _open(connect: Connect, options: HttpOptions, *, where: str) -> Transport:
    try:
        return connect(options)
    except errors.InvalidSettingError as error:  # it names the setting
        raise errors.InvalidSettingError(f"{where}.{error.message}", hint=error.hint) from None


def _tell_breaker_change(name: str, ports: Ports, before: State, after: State, cause: str | None) -> None:
    ports.events.emit(BreakerChanged(connection=name, before=before, after=after, cause=cause))


def _provider(name: str, wanted: config.Connection, where: str) -> Provider:
    if wanted.provider is not None:
        try:
            provider = load_provider(wanted.provider)
        except errors.UnknownProviderError as error:
            raise errors.UnknownProviderError(f"{where}.provider: {error.message}", hint=error.hint) from None
        refuse_doubled(wanted, where)
        pagination = build_pagination(wanted.pagination, f"{where}.pagination") or provider.pagination
        base_url = wanted.base_url or provider.base_url
        return msgspec.structs.replace(provider, base_url=base_url, pagination=pagination)
    if wanted.base_url is not None:
        _check_url(wanted.base_url, f"{where}.base_url")
    return build_provider(name, wanted, where)


def _credentials(wanted: config.Connection, provider: Provider, where: str, sources: Sources) -> Mapping[str, Secret]:
    declared = {each.name: each for each in provider.credentials}
    for name in wanted.credentials:
        if name not in declared:
            close = get_close_matches(name, declared, n=1)
            raise errors.UnknownSettingError(
                f"{where}.credentials.{name} is not a credential of this connection.",
                hint=f"Did you mean {close[0]!r}?" if close else f"It takes: {', '.join(declared) or 'none'}.",
            )
    found: dict[str, Secret] = {}
    for name, each in declared.items():
        key = f"{where}.credentials.{name}"
        if name not in wanted.credentials:
            if each.is_required:
                raise errors.MissingCredentialError(
                    f"{key} is missing.",
                    hint=f'Add {name} = "env:{variable_name(provider.id, name)}". {each.help}'.strip(),
                )
            continue
        secret = resolve(wanted.credentials[name], sources, where=key, is_secret=each.is_secret)
        if each.pattern and not re.fullmatch(each.pattern, secret.reveal()):
            raise errors.InvalidSettingError(f"{key} does not look like a {each.label}.", hint=each.help)
        if re.search(r"[\r\n\0]", secret.reveal()):
            raise errors.InvalidSettingError(f"{key} has a line break in it.", hint="Store it as one line.")
        found[name] = secret
    return found


def _plan(wanted: config.Connection, provider: Provider, where: str) -> Plan | None:
    name = wanted.plan or provider.default_plan
    if name is None:
        return None
    if name not in provider.plans:
        raise errors.InvalidSettingError(
            f"{where}.plan: {provider.title} has no plan {name!r}.",
            hint=f"It has: {', '.join(provider.plans) or 'none'}.",
        )
    return provider.plans[name]


def _rate_limit(wanted: config.Connection, plan: Plan | None) -> RateLimit | None:
    """Build the line for the settings' rate, or for the plan's; a bucket only where the vendor says that it is one."""
    if wanted.rate:
        return RateLimit(SlidingWindow(wanted.rate.requests, wanted.rate.per_s))
    if plan is None:
        return None
    if plan.burst:
        return RateLimit(Gcra(plan.requests, plan.per_s, burst=plan.burst))
    return RateLimit(SlidingWindow(plan.requests, plan.per_s))


def _spans(wanted: config.Connection, plan: Plan | None) -> tuple[Span, ...]:
    """Return the same limit as it is shared: a bucket is so much in the time in which it fills."""
    if wanted.rate:
        return (Span(wanted.rate.requests, wanted.rate.per_s),)
    if plan is None:
        return ()
    burst = plan.burst or plan.requests
    return (Span(burst, burst * plan.per_s / plan.requests),)


def _cache_max_age_s(wanted: config.Connection, provider: Provider) -> float:
    """Return how long the vendor's terms let an answer be kept."""
    terms = provider.terms
    if terms is None:
        return inf
    if terms.cache_needs_permission and not wanted.cache_permitted:
        return 0.0
    return inf if terms.cache_max_age_s is None else terms.cache_max_age_s


def _check_url(url: str, where: str) -> None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    is_good = parts.scheme in {"http", "https"} and parts.hostname and not parts.query and not parts.fragment
    if not is_good or "@" in parts.netloc or any(char <= " " for char in url):
        raise errors.InvalidSettingError(
            f"{where} is not a usable URL.", hint="Write it as https://host or https://host/path, without a password."
        )
