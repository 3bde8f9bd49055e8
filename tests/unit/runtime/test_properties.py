"""Whatever vendors answer, in whatever order: acts are not repeated in doubt, time is kept, and nothing leaks."""

import asyncio
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import errors
from fairlead.model.answer import Answer
from fairlead.model.exchange import Broken
from fairlead.model.message import Request
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect, Failure, Outcome, Phase
from fairlead.observe.events import AttemptFinished, CallFinished
from fairlead.runtime.connection import Connection
from fairlead.runtime.pipeline import Begin
from fairlead.spec.answer import decode
from scripted import HTML, Line, Slow, World, answer, build_world, plain

ATTEMPTS = 3
CONNECTION = f"""
retry = {{ max_attempts = {ATTEMPTS}, base_s = 0.5, cap_s = 4.0 }}
breaker = {{ window = 4, min_attempts = 2, open_s = 2.0 }}
concurrency = {{ limit = 3, queue = 2 }}
rate = {{ requests = 4, per_s = 2.0 }}
timeouts = {{ attempt_s = 5.0 }}
"""

FAILURES = st.builds(
    Broken,
    st.sampled_from(Failure).filter(lambda failure: failure not in {Failure.MALFORMED, Failure.CHANGED}),
    st.sampled_from([Phase.CONNECTING, Phase.SENDING, Phase.WAITING, Phase.RECEIVING]),
)
STATUSES = st.builds(
    lambda status, after: answer(status, **({"retry_after": after} if after else {})),
    st.sampled_from([200, 200, 200, 201, 302, 400, 401, 402, 404, 408, 409, 425, 429, 500, 503]),
    st.sampled_from([None, None, "0", "1", "3", "60"]),
)
ANSWERS = st.one_of(STATUSES, FAILURES, st.just(HTML), st.just(answer(content=[])))
LINES: st.SearchStrategy[Line] = st.one_of(ANSWERS, st.builds(Slow, st.floats(0.01, 8), ANSWERS))
EFFECTS = st.lists(st.sampled_from(Effect), min_size=1, max_size=3)


def operation(effects: list[Effect]) -> Begin:
    """Make an operation of one request for each effect, whose paths tell them apart."""

    def begin(_connection: Connection) -> Operation[Answer]:
        for number, effect in enumerate(effects):
            decode((yield Request.post(f"/{number}", effect=effect)), dict)
        return Answer()

    return begin


def world_of(first: list[Line], second: list[Line]) -> World:
    last = answer(503)
    world = build_world(plain("one", CONNECTION) + plain("two", CONNECTION), {"one": [*first], "two": [*second]})
    for transport in world.transports.values():
        transport.otherwise = last
    return world


def exchanges(world: World, call_id: str) -> list[tuple[str, Request, Outcome]]:
    """Return the connection, request and outcome of each exchange of a call that ran alone, in order."""
    told = [each.attempt for each in world.told(AttemptFinished) if each.call_id == call_id and each.attempt.was_tried]
    sent = sorted(
        ((each.at_s, name, position, each.request) for name in world.transports
         for position, each in enumerate(world.transports[name].sent)),
        key=lambda each: each[:3],
    )  # fmt: skip
    by_connection = {name: iter([each[3] for each in sent if each[1] == name]) for name in world.transports}
    return [(attempt.connection, next(by_connection[attempt.connection]), attempt.outcome) for attempt in told]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    effects=EFFECTS,
    first=st.lists(LINES, max_size=12),
    second=st.lists(LINES, max_size=12),
    deadline_s=st.sampled_from([0.5, 3.0, 10.0, 40.0]),
)
def test_no_act_is_repeated_in_doubt_and_no_time_is_overdrawn(effects, first, second, deadline_s):
    world = world_of(first, second)

    async def run() -> Any:
        try:
            return await world.drive(operation(effects), deadline_s=deadline_s)
        except errors.FairleadError as error:
            return error

    result = asyncio.run(run())
    made = exchanges(world, "call-1")

    over: set[str] = set()  # acts that were or may have been done: never to be sent again, to anybody
    doubted = None  # the connection that was or may have been acted at: nobody else is asked from then on
    for name, request, outcome in made:
        assert request.path not in over
        assert doubted in (None, name)
        if request.effect is not Effect.READ and outcome is not Outcome.NOT_DONE:
            doubted = name
            if request.effect is Effect.ONCE or outcome is Outcome.DONE:
                over.add(request.path)

    assert world.told(CallFinished)[0].total_s <= deadline_s + 1e-6
    assert all(each.at_s < 1000 + deadline_s for transport in world.transports.values() for each in transport.sent)
    if isinstance(result, errors.FairleadError):
        assert isinstance(result, errors.OutcomeUnknownError) == (doubted is not None)
        assert result.outcome is (Outcome.NOT_DONE if doubted is None else Outcome.UNKNOWN)
        assert tuple(each.attempt for each in world.told(AttemptFinished)) == result.attempts
    world.assert_at_rest()


@settings(max_examples=60, derandomize=True, deadline=None)
@given(effects=EFFECTS, lines=st.lists(ANSWERS, max_size=12))
def test_the_attempts_at_one_connection_are_bounded(effects, lines):
    """Without a refusal of ours there is no second round: each request is tried so often, and reads begin again."""
    text = plain("one", f"retry = {{ max_attempts = {ATTEMPTS} }}\nbreaker = {{ window = 500, min_attempts = 500 }}")
    world = build_world(text, {"one": [*lines]})
    world.transports["one"].otherwise = answer(500)

    async def run() -> None:
        with suppress(errors.FairleadError):
            await world.drive(operation(effects), deadline_s=1e6)

    asyncio.run(run())
    assert len(world.sent("one")) <= ATTEMPTS * len(effects) * ATTEMPTS
    if len(effects) == 1:
        assert len(world.sent("one")) <= ATTEMPTS
    world.assert_at_rest()


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    lines=st.lists(LINES, max_size=20),
    others=st.lists(LINES, max_size=20),
    cancelled=st.sets(st.integers(0, 9)),
    pauses=st.integers(0, 12),
)
def test_whoever_is_cancelled_whenever_nothing_leaks(lines, others, cancelled, pauses):
    world = world_of(lines, others)

    async def run() -> None:
        calls = [asyncio.create_task(world.drive(operation([Effect.READ]), deadline_s=20.0)) for _ in range(10)]
        for _ in range(pauses):
            await asyncio.sleep(0)
        for at in cancelled:
            calls[at].cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(each, Answer | errors.FairleadError | asyncio.CancelledError) for each in results)

    asyncio.run(run())
    world.assert_at_rest()
