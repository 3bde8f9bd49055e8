"""Turn settings into the strategies of one connection, or into one clear error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

import msgspec

from fairlead import errors
from fairlead.config import policies as config
from fairlead.config import settings
from fairlead.model.ports import Clock
from fairlead.resilience.adaptive import AdaptiveLimit, AdaptiveOptions
from fairlead.resilience.breaker import Breaker, BreakerOptions, OnChange
from fairlead.resilience.budget import Budget, BudgetOptions
from fairlead.resilience.chaos import Chaos, Corrupt, Damage, Delay, Fail, Fault, LoseAnswer, Rule
from fairlead.resilience.concurrency import Concurrency
from fairlead.resilience.fair import FairLine
from fairlead.resilience.health import Health, HealthOptions, OnTurn
from fairlead.resilience.hedge import Hedge, HedgeOptions
from fairlead.resilience.keyed import KeyedLimit
from fairlead.resilience.learned import Learned
from fairlead.resilience.line import Line
from fairlead.resilience.quota import Allowance, Quota
from fairlead.resilience.rate import RateLimit
from fairlead.resilience.retry import Retry
from fairlead.resilience.shared_breaker import SharedBreaker
from fairlead.resilience.windows import Gcra, SlidingWindow, Window
from fairlead.runtime.care import FAILURES
from fairlead.runtime.policy import Lining, Strategies
from fairlead.spec.provider import Plan, Provider, QuotaReset
from fairlead.storage.leases import Span
from fairlead.storage.quotas import MemoryQuotas, QuotaStore


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection's strategies are tied to: who is told, and what is shared with other processes."""

    on_breaker: OnChange
    on_health: OnTurn
    chaos: Chaos | None = None
    quotas: QuotaStore | None = None
    is_shared: bool = False


def build_strategies(
    name: str,
    wanted: settings.Connection,
    provider: Provider,
    plan: Plan | None,
    surroundings: Surroundings,
    *,
    where: str,
) -> Strategies:
    """Return what stands between calls and a vendor; raise `InvalidSettingError` naming the key of what cannot be."""
    refuse_impossible(wanted, where)
    if surroundings.is_shared and lining_of(wanted):
        raise errors.InvalidSettingError(
            f"{where}.rates has limits with per or counts, which each process would keep for itself.",
            hint="Take per and counts out, or state.url.",
        )
    try:
        return _build(name, wanted, provider, plan, surroundings)
    except errors.InvalidSettingError as error:  # it names the setting
        raise errors.InvalidSettingError(f"{where}.{error.message}", hint=error.hint) from None


def concurrency_of(wanted: settings.Connection, plan: Plan | None) -> config.Concurrency:
    """Return the limit that holds: the settings', or the plan's."""
    if plan and plan.concurrent and not wanted.concurrency:
        return config.Concurrency(limit=plan.concurrent)
    return wanted.concurrency or config.Concurrency()


def most_at_once(wanted: config.Concurrency) -> int:
    """Return how many requests may be under way at the very most."""
    return wanted.adaptive.max_limit if wanted.adaptive else wanted.limit


def build_chaos(wanted: config.Chaos, connections: Mapping[str, object], where: str) -> Chaos | None:
    """Return the rules, or None where there are none; raise `InvalidSettingError` naming the rule."""
    rules = []
    for at, each in enumerate(wanted.rules):
        here = f"{where}.rules[{at}]"
        if each.connection is not None and each.connection not in connections:
            raise errors.InvalidSettingError(
                f"{here}.connection names {each.connection!r}, which is no connection.",
                hint=f"There are: {', '.join(connections) or 'none'}.",
            )
        try:
            rules.append(
                Rule(
                    fault=_fault(each, here), connection=each.connection, operation=each.operation, share=each.share,
                    begins_at=each.begins_at, ends_at=each.ends_at,
                )
            )  # fmt: skip
        except errors.InvalidSettingError as error:
            raise errors.InvalidSettingError(f"{here}: {error.message}", hint=error.hint) from None
    return Chaos(rules, is_on=wanted.is_on) if rules else None


def _fault(rule: config.ChaosRule, where: str) -> Fault:
    faults: list[Fault] = []
    if rule.delay_s is not None:
        faults.append(Delay(rule.delay_s))
    if rule.error is not None:
        if rule.error not in FAILURES:
            raise errors.InvalidSettingError(
                f"{where}.error is no error that can be made.", hint=f"There are: {', '.join(FAILURES)}."
            )
        faults.append(Fail(rule.error))
    if rule.lose_answer:
        faults.append(LoseAnswer())
    if rule.corrupt is not None:
        faults.append(Corrupt(Damage(rule.corrupt)))
    if len(faults) != 1:
        raise errors.InvalidSettingError(
            f"{where} sets {len(faults)} of delay_s, error, lose_answer and corrupt.", hint="Set exactly one of them."
        )
    return faults[0]


