"""The order in which the connections of a route are asked: by rank, by chance, by price, by speed, or by a key.

Pure: what is known of a connection, the time and the chance are arguments. Whatever is first, the others follow as
fallback, so that a strategy decides who serves, and never whether somebody does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from hashlib import blake2b
from math import inf, log
from typing import Protocol, TypeVar

import msgspec

from fairlead.config import settings as config
from fairlead.errors import InvalidSettingError
from fairlead.model.ports import Random


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """How a route chooses among its connections."""

    #: Who is asked first: the first of the list (`order`), one by chance (`weight`), the cheapest (`least_cost`), the
    #: quickest of late (`lowest_latency`), or always the same for the same `sticky_key` (`sticky`).
    strategy: str = "order"
    #: For `weight` and `sticky`: the parts of the traffic, one for each connection. What has 0 is fallback only.
    weights: Mapping[str, float] = {}
    #: For `lowest_latency`: the part of the calls that asks another one first, to learn how quick it is by now.
    explore_share: float = 0.05


class Candidate(Protocol):
    """What is known of a connection."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def cost(self) -> float:
        """What a request costs, in the unit of the configuration."""
        ...

    @property
    def usual_s(self) -> float | None:
        """How long its answers took of late; None where none is known."""
        ...


C = TypeVar("C", bound=Candidate)


def arrange(candidates: Sequence[C], routing: Routing, *, key: str | None, random: Random) -> Sequence[C]:
    """Return the candidates in the order in which they shall be asked. Without a `key`, `sticky` keeps the list's."""
    if len(candidates) < 2:
        return candidates
    match routing.strategy:
        case "weight":
            return _by_weight(candidates, routing.weights, random)
        case "least_cost":
            return sorted(candidates, key=lambda each: each.cost)
        case "lowest_latency":
            return _by_latency(candidates, routing.explore_share, random)
        case "sticky" if key is not None:
            return sorted(candidates, key=lambda each: _distance(key, each.name, routing.weights.get(each.name, 1.0)))
    return candidates


def _by_weight(candidates: Sequence[C], weights: Mapping[str, float], random: Random) -> Sequence[C]:
    """Draw the first by its weight; the others keep their order behind it."""
    mark = random() * sum(weights.get(each.name, 0.0) for each in candidates)
    for each in candidates:
        mark -= weights.get(each.name, 0.0)
        if mark < 0:
            return _led_by(each, candidates)
    return candidates


def _by_latency(candidates: Sequence[C], explore_share: float, random: Random) -> Sequence[C]:
    """Sort by what is known; who is not known yet is asked first, and now and then one of those behind is."""
    ranked = sorted(candidates, key=lambda each: 0.0 if each.usual_s is None else each.usual_s)
    if ranked[0].usual_s is None:
        return ranked
    mark = random()
    if mark >= explore_share:
        return ranked
    others = ranked[1:]
    return _led_by(others[min(int(mark / explore_share * len(others)), len(others) - 1)], ranked)


def _led_by(first: C, candidates: Sequence[C]) -> Sequence[C]:
    return [first, *(each for each in candidates if each is not first)]


def _distance(key: str, name: str, weight: float) -> float:
    """Return how far a connection is from a key: the nearest is the key's own.

    Rendezvous hashing (Thaler and Ravishankar, 1998), weighted as by Schindelhauer and Schomaker (2005). Each distance
    depends on its own connection alone: with one more, only the keys that it attracts move; with one less, its own.
    """
    if not weight:
        return inf
    digest = blake2b(f"{key}\0{name}".encode(errors="surrogatepass"), digest_size=8).digest()
    return -log((int.from_bytes(digest, "big") + 0.5) / 2**64) / weight


def build_routing(wanted: config.Route, costs: Mapping[str, float | None], where: str) -> Routing:
    """Return how a route chooses; raise `InvalidSettingError` for settings that contradict each other.

    `costs` are what the connections of the route declare.
    """
    strategy = wanted.strategy
    if wanted.weights and strategy not in {"weight", "sticky"}:
        raise InvalidSettingError(
            f"{where}.weights means nothing with the strategy {strategy!r}.",
            hint='Set strategy = "weight", or leave the weights out.',
        )
    if wanted.weights or strategy == "weight":
        _check_weights(wanted.weights, wanted.connections, f"{where}.weights")
    if wanted.explore_share != Routing().explore_share and strategy != "lowest_latency":
        raise InvalidSettingError(
            f"{where}.explore_share means nothing with the strategy {strategy!r}.",
            hint='Set strategy = "lowest_latency", or leave the share out.',
        )
    for name, cost in costs.items():
        if cost is None and strategy == "least_cost":
            raise InvalidSettingError(
                f"{where}.strategy is 'least_cost', and connections.{name} has no cost.",
                hint="Set connections.NAME.cost of each connection of the route, all in the same unit.",
            )
    return Routing(strategy=strategy, weights=wanted.weights, explore_share=wanted.explore_share)


def _check_weights(weights: Mapping[str, float], names: Sequence[str], where: str) -> None:
    for name in weights:
        if name not in names:
            close = get_close_matches(name, names, n=1)
            raise InvalidSettingError(
                f"{where}.{name} is no connection of this route.",
                hint=f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(names)}.",
            )
    for name in names:
        if name not in weights:
            raise InvalidSettingError(
                f"{where} lacks {name!r}: each connection of the route has one.",
                hint="0 makes a connection fallback only.",
            )
    if not any(weights.values()):
        raise InvalidSettingError(f"{where} are all 0.", hint="Somebody must be asked first.")
