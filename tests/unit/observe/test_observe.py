from __future__ import annotations

import io
import json
from typing import Any

import pytest

from fairlead.model.attempt import Attempt
from fairlead.model.call import CacheUse
from fairlead.model.outcome import Outcome
from fairlead.observe.events import (
    AttemptFinished,
    BreakerChanged,
    CallFinished,
    ConnectionPaused,
    DriftFound,
    Event,
    EventStream,
)
from fairlead.observe.logs import Logs
from fairlead.observe.metrics import Metrics
from fairlead.resilience.breaker import State
from fairlead.spec.drift import DriftKind

GOOD_ATTEMPT = Attempt(connection="one", outcome=Outcome.DONE, seconds=0.2, status=200)
BAD_ATTEMPT = Attempt(connection="one", outcome=Outcome.UNKNOWN, seconds=0.2, status=503, error="unavailable")


def call(error: str | None = None, served_by: str | None = "one") -> CallFinished:
    return CallFinished(
        call_id="c1", correlation_id="k1", operation="recipes.search", served_by=served_by, cache=CacheUse.MISS,
        error=error, attempts=1, total_s=0.3, overhead_s=0.001,
    )  # fmt: skip


def attempt(made: Attempt = GOOD_ATTEMPT) -> AttemptFinished:
    return AttemptFinished(call_id="c1", operation="recipes.search", attempt=made)


OPENED = BreakerChanged(connection="one", before="closed", after="open", cause="unavailable")
PAUSED = ConnectionPaused(connection="one", seconds=30.0, cause="throttled")
DRIFT = DriftFound(
    call_id="c1", connection="one", operation="recipes.search", mapping="Order", version="2026-11-24",
    kind=DriftKind.RETYPED, path="$.items[].price", expected="decimal", found="bool", is_tolerated=False,
)  # fmt: skip
EVENTS: tuple[Event, ...] = (call(), attempt(), OPENED, PAUSED, DRIFT)


def test_every_sink_is_told_in_order() -> None:
    heard: list[tuple[str, Event]] = []
    stream = EventStream((lambda event: heard.append(("a", event)), lambda event: heard.append(("b", event))))
    for event in EVENTS:
        stream.emit(event)
    assert heard == [(sink, event) for event in EVENTS for sink in ("a", "b")]


def test_without_sinks_nobody_is_told() -> None:
    EventStream().emit(PAUSED)


# --- Metrics ------------------------------------------------------------------------------------------------------


def rendered(*events: Event) -> list[str]:
    metrics = Metrics()
    for event in events:
        metrics(event)
    return metrics.render().decode().splitlines()


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (call(), 'fairlead_calls_total{cache="miss",error="",operation="recipes.search",served_by="one"} 1.0'),
        (call("unavailable", None),
         'fairlead_calls_total{cache="miss",error="unavailable",operation="recipes.search",served_by=""} 1.0'),
        (call(), 'fairlead_call_seconds_sum{operation="recipes.search"} 0.3'),
        (call(), 'fairlead_overhead_seconds_bucket{le="0.001",operation="recipes.search"} 1.0'),
        (attempt(), 'fairlead_attempts_total{connection="one",error="",outcome="done"} 1.0'),
        (attempt(BAD_ATTEMPT), 'fairlead_attempts_total{connection="one",error="unavailable",outcome="unknown"} 1.0'),
        (OPENED, 'fairlead_breaker_state{connection="one"} 2.0'),
        (PAUSED, 'fairlead_pauses_total{cause="throttled",connection="one"} 1.0'),
        (DRIFT, 'fairlead_drift_total{connection="one",kind="retyped",mapping="Order",tolerated="false"} 1.0'),
    ],
)  # fmt: skip
def test_an_event_is_counted(event: Event, line: str) -> None:
    assert line in rendered(event)


def test_counts_add_up_and_states_follow() -> None:
    closed = BreakerChanged(connection="one", before="half_open", after="closed", cause="unavailable")
    lines = rendered(attempt(), attempt(), OPENED, closed)
    assert 'fairlead_attempts_total{connection="one",error="",outcome="done"} 2.0' in lines
    assert 'fairlead_breaker_state{connection="one"} 0.0' in lines


def test_every_state_of_a_breaker_has_a_number_of_its_own() -> None:
    told = [BreakerChanged(connection="one", before="closed", after=state, cause=None) for state in State]
    lines = {line for each in told for line in rendered(each) if line.startswith("fairlead_breaker_state{")}
    assert len(lines) == len(State)


def test_every_metric_says_what_it_is() -> None:
    lines = rendered()
    names = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    helped = {line.split()[2] for line in lines if line.startswith("# HELP") and len(line.split()) > 3}
    assert names == helped
    assert {"fairlead_calls_total", "fairlead_attempts_total", "fairlead_breaker_state"} <= names


def test_two_of_them_do_not_meet() -> None:
    line = 'fairlead_pauses_total{cause="throttled",connection="one"} 1.0'
    assert line in rendered(PAUSED)
    assert line in rendered(PAUSED)


# --- Logs ---------------------------------------------------------------------------------------------------------


def logged(*events: Event) -> list[dict[str, Any]]:
    stream = io.StringIO()
    logs = Logs(stream)
    for event in events:
        logs(event)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_event_is_one_line_of_json() -> None:
    lines = logged(*EVENTS)
    assert [line["event"] for line in lines] == [
        "CallFinished", "AttemptFinished", "BreakerChanged", "ConnectionPaused", "DriftFound",
    ]  # fmt: skip
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_a_line_has_the_fields_of_its_event() -> None:
    (line,) = logged(call())
    assert (line["call_id"], line["correlation_id"], line["cache"], line["total_s"]) == ("c1", "k1", "miss", 0.3)
    (line,) = logged(attempt(BAD_ATTEMPT))
    fields = {"connection": "one", "outcome": "unknown", "seconds": 0.2, "status": 503, "error": "unavailable"}
    assert line["attempt"].items() >= fields.items()


@pytest.mark.parametrize(
    ("event", "level"),
    [(call(), "info"), (call("unavailable"), "warning"), (attempt(), "info"), (attempt(BAD_ATTEMPT), "warning"),
     (OPENED, "warning"), (PAUSED, "warning"), (DRIFT, "warning")],
)  # fmt: skip
def test_what_went_wrong_stands_out(event: Event, level: str) -> None:
    assert logged(event)[0]["level"] == level


def test_a_line_break_in_a_name_does_not_break_the_line() -> None:
    (line,) = logged(ConnectionPaused(connection='a"\n{}', seconds=1.0, cause="throttled"))
    assert line["connection"] == 'a"\n{}'


def test_by_default_they_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Logs()(PAUSED)
    captured = capsys.readouterr()
    assert (captured.out, json.loads(captured.err)["cause"]) == ("", "throttled")
