"""Turn settings into live connections and routes, or into one clear error. Nothing is opened yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from urllib.parse import urlsplit

import msgspec

from fairlead import errors
from fairlead.config import policies
from fairlead.config import settings as config
from fairlead.config.sources import Sources
from fairlead.model.exchange import Transport
from fairlead.model.secret import Secret
from fairlead.model.suggest import suggest
from fairlead.observe.events import BreakerChanged, HealthChanged
from fairlead.resilience.breaker import State
from fairlead.resilience.chaos import Chaos
from fairlead.resilience.health import Condition
from fairlead.resilience.shared_answers import SharedAnswers
from fairlead.runtime.assemble_cache import assemble_route_cache
from fairlead.runtime.connection import Connection
from fairlead.runtime.facade import Route
from fairlead.runtime.fair import FairConnection
from fairlead.runtime.fingerprint import Fingerprints
from fairlead.runtime.mappings import build_mappings
from fairlead.runtime.plain import build_batch, build_pagination, build_provider, refuse_doubled
from fairlead.runtime.policy import Blueprint, Policy
from fairlead.runtime.ports import Ports
from fairlead.runtime.registry import load_provider
from fairlead.runtime.routing import build_routing
from fairlead.runtime.shared import SharedConnection, SharedState
from fairlead.runtime.strategies import (
    Surroundings,
    build_line,
    build_strategies,
    concurrency_of,
    lining_of,
    most_at_once,
    spans_of,
)
from fairlead.runtime.usage import Usage
from fairlead.spec.describe import list_operations
from fairlead.spec.provider import Plan, Provider, variable_name
from fairlead.transport.http import HttpOptions
from fairlead.transport.tls import TlsOptions
from fairlead.vault.references import resolve

Connect = Callable[[HttpOptions], Transport]


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What building takes besides the settings: where references lead, the ports, how a transport is opened."""

    sources: Sources
    ports: Ports
    connect: Connect
    #: What is shared with other processes, where something is.
    shared: SharedState | None = None

    @property
    def answers(self) -> SharedAnswers | None:
        """Where answers are kept for all processes; None where they have nothing in common to name them by."""
        return self.shared.answers if self.shared and self.shared.cache_key else None


def assemble_connection(
    name: str,
    wanted: config.Connection,
    world: World,
    *,
    source: str,
    chaos: Chaos | None = None,
    before: Connection | None = None,
) -> Connection:
    """Build one connection; raise `ConfigError` or `UnknownProviderError` naming the file and the key.

    `before` is the connection that had this name until now: where nothing has changed it is returned, and where its
    sockets lead where these would, they are kept. With `shared` its limit and its breaker are those of every process.
    """
    ports, shared = world.ports, world.shared
    where = f"{source}: connections.{name}"
    provider = _provider(name, wanted, where)
    credentials = _credentials(wanted, provider, where, world.sources)
    provider = _placed(provider, credentials)
    base_url = wanted.base_url or provider.base_url
    plan = _plan(wanted, provider, where)
    concurrency = concurrency_of(wanted, plan)
    made_of = Blueprint(
        settings=wanted,
        options=_options(wanted, provider, base_url, where, world.sources, pool=most_at_once(concurrency)),
        credentials=credentials,
        chaos=chaos,
        webhook_secrets=_webhook_secrets(wanted, provider, where, world.sources),
    )
    if before is not None and before.made_of == made_of:
        return before
    kept = before if before is not None and before.made_of.options == made_of.options else None
    surroundings = Surroundings(
        on_breaker=partial(_tell_breaker_change, name, ports),
        on_health=partial(_tell_health_change, name, ports),
        chaos=chaos,
        quotas=shared.quotas if shared else None,
        is_shared=shared is not None,
    )
    lining = lining_of(wanted)
    kind = SharedConnection if shared else FairConnection if lining else Connection
    made = kind(
        name,
        provider,
        transport=kept.transport if kept else _open(world.connect, made_of.options, where=where),
        usage=kept.usage if kept else Usage(),
        made_of=made_of,
        policy=_policy(wanted, provider, where),
        strategies=build_strategies(name, wanted, provider, plan, surroundings, where=where),
        ports=ports,
    )
    if shared and isinstance(made, SharedConnection):
        made.share(shared, spans_of(wanted, plan))
    if lining and isinstance(made, FairConnection) and made.rate is not None:
        made.stand_in(build_line(wanted, plan, made.rate, made.concurrency, ports.clock), lining)
    return made


def _policy(wanted: config.Connection, provider: Provider, where: str) -> Policy:
    return Policy(
        attempt_s=wanted.timeouts.attempt_s,
        quota_reset_s=wanted.quota_reset_s,
        cache_max_age_s=_cache_max_age_s(wanted, provider),
        max_answer_bytes=wanted.max_answer_bytes,
        mappings=build_mappings(wanted.mappings, f"{where}.mappings"),
        batch=build_batch(wanted.batch, provider, f"{where}.batch"),
        cost=wanted.cost,
        passes_deadline=wanted.passes_deadline,
        is_probed=_is_probed(wanted.health, provider, f"{where}.health"),
    )


