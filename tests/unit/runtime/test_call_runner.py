"""Calls in the background, and what becomes of those whose outcome is unknown. On a fake clock, over a real store."""

from __future__ import annotations

import datetime as dt

import pytest

from errands import CONFIG, NO_RETRY, VISIBLE_AFTER_S, Killed, Shop, Vendor
from fairlead import errors
from fairlead.model.outcome import Outcome
from fairlead.observe.events import CallSettled
from fairlead.runtime.call_runner import TRY_AFTER_S
from fairlead.storage.jobs import Ending, JobState
from fairlead.testing.clock import FakeClock
from scripted import REFUSED, RESET, Line, World, answer, build_world, new_file, plain
from stores import file_store


def idle(world: World) -> World:
    """Let nobody but the test itself work off the jobs."""
    world.fl.desk.wake = lambda: None
    return world


async def work(world: World) -> None:
    store = world.fl.desk.store
    for job in await store.claim(["call"], "w", lease_s=30.0, limit=5):
        ending = await world.fl._durable.runners["call"](job)
        assert isinstance(ending, Ending)
        await store.finish(ending)


async def test_a_call_in_the_background_is_made_later_and_its_answer_kept() -> None:
    shop = Shop()
    call = await shop.errands.do("run", "milk", background=True)
    assert (call.state, call.outcome, call.operation, call.progress) == ("waiting", None, "errands.run", 0.0)
    assert not shop.vendor.done
    await shop.work()
    assert (await shop.fl.calls.wait(call)).id == "0"
    ended = await shop.fl.calls.get(call.id)
    assert (ended.state, ended.outcome, ended.progress, ended.is_in_doubt) == ("done", Outcome.DONE, 1.0, False)
    await shop.fl.close()


async def test_a_plain_request_and_a_read_can_be_made_in_the_background() -> None:
    world = idle(build_world(plain(), {"shop": answer(200, {"id": 7})}))
    posted = await world.fl.http("shop").post("/things", json={"a": "ü"}, background=True)
    read = await world.fl.http("shop").get("/things", query={"q": [1, 2]}, background=True)
    await work(world)
    assert (await world.fl.calls.wait(posted)).json() == {"id": 7}
    assert (await world.fl.calls.wait(read.id)).status == 200
    sent = {each.method: each for each in world.sent("shop")}
    assert sent["POST"].body == b'{"a":"\xc3\xbc"}'
    assert sent["GET"].query == (("q", "1"), ("q", "2"))
    await world.fl.close()


