"""Turn the settings of caches into caches, or into one clear error."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fairlead.config import cache as config
from fairlead.errors import InvalidSettingError, UnknownSettingError
from fairlead.model.suggest import suggest
from fairlead.resilience.cache import Cache
from fairlead.resilience.shared_answers import SharedAnswers
from fairlead.runtime.caching import Caching
from fairlead.runtime.connection import Connection
from fairlead.runtime.fingerprint import Fingerprints
from fairlead.runtime.http_caching import HttpCache, HttpCachePolicy
from fairlead.runtime.keeping import CachePolicy, RouteCache
from fairlead.runtime.ports import Ports
from fairlead.storage.answers import MemoryAnswers


def assemble_route_cache(
    wanted: config.Cache,
    operations: Sequence[str],
    where: str,
    *,
    ports: Ports,
    fingerprints: Fingerprints,
    answers: SharedAnswers | None = None,
) -> RouteCache:
    """Build a route's cache; raise `ConfigError` for an operation that is none, and ages that contradict each other."""
    usual = CachePolicy(
        ttl_s=wanted.ttl_s,
        stale_while_revalidate_s=wanted.stale_while_revalidate_s,
        stale_if_error_s=wanted.stale_if_error_s,
        negative_ttl_s=wanted.negative_ttl_s,
    )
    _check(usual, where)
    by_operation = {}
    for name, own in wanted.operations.items():
        if name not in operations:
            raise UnknownSettingError(
                f"{where}.operations.{name} is no operation.",
                hint=suggest(name, operations),
            )
        said = {key: value for key, value in msgspec.structs.asdict(own).items() if value is not None}
        by_operation[name] = msgspec.structs.replace(usual, **said)
        _check(by_operation[name], f"{where}.operations.{name}")
    cache = _cache(wanted, where, ports, answers)
    return RouteCache(cache=cache, policy=usual, by_operation=by_operation, fingerprints=fingerprints)


def assemble_http_cache(
    connection: Connection,
    wanted: config.HttpCache,
    where: str,
    *,
    fingerprints: Fingerprints,
    caching: Caching,
    ports: Ports,
    answers: SharedAnswers | None = None,
) -> HttpCache:
    """Build the cache of a connection's plain answers; raise `ConfigError` where it shall be shared and cannot."""
    cache = _cache(wanted, where, ports, answers)
    policy = HttpCachePolicy(
        negative_ttl_s=wanted.negative_ttl_s,
        stale_if_error_s=wanted.stale_if_error_s,
        validate_s=wanted.validate_s,
        guess_share=wanted.guess_share,
    )
    return HttpCache(connection, cache, policy, fingerprints=fingerprints, caching=caching, ports=ports)


def _cache(wanted: config.Cache | config.HttpCache, where: str, ports: Ports, answers: SharedAnswers | None) -> Cache:
    if not wanted.shared:
        return Cache(MemoryAnswers(ports.clock, max_entries=wanted.max_entries, max_bytes=wanted.max_bytes))
    if answers is None:
        raise InvalidSettingError(
            f"{where}.shared is set, but there is nowhere to share it.", hint="Set state.url and state.cache_key."
        )
    return answers.cache()


def _check(policy: CachePolicy, where: str) -> None:
    if 0 < policy.stale_while_revalidate_s <= policy.ttl_s:
        raise InvalidSettingError(
            f"{where}.stale_while_revalidate_s is not more than ttl_s, so it would never apply.",
            hint="Both count from when the answer came: ttl_s = 60 and stale_while_revalidate_s = 300, for example.",
        )