def assemble_route(
    capability: str,
    wanted: config.Route,
    connections: Mapping[str, Connection],
    *,
    source: str,
    ports: Ports | None = None,
    fingerprints: Fingerprints | None = None,
    answers: SharedAnswers | None = None,
) -> Route:
    """Build one route; raise `ConfigError` for a connection that is missing or cannot serve it."""
    place = f"{source}: routes.{capability}"
    where = f"{place}.connections"
    for name in wanted.connections:
        if name not in connections:
            raise errors.InvalidSettingError(
                f"{where} names {name!r}, which is no connection.",
                hint=suggest(name, connections),
            )
        if capability not in connections[name].provider.capabilities:
            raise errors.InvalidSettingError(
                f"{where} names {name!r}, whose provider {connections[name].provider.id!r} has no {capability}.",
                hint="Take it out of the route.",
            )
    candidates = tuple(connections[name] for name in wanted.connections)
    operations = [each.name for each in list_operations(candidates[0].provider, capability)]
    costs = {name: connections[name].policy.cost for name in wanted.connections}
    return Route(
        capability=capability,
        connections=candidates,
        routing=build_routing(wanted, costs, place),
        deadline_s=wanted.deadline_s,
        cache=assemble_route_cache(
            wanted.cache,
            operations,
            f"{source}: routes.{capability}.cache",
            ports=ports or Ports(),
            fingerprints=fingerprints or Fingerprints(),
            answers=answers,
        ),
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
            plain_on_loopback=wanted.tls.plain_on_loopback,
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


def _is_probed(wanted: policies.Health, provider: Provider, where: str) -> bool:
    """Whether probes are sent in the background."""
    if wanted.probes and provider.probe is None:
        raise errors.InvalidSettingError(
            f"{where}.probes is set, and {provider.title} has no probe.",
            hint="Leave it out: then a call is let go now and then, to find out.",
        )
    return provider.has_free_probe if wanted.probes is None else wanted.probes


def _open(connect: Connect, options: HttpOptions, *, where: str) -> Transport:
    try:
        return connect(options)
    except errors.InvalidSettingError as error:  # it names the setting
        raise errors.InvalidSettingError(f"{where}.{error.message}", hint=error.hint) from None


def _tell_breaker_change(name: str, ports: Ports, before: State, after: State, cause: str | None) -> None:
    ports.events.emit(BreakerChanged(connection=name, before=before, after=after, cause=cause))


def _tell_health_change(name: str, ports: Ports, before: Condition, after: Condition, cause: str | None) -> None:
    ports.events.emit(HealthChanged(connection=name, before=before, after=after, cause=cause))


def _provider(name: str, wanted: config.Connection, where: str) -> Provider:
    provider = _declared(name, wanted, where)
    if wanted.idempotency_window_s is None:
        return provider
    return msgspec.structs.replace(provider, idempotency_window_s=wanted.idempotency_window_s)


def _declared(name: str, wanted: config.Connection, where: str) -> Provider:
    if wanted.provider is not None:
        try:
            provider = load_provider(wanted.provider)
        except errors.UnknownProviderError as error:
            raise errors.UnknownProviderError(f"{where}.provider: {error.message}", hint=error.hint) from None
        refuse_doubled(wanted, where)
        pagination = build_pagination(wanted.pagination, f"{where}.pagination") or provider.pagination
        base_url = wanted.base_url or provider.base_url
        _check_url(base_url, f"{where}.base_url", like=provider.base_url)
        return msgspec.structs.replace(provider, base_url=base_url, pagination=pagination)
    if wanted.base_url is not None:
        _check_url(wanted.base_url, f"{where}.base_url")
    return build_provider(name, wanted, where)


def _placed(provider: Provider, credentials: Mapping[str, Secret]) -> Provider:
    """Return the provider at the address that its credentials say: `{region}` and the like are filled in."""
    base_url = provider.base_url
    for name in re.findall(r"{(\w+)}", base_url):
        if name in credentials:
            base_url = base_url.replace(f"{{{name}}}", credentials[name].reveal())
    return msgspec.structs.replace(provider, base_url=base_url)


def _credentials(wanted: config.Connection, provider: Provider, where: str, sources: Sources) -> Mapping[str, Secret]:
    declared = {each.name: each for each in provider.credentials}
    for name in wanted.credentials:
        if name not in declared:
            raise errors.UnknownSettingError(
                f"{where}.credentials.{name} is not a credential of this connection.",
                hint=suggest(name, declared, lead="It takes"),
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


def _webhook_secrets(
    wanted: config.Connection, provider: Provider, where: str, sources: Sources
) -> Mapping[str, tuple[Secret, ...]]:
    known = provider.webhooks.secrets if provider.webhooks else ()
    for name in wanted.webhook_secrets:
        if name not in known:
            raise errors.UnknownSettingError(
                f"{where}.webhook_secrets.{name}: {provider.title} verifies nothing with it.",
                hint=suggest(name, known, lead="It verifies deliveries with"),
            )
    return {
        name: tuple(
            resolve(each, sources, where=f"{where}.webhook_secrets.{name}[{at}]", is_secret=True)
            for at, each in enumerate(references)
        )
        for name, references in wanted.webhook_secrets.items()
    }


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


def _cache_max_age_s(wanted: config.Connection, provider: Provider) -> float:
    """Return how long the vendor's terms let an answer be kept."""
    terms = provider.terms
    if terms is None:
        return inf
    if terms.cache_needs_permission and not wanted.cache_permitted:
        return 0.0
    return inf if terms.cache_max_age_s is None else terms.cache_max_age_s


def _check_url(url: str, where: str, *, like: str = "https:") -> None:
    """Refuse what leads nowhere, and what leads a request to a mail server or mail to another: see `like`."""
    schemes = ("https", "http") if like.startswith("http") else ("smtp", "smtps")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    is_good = parts.scheme in schemes and parts.hostname and not parts.query and not parts.fragment
    if not is_good or "@" in parts.netloc or any(char <= " " for char in url):
        raise errors.InvalidSettingError(
            f"{where} is not a usable URL.",
            hint=f"Write it as {schemes[0]}://host or {schemes[0]}://host/path, without a password.",
        )
