"""Who is asked first, by each strategy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.runtime.routing import Routing, arrange
from scripted import REFUSED, SOUP, Script, Slow, World, answer, build_world, recipes, report, route

NAMES = ("one", "two", "three")
CONNECTIONS = "".join(recipes(name, "retry = { max_attempts = 1 }") for name in NAMES)
NO_CACHE = "cache = { ttl_s = 0 }"
CALLS = 400


class Vendor(NamedTuple):
    """What a strategy knows of a connection."""

    name: str
    cost: float = 0.0
    usual_s: float | None = None


def draw(seed: int) -> Random:
    return Random(seed)  # noqa: S311  # no secret


def first_of(vendors: Sequence[Vendor], routing: Routing, key: str | None = None, seed: int = 1) -> str:
    return arrange(vendors, routing, key=key, random=draw(seed).random)[0].name


def vendors(*names: str) -> list[Vendor]:
    return [Vendor(name) for name in names]


async def served(world: World, times: int = CALLS) -> Counter[str]:
    """Count who served."""
    found = [await world.fl.recipes.search(f"soup {number}") for number in range(times)]
    return Counter(report(page).served_by for page in found)


# --- What every strategy keeps ------------------------------------------------------------------------------------


@given(
    st.sampled_from(["order", "weight", "least_cost", "lowest_latency", "sticky"]),
    st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9), st.none() | st.floats(0.001, 9)), min_size=1, max_size=6),
    st.none() | st.text(),
    st.integers(),
)
def test_a_strategy_leaves_nobody_out(
    strategy: str, facts: list[tuple[float, float, float | None]], key: str | None, seed: int
) -> None:
    given_ = [Vendor(f"v{at}", cost, usual_s) for at, (_, cost, usual_s) in enumerate(facts)]
    weights = {f"v{at}": weight for at, (weight, _, _) in enumerate(facts)}
    routing = Routing(strategy=strategy, weights=weights)
    found = arrange(given_, routing, key=key, random=draw(seed).random)
    assert sorted(found) == sorted(given_)


# --- By weight ----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 9), min_size=2, max_size=5).filter(any), st.integers())
def test_weights_are_kept_in_the_long_run(weights: list[int], seed: int) -> None:
    routing = Routing(strategy="weight", weights={f"v{at}": float(weight) for at, weight in enumerate(weights)})
    random, given_ = draw(seed).random, vendors(*routing.weights)
    times = 3000
    counted = Counter(arrange(given_, routing, key=None, random=random)[0].name for _ in range(times))
    for name, weight in routing.weights.items():
        share = weight / sum(weights)
        deviation = (share * (1 - share) / times) ** 0.5
        assert abs(counted[name] / times - share) <= 6 * deviation, name


async def test_who_has_no_weight_is_fallback_only():
    settings = f'strategy = "weight"\nweights = {{ one = 0, two = 3, three = 1 }}\n{NO_CACHE}'
    scripts: Mapping[str, Script] = {"one": SOUP, "two": SOUP, "three": SOUP}  # type: ignore[dict-item]
    world = build_world(CONNECTIONS + route(*NAMES, settings=settings), scripts)
    counted = await served(world)
    assert set(counted) == {"two", "three"}
    assert counted["two"] / CALLS == pytest.approx(0.75, abs=0.08)
    for name in ("two", "three"):
        world.transports[name].otherwise = REFUSED
    assert (await world.fl.recipes.search("bread")).served_by == "one"


async def test_the_others_follow_in_the_order_of_the_route():
    settings = f'strategy = "weight"\nweights = {{ one = 0, two = 0, three = 1 }}\n{NO_CACHE}'
    world = build_world(CONNECTIONS + route(*NAMES, settings=settings), {"one": REFUSED, "two": SOUP, "three": REFUSED})
    page = await world.fl.recipes.search("soup")
    assert [each.connection for each in report(page).attempts] == ["three", "one", "two"]


# --- By cost ------------------------------------------------------------------------------------------------------


async def test_the_cheapest_is_asked_first():
    costs = {"one": 0.02, "two": 0.001, "three": 0}
    text = "".join(recipes(name, f"cost = {cost}\nretry = {{ max_attempts = 1 }}") for name, cost in costs.items())
    world = build_world(
        text + route(*NAMES, settings='strategy = "least_cost"'), {"one": SOUP, "two": REFUSED, "three": REFUSED}
    )
    page = await world.fl.recipes.search("soup")
    assert [each.connection for each in report(page).attempts] == ["three", "two", "one"]


def test_what_costs_the_same_keeps_the_order_of_the_route():
    found = arrange([Vendor("b", 1), Vendor("a", 1)], Routing(strategy="least_cost"), key=None, random=draw(1).random)
    assert [each.name for each in found] == ["b", "a"]


# --- By latency ---------------------------------------------------------------------------------------------------

QUICKEST = f'strategy = "lowest_latency"\n{NO_CACHE}'


async def test_the_quickest_of_late_serves():
    scripts = {"one": Slow(0.4, SOUP), "two": Slow(0.1, SOUP), "three": Slow(0.3, SOUP)}
    world = build_world(CONNECTIONS + route(*NAMES, settings=QUICKEST), scripts)
    counted = await served(world)
    assert counted["two"] / CALLS > 0.9
    assert counted["one"]
    assert counted["three"]


async def test_a_vendor_that_has_become_quick_is_noticed():
    scripts = {"one": Slow(0.1, SOUP), "two": Slow(2.0, SOUP), "three": Slow(3.0, SOUP)}
    world = build_world(CONNECTIONS + route(*NAMES, settings=QUICKEST), scripts)
    assert (await served(world)).most_common(1)[0][0] == "one"
    world.transports["two"].otherwise = Slow(0.02, SOUP)
    await served(world, 500)
    assert (await served(world, 100)).most_common(1)[0][0] == "two"


async def test_who_is_not_known_yet_is_asked_first():
    world = build_world(CONNECTIONS + route(*NAMES, settings=QUICKEST), dict.fromkeys(NAMES, Slow(0.1, SOUP)))
    assert set(await served(world, 3)) == set(NAMES)


async def test_a_failure_says_nothing_of_the_speed():
    """An error is quick; one that comes at once must not draw the traffic."""
    world = build_world(
        CONNECTIONS + route("one", "two", settings=QUICKEST),
        {"one": [answer(500)] * 3 + [Slow(0.3, SOUP)] * 400, "two": Slow(0.1, SOUP), "three": []},
    )
    await served(world, 20)
    assert world.connection("two").usual_s == pytest.approx(0.1)
    assert world.connection("one").usual_s == pytest.approx(0.3)


# --- By a key -----------------------------------------------------------------------------------------------------

KEYS = [f"user-{number}" for number in range(600)]
STICKY = Routing(strategy="sticky")


def placed(*names: str, routing: Routing = STICKY) -> dict[str, str]:
    return {key: first_of(vendors(*names), routing, key) for key in KEYS}


@given(st.integers(2, 8), st.integers(0, 7))
def test_with_one_more_connection_only_the_keys_it_attracts_move(number: int, at: int) -> None:
    names = [f"v{each}" for each in range(number)]
    before, after = placed(*names), placed(*names[:at], "new", *names[at:])
    moved = {key for key in KEYS if before[key] != after[key]}
    assert {after[key] for key in moved} <= {"new"}
    assert len(moved) / len(KEYS) <= 1 / (number + 1) + 0.1


@given(st.integers(2, 8), st.data())
def test_with_one_less_only_its_own_keys_move(number: int, data: st.DataObject) -> None:
    names = [f"v{each}" for each in range(number)]
    gone = data.draw(st.sampled_from(names))
    before, after = placed(*names), placed(*(name for name in names if name != gone))
    assert {before[key] for key in KEYS if before[key] != after[key]} <= {gone}


def test_where_a_connection_stands_in_the_list_is_all_the_same() -> None:
    assert placed("a", "b", "c") == placed("c", "a", "b")


def test_weights_share_the_keys_out() -> None:
    counted = Counter(placed("a", "b", routing=Routing(strategy="sticky", weights={"a": 3.0, "b": 1.0})).values())
    assert counted["a"] / len(KEYS) == pytest.approx(0.75, abs=0.06)
    assert set(placed("a", "b", routing=Routing(strategy="sticky", weights={"a": 1.0, "b": 0.0})).values()) == {"a"}


async def test_the_same_key_is_served_by_the_same_vendor():
    world = build_world(CONNECTIONS + route(*NAMES, settings='strategy = "sticky"'), dict.fromkeys(NAMES, SOUP))
    homes = {}
    for user in KEYS[:30]:
        pages = [await world.fl.recipes.search("soup", sticky_key=user) for _ in range(2)]
        assert pages[0].served_by == pages[1].served_by
        homes[user] = pages[0].served_by
    assert set(homes.values()) == set(NAMES)
    assert sum(len(world.sent(name)) for name in NAMES) == 3  # who has the same vendor shares its kept answers


async def test_without_a_key_the_order_of_the_route_counts():
    world = build_world(
        CONNECTIONS + route("two", "one", settings='strategy = "sticky"'), {**dict.fromkeys(NAMES, SOUP)}
    )
    assert (await world.fl.recipes.search("soup")).served_by == "two"


# --- What contradicts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("weights = { one = 1, two = 1 }", "weights means nothing with the strategy 'order'"),
        ('strategy = "least_cost"\nweights = { one = 1, two = 1 }', "weights means nothing"),
        ('strategy = "weight"', "weights lacks 'one'"),
        ('strategy = "weight"\nweights = { one = 1 }', "weights lacks 'two'"),
        ('strategy = "sticky"\nweights = { one = 1 }', "weights lacks 'two'"),
        ('strategy = "weight"\nweights = { one = 0, two = 0 }', "weights are all 0"),
        ('strategy = "weight"\nweights = { one = 1, tow = 1 }', "weights.tow is no connection of this route."),
        ('strategy = "weight"\nweights = { one = -1, two = 1 }', "weights.one: Expected `float` >= 0"),
        ('strategy = "least_cost"', "strategy is 'least_cost', and connections.one has no cost"),
        ("explore_share = 0.5", "explore_share means nothing with the strategy 'order'"),
        ('strategy = "fastest"', "strategy: Expected one of 'order', 'weight', 'least_cost', 'lowest_latency'"),
    ],
)
def test_what_contradicts_is_refused(settings: str, said: str) -> None:
    with pytest.raises(errors.InvalidSettingError) as caught:
        build_world(CONNECTIONS + route("one", "two", settings=settings), dict.fromkeys(NAMES, SOUP))
    assert f"test.toml: routes.recipes.{said}" in str(caught.value)