def refuse_impossible(wanted: settings.Connection, where: str) -> None:
    """Raise `InvalidSettingError` for policies that contradict each other."""
    times, usual = wanted.timeouts, settings.Timeouts()
    for key in ("connect_s", "read_s"):
        if getattr(times, key) > times.attempt_s and getattr(times, key) != getattr(usual, key):
            raise errors.InvalidSettingError(
                f"{where}.timeouts.{key} ({getattr(times, key):g} s) is longer than timeouts.attempt_s "
                f"({times.attempt_s:g} s).",
                hint="No part of an attempt can take longer than all of it.",
            )
    if wanted.retry.base_s > wanted.retry.cap_s:
        raise errors.InvalidSettingError(
            f"{where}.retry.base_s ({wanted.retry.base_s:g} s) is longer than retry.cap_s ({wanted.retry.cap_s:g} s).",
            hint="Raise cap_s too.",
        )
    if wanted.rate and wanted.rates:
        raise errors.InvalidSettingError(f"{where} has both rate and rates.", hint="Put them all into rates.")
    refuse_unkeepable(_given_rates(wanted), where)
    if wanted.hedge and wanted.hedge.min_s >= times.attempt_s:
        raise errors.InvalidSettingError(
            f"{where}.hedge.min_s ({wanted.hedge.min_s:g} s) is not below timeouts.attempt_s ({times.attempt_s:g} s).",
            hint="By then the first request is given up.",
        )
    slow_s = wanted.breaker.slow_s
    if slow_s is not None and slow_s > times.attempt_s:
        raise errors.InvalidSettingError(
            f"{where}.breaker.slow_s ({slow_s:g} s) is longer than timeouts.attempt_s ({times.attempt_s:g} s).",
            hint="No attempt could be that slow.",
        )
    quota = wanted.quota
    if quota and (quota.reset is None) == (quota.rolling_s is None):
        raise errors.InvalidSettingError(
            f"{where}.quota needs either reset or rolling_s.", hint="Say when the points start anew."
        )


def refuse_unkeepable(rates: Sequence[config.Rate], where: str) -> None:
    """Raise `InvalidSettingError` for limits of keys that contradict each other."""
    if len({each.per for each in rates if each.per}) > 1:
        raise errors.InvalidSettingError(
            f"{where}.rates has limits per tenant and per operation.", hint="Choose one of them: there is one line."
        )
    if len({each.counts for each in rates}) > 1:
        raise errors.InvalidSettingError(
            f"{where}.rates counts requests in one limit and points in another.",
            hint='Set counts = "points" in all of them, or in none.',
        )
    if any(each.per and each.reserve for each in rates):
        raise errors.InvalidSettingError(
            f"{where}.rates has a limit with both per and reserve.",
            hint="Set the reserve of the limit that all of them share.",
        )


def _build(
    name: str,
    wanted: settings.Connection,
    provider: Provider,
    plan: Plan | None,
    surroundings: Surroundings,
) -> Strategies:
    retry, concurrency = wanted.retry, concurrency_of(wanted, plan)
    budget = Budget(
        BudgetOptions(share=retry.budget.share, floor_per_s=retry.budget.floor_per_s, burst=retry.budget.burst)
    )
    windows = [] if surroundings.is_shared else _windows(wanted, plan)
    is_lined = lining_of(wanted) is not None
    breaker = SharedBreaker if surroundings.is_shared else Breaker
    most = min((each.requests for each in _rates(wanted, plan)), default=None)
    # A vendor that counts points says what is left in points, and Learned counts requests.
    learns = wanted.learn_limits and not any(each.counts == "points" for each in _given_rates(wanted))
    learned = (Learned() if most is None else Learned(most=most)) if learns else None
    return Strategies(
        health=Health(_health_options(wanted.health), on_turn=surroundings.on_health),
        retry=Retry(max_attempts=retry.max_attempts, base_s=retry.base_s, cap_s=retry.cap_s),
        budget=budget,
        breaker=breaker(_breaker_options(wanted), on_change=surroundings.on_breaker),
        concurrency=_concurrency(concurrency),
        rate=RateLimit(*windows) if windows or is_lined else None,
        learned=learned,
        quota=_quota(name, wanted, provider, plan, surroundings.quotas or MemoryQuotas()),
        hedge=Hedge(budget, HedgeOptions(share=wanted.hedge.share, min_s=wanted.hedge.min_s)) if wanted.hedge else None,
        chaos=surroundings.chaos,
    )