async def test_run_at_is_kept_to() -> None:
    shop = Shop()
    at = shop.clock.wall() + 3600.0
    first = await shop.errands.do("run", "milk", background=True, run_at=at)
    await shop.errands.do("run", "bread", background=True, run_at=dt.datetime.fromtimestamp(at, dt.UTC))
    assert first.run_at == at
    await shop.turn()
    assert not shop.vendor.done
    await shop.work()
    assert [each.at >= at for each in shop.vendor.done] == [True, True]
    with pytest.raises(errors.InvalidArgumentError, match="time zone"):
        await shop.errands.do("run", "milk", background=True, run_at=dt.datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(errors.InvalidArgumentError, match="background"):
        await shop.errands.do("run", "milk", run_at=at)
    await shop.fl.close()


async def test_what_cannot_be_kept_is_refused_by_name() -> None:
    shop = Shop()
    with pytest.raises(errors.UsageError, match=r"errands.run: argument 1 \(object\)"):
        await shop.errands._call("run", (object(),), None, {"background": True})  # type: ignore[typeddict-unknown-key]
    world = build_world(plain(), {"shop": answer()})
    with pytest.raises(errors.UsageError, match="stream"):
        async with world.fl.http("shop").stream("POST", "/x", background=True):  # type: ignore[call-arg]
            pass
    with pytest.raises(errors.UsageError, match="model"):
        await world.fl.http("shop").post("/x", model=int, background=True)  # type: ignore[call-overload]
    await shop.fl.close()


async def test_what_was_not_done_is_tried_again_and_given_up_in_the_end() -> None:
    shop = Shop(settings=NO_RETRY)
    shop.vendor.moods = ["refuse"] * 2
    call = await shop.errands.do("run", "milk", background=True)
    await shop.work()
    assert (await shop.fl.calls.get(call.id)).state == "done"
    shop.vendor.moods = ["refuse"] * 100
    call = await shop.errands.do("run", "bread", background=True)
    await shop.work()
    ended = await shop.fl.calls.get(call.id)
    assert (ended.state, ended.outcome, ended.failures) == ("dead", Outcome.NOT_DONE, len(TRY_AFTER_S) + 1)
    with pytest.raises(errors.ConnectError):
        await shop.fl.calls.wait(call)
    shop.vendor.moods = []
    assert await shop.fl.calls.retry(call.id)
    await shop.work()
    assert (await shop.fl.calls.get(call.id)).state == "done"
    assert shop.vendor.count("bread") == 1
    assert not await shop.fl.calls.retry(call.id)
    await shop.fl.close()


async def test_what_would_fail_again_is_not_tried_again() -> None:
    shop = Shop()
    shop.vendor.moods = ["wrong"]
    call = await shop.errands.do("run", "milk", background=True)
    await shop.turn()
    assert (await shop.fl.calls.get(call.id)).state == "dead"
    await shop.fl.close()


async def test_a_cancelled_call_is_not_made() -> None:
    shop = Shop()
    call = await shop.errands.do("run", "milk", background=True)
    assert await shop.fl.calls.cancel(call.id)
    assert not await shop.fl.calls.cancel(call.id)
    await shop.work()
    assert not shop.vendor.done
    with pytest.raises(errors.CallCancelledError):
        await shop.fl.calls.wait(call)
    with pytest.raises(errors.UnknownCallError):
        await shop.fl.calls.get("nothing")
    await shop.fl.close()


async def test_calls_are_listed_newest_first_and_in_pages() -> None:
    shop = Shop()
    made = [await shop.errands.do("run", text, background=True, tenant=text) for text in ("a", "b", "c")]
    await shop.errands.do("keep", "d")
    first = await shop.fl.calls.list(operation="errands.run", limit=2)
    assert [each.id for each in first] == [made[2].id, made[1].id]
    rest = await shop.fl.calls.list(operation="errands.run", before=first[-1].id)
    assert [each.id for each in rest] == [made[0].id]
    assert [each.tenant for each in await shop.fl.calls.list(tenant="b")] == ["b"]
    assert [each.operation for each in await shop.fl.calls.list(state=JobState.DONE)] == ["errands.keep"]
    await shop.fl.close()


async def settled(shop: Shop) -> list[tuple[str, str]]:
    return [(each.outcome.value, each.evidence) for each in shop.world.told(CallSettled)]


async def test_an_answer_that_is_lost_is_found_within_the_deadline() -> None:
    shop = Shop()
    shop.vendor.moods = ["drop"]
    done = await shop.errands.do("run", "milk", deadline_s=38.0)
    assert done.id == "0"
    assert shop.vendor.count("milk") == 1
    assert await settled(shop) == [("done", "the vendor has it")]
    await shop.fl.close()


async def test_absence_counts_only_once_the_vendor_would_show_it() -> None:
    shop = Shop()
    shop.vendor.moods = ["lose"]
    began = shop.clock.wall()
    with pytest.raises(errors.UnavailableError, match="It was not done") as caught:
        await shop.errands.do("run", "milk", deadline_s=120.0, idempotency_key="k")
    assert caught.value.outcome is Outcome.NOT_DONE
    assert shop.clock.wall() - began >= VISIBLE_AFTER_S
    assert shop.vendor.looks > 1
    assert (await shop.errands.do("run", "milk", deadline_s=120.0, idempotency_key="k")).id == "0"
    await shop.fl.close()


async def test_what_the_deadline_does_not_allow_is_settled_later() -> None:
    shop = Shop()
    shop.vendor.moods = ["drop"]
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await shop.errands.do("run", "milk", deadline_s=5.0, idempotency_key="k")
    call_id = caught.value.settlement_id
    assert call_id
    with pytest.raises(errors.UsageError, match="being settled"):
        await shop.fl.calls.cancel(call_id)
    await shop.work()
    assert (await shop.fl.calls.wait(call_id)).id == "0"
    assert (await shop.errands.do("run", "milk", idempotency_key="k")).id == "0"
    assert shop.vendor.count("milk") == 1
    await shop.fl.close()


@pytest.mark.parametrize("mood", ["kill_before", "kill_after"])
@pytest.mark.parametrize(
    ("operation", "is_background"), [("run", True), ("run", False), ("keep", True), ("keep", False)]
)
async def test_a_call_whose_process_was_killed_ends_truthfully(
    mood: str, operation: str, *, is_background: bool
) -> None:
    path, clock = new_file(), FakeClock()
    shop = Shop(file_store(path, clock), clock=clock)
    shop.vendor.moods = [mood]
    if is_background:
        await shop.errands.do(operation, "milk", background=True, idempotency_key="k")
    with pytest.raises(Killed):
        await (shop.turn() if is_background else shop.errands.do(operation, "milk", idempotency_key="k"))
    again = Shop(file_store(path, clock), shop.vendor, clock=clock)
    await again.work()
    (call,) = await again.fl.calls.list()
    is_done = mood == "kill_after" or is_background or operation == "keep"
    assert call.outcome is (Outcome.DONE if is_done else Outcome.NOT_DONE)
    assert again.vendor.count("milk") == is_done
    await shop.fl.close()
    await again.fl.close()


async def test_nothing_is_repeated_once_the_vendor_has_forgotten_its_key() -> None:
    path, clock = new_file(), FakeClock()
    shop = Shop(file_store(path, clock), clock=clock)
    shop.vendor.moods = ["kill_after"]
    call = await shop.errands.do("keep", "milk", background=True)
    with pytest.raises(Killed):
        await shop.turn()
    clock.advance(700.0)
    again = Shop(file_store(path, clock), shop.vendor, clock=clock)
    await again.work()
    ended = await again.fl.calls.get(call.id)
    assert (ended.state, ended.outcome) == ("dead", Outcome.UNKNOWN)
    assert again.vendor.count("milk") == 1
    await shop.fl.close()
    await again.fl.close()


async def test_what_cannot_be_known_waits_for_a_person() -> None:
    shop = Shop()
    shop.vendor.moods = ["drop"]
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await shop.errands.do("tell", "a joke")
    call_id = caught.value.settlement_id or ""
    call = await shop.fl.calls.get(call_id)
    assert (call.state, call.outcome) == ("dead", Outcome.UNKNOWN)
    assert await settled(shop) == [("unknown", "The vendor keeps no list of what was told.")]
    await shop.work()
    assert await shop.fl.calls.retry(call_id)  # it looks again, and does not send again
    await shop.work()
    assert shop.vendor.count("a joke") == 1
    assert await shop.fl.calls.settle(call_id, Outcome.DONE, evidence="they laughed")
    await shop.work()
    call = await shop.fl.calls.get(call_id)
    assert (call.state, call.outcome) == ("done", Outcome.DONE)
    with pytest.raises(errors.UnexpectedAnswerError, match="they laughed"):
        await shop.fl.calls.wait(call_id)
    await shop.fl.close()


async def test_a_webhook_settles_as_well_as_a_look_does() -> None:
    shop = Shop()
    heard: list[CallSettled] = []
    shop.fl.calls.on_settled.append(heard.append)
    shop.vendor.moods = ["drop"]
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await shop.errands.do("run", "milk", deadline_s=5.0)
    call_id = caught.value.settlement_id or ""
    errand = await shop.errands.do("run", "bread")
    assert await shop.fl.calls.settle(
        call_id, Outcome.DONE, value=errand.__class__(id="0"), evidence="webhook errand.done", served_by="acme"
    )
    assert not await shop.fl.calls.settle(call_id, Outcome.NOT_DONE, evidence="somebody else")
    looks = shop.vendor.looks
    await shop.turn()
    await shop.turn()
    assert shop.vendor.looks == looks
    assert (await shop.fl.calls.wait(call_id)).id == "0"
    assert [(each.call_id, each.evidence) for each in heard] == [(call_id, "webhook errand.done")]
    await shop.work()
    assert not await shop.fl.calls.settle(call_id, Outcome.DONE, evidence="late")
    await shop.fl.close()


async def test_a_call_in_the_background_that_was_not_done_is_tried_again() -> None:
    shop = Shop()
    shop.vendor.moods = ["lose"]
    call = await shop.errands.do("run", "milk", background=True)
    await shop.work()
    assert (await shop.fl.calls.get(call.id)).outcome is Outcome.DONE
    assert [each[0] for each in await settled(shop)] == ["not_done"]
    assert shop.vendor.count("milk") == 1
    await shop.fl.close()


async def test_a_vendor_that_says_nothing_for_good_leaves_it_unknown() -> None:
    clock = FakeClock()
    vendor = Vendor(clock)
    vendor.is_silent = True
    shop = Shop(vendor=vendor, clock=clock, settings=CONFIG)
    vendor.moods = ["drop"]
    call = await shop.errands.do("run", "milk", background=True)
    await shop.work()
    ended = await shop.fl.calls.get(call.id)
    assert (ended.state, ended.outcome) == ("dead", Outcome.UNKNOWN)
    assert shop.vendor.count("milk") == 1
    await shop.fl.close()


async def test_a_connection_that_is_gone_is_no_reason_to_send_elsewhere() -> None:
    path, clock = new_file(), FakeClock()
    shop = Shop(file_store(path, clock), clock=clock)
    shop.vendor.moods = ["kill_after"]
    call = await shop.errands.do("run", "milk", background=True)
    with pytest.raises(Killed):
        await shop.turn()
    other = CONFIG.replace("connections.acme", "connections.other") + 'base_url = "https://acme.test"\n'
    again = Shop(file_store(path, clock), shop.vendor, clock=clock, settings=other)
    await again.work()
    ended = await again.fl.calls.get(call.id)
    assert (ended.state, ended.outcome) == ("dead", Outcome.UNKNOWN)
    assert "gone" in (ended.error or "")
    assert again.vendor.count("milk") == 1
    await shop.fl.close()
    await again.fl.close()


async def test_a_repeat_that_is_refused_proves_nothing() -> None:
    script: list[Line] = [RESET, REFUSED, answer(201)]
    world = idle(build_world(plain(settings="retry = { max_attempts = 1 }"), {"shop": script}))
    call = await world.fl.http("shop").post("/charges", idempotency_key="k", background=True)
    for state in ("waiting", "waiting", "done"):
        await work(world)
        assert (await world.fl.calls.get(call.id)).state == state
        world.clock.advance(20.0)
    assert {dict(each.headers)["idempotency-key"] for each in world.sent("shop")} == {"k"}
    await world.fl.close()