def _health_options(wanted: config.Health) -> HealthOptions:
    shared = {name: getattr(wanted, name) for name in HealthOptions.__struct_fields__ if hasattr(wanted, name)}
    return HealthOptions(**shared)


def _breaker_options(wanted: settings.Connection) -> BreakerOptions:
    given = wanted.breaker
    return BreakerOptions(
        window=given.window,
        window_s=given.window_s,
        min_attempts=given.min_attempts,
        failure_share=given.failure_share,
        slow_s=given.slow_s,
        slow_share=given.slow_share,
        open_s=given.open_s,
        max_open_s=given.max_open_s,
        probes=given.probes,
        # A probe waits in line and is sent; after twice its time nobody can be waiting for it.
        lease_s=2 * wanted.timeouts.attempt_s,
    )


def _concurrency(wanted: config.Concurrency) -> Concurrency:
    given, adaptive = wanted.adaptive, None
    if given is not None:
        adaptive = AdaptiveLimit(
            AdaptiveOptions(initial=wanted.limit, min_limit=given.min_limit, max_limit=given.max_limit)
        )
    if wanted.queue_s is None:
        return Concurrency(limit=wanted.limit, queue=wanted.queue, adaptive=adaptive)
    return Concurrency(limit=wanted.limit, queue=wanted.queue, queue_s=wanted.queue_s, adaptive=adaptive)


def _given_rates(wanted: settings.Connection) -> list[config.Rate]:
    return [wanted.rate] if wanted.rate else wanted.rates


def lining_of(wanted: settings.Connection) -> Lining | None:
    """Return how calls stand in line, or None where no limit knows keys or points."""
    given = _given_rates(wanted)
    per = next((each.per for each in given if each.per), None)
    counts_points = any(each.counts == "points" for each in given)
    return Lining(per=per or "tenant", counts_points=counts_points) if per or counts_points else None


def build_line(
    wanted: settings.Connection, plan: Plan | None, rate: RateLimit, concurrency: Concurrency, clock: Clock
) -> Line:
    """Build the line in front of a connection; the limit of each key is a bucket, so that a key costs some bytes."""
    shapes = [
        Gcra(each.requests, each.per_s, burst=each.burst) if each.burst else Gcra.paced(each.requests, each.per_s)
        for each in _given_rates(wanted)
        if each.per
    ]
    given = concurrency_of(wanted, plan)
    queue_s = inf if given.queue_s is None else given.queue_s
    fair = FairLine(rate, KeyedLimit(*shapes) if shapes else None)
    return Line(fair, concurrency, clock=clock, queue=given.queue, queue_s=queue_s)


def _rates(wanted: settings.Connection, plan: Plan | None) -> list[config.Rate]:
    """Return the limits that hold: the settings', or the plan's."""
    given = _given_rates(wanted)
    shared = [each for each in given if each.per is None]
    if shared or (given and plan is None):
        return shared
    return [] if plan is None else [config.Rate(requests=plan.requests, per_s=plan.per_s, burst=plan.burst)]


def spans_of(wanted: settings.Connection, plan: Plan | None) -> tuple[Span, ...]:
    """Return the same limits as they are shared: a bucket is so much in the time in which it fills."""
    spans = []
    for each in _rates(wanted, plan):
        amount = each.burst or each.requests
        spans.append(Span(amount, amount * each.per_s / each.requests))
    return tuple(spans)


def _windows(wanted: settings.Connection, plan: Plan | None) -> list[Window]:
    """Build a window for each limit; a bucket only where the vendor says that it is one."""
    return [
        Gcra(each.requests, each.per_s, burst=each.burst, reserve=each.reserve)
        if each.burst
        else SlidingWindow(each.requests, each.per_s, reserve=each.reserve)
        for each in _rates(wanted, plan)
    ]


def _quota(
    name: str, wanted: settings.Connection, provider: Provider, plan: Plan | None, store: QuotaStore
) -> Quota | None:
    given = wanted.quota
    if given is not None:
        reset = QuotaReset(given.reset) if given.reset else None
        allowance = Allowance(points=given.points, reset=reset, rolling_s=given.rolling_s, reserve=given.reserve)
    elif wanted.plan and plan is not None and plan.quota and provider.quota_reset is not None:  # not a plan we assume
        allowance = Allowance(points=plan.quota, reset=provider.quota_reset)
    else:
        return None
    return Quota(store, name, allowance)
