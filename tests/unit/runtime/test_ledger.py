"""One idempotency key is one call; what acts is written down before it leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from errands import CONFIG, NO_RETRY, Killed, Shop
from fairlead import errors
from fairlead.model.call import CacheUse
from fairlead.model.outcome import Outcome
from fairlead.runtime.rows import read_mark
from fairlead.storage.jobs import JobState, Query
from fairlead.testing.clock import FakeClock
from scripted import TIMEOUT, answer, build_world, new_file, plain
from stores import Marking, file_store


async def rows(shop: Shop) -> list[Any]:
    return [await shop.store.find(each.id) for each in await shop.store.list(Query(kind="call"))]


async def test_a_repeat_with_the_same_key_gets_what_was_kept() -> None:
    shop = Shop()
    first = await shop.errands.do("run", "milk", idempotency_key="k")
    again = await shop.errands.do("run", "milk", idempotency_key="k")
    assert again.id == first.id
    assert shop.vendor.count("milk") == 1
    assert (first.call.cache, again.call.cache) == (CacheUse.OFF, CacheUse.REPLAYED)
    assert again.served_by == "acme"
    assert not again.call.attempts
    await shop.fl.close()


async def test_a_plain_request_with_a_key_is_kept_with_its_answer_whole() -> None:
    world = build_world(plain(), {"shop": [answer(201, {"id": 7}, x_a="b")]})
    first = await world.fl.http("shop").post("/charges", json={"a": 1}, idempotency_key="k")
    again = await world.fl.http("shop").post("/charges", json={"a": 1}, idempotency_key="k")
    assert (again.status, again.json(), again.headers["x-a"]) == (201, {"id": 7}, "b")
    assert again.headers.pairs == first.headers.pairs
    model = await world.fl.http("shop").post("/charges", json={"a": 1}, idempotency_key="k", model=dict[str, int])
    assert model == {"id": 7}
    assert len(world.sent("shop")) == 1
    await world.fl.close()


async def test_a_key_is_one_for_each_tenant() -> None:
    shop = Shop()
    for tenant in ("a", "b", "a"):
        await shop.errands.do("run", "milk", idempotency_key="k", tenant=tenant)
    assert shop.vendor.count("milk") == 2
    await shop.fl.close()


async def test_a_key_that_stands_for_something_else_is_refused() -> None:
    shop = Shop()
    await shop.errands.do("run", "milk", idempotency_key="k")
    with pytest.raises(errors.KeyReusedError) as caught:
        await shop.errands.do("run", "bread", idempotency_key="k")
    assert caught.value.code == "key_reused"
    assert caught.value.outcome is Outcome.NOT_DONE
    assert [each.text for each in shop.vendor.done] == ["milk"]
    await shop.fl.close()


async def test_duplicates_at_the_same_time_are_one_call() -> None:
    shop = Shop()
    answers = await asyncio.gather(*(shop.errands.do("run", "milk", idempotency_key="k") for _ in range(20)))
    assert {each.id for each in answers} == {"0"}
    assert shop.vendor.count("milk") == 1
    assert sorted(each.call.cache for each in answers) == ["off", *["replayed"] * 19]
    await shop.fl.close()


async def test_a_duplicate_in_another_process_waits_for_the_first_one() -> None:
    path, clock = new_file(), FakeClock()
    shop = Shop(file_store(path, clock), clock=clock)
    other = Shop(file_store(path, clock), shop.vendor, clock=clock)
    answers = await asyncio.gather(
        shop.errands.do("run", "milk", idempotency_key="k"), other.errands.do("run", "milk", idempotency_key="k")
    )
    assert [each.id for each in answers] == ["0", "0"]
    assert shop.vendor.count("milk") == 1
    await shop.fl.close()
    await other.fl.close()


async def test_a_duplicate_waits_no_longer_than_its_deadline() -> None:
    path, clock = new_file(), FakeClock()
    shop = Shop(file_store(path, clock), clock=clock)
    shop.vendor.moods = ["kill_after"]
    with pytest.raises(Killed):
        await shop.errands.do("run", "milk", idempotency_key="k")
    other = Shop(file_store(path, clock), shop.vendor, clock=clock)
    before = clock.monotonic()
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await other.errands.do("run", "milk", idempotency_key="k", deadline_s=3.0)
    assert clock.monotonic() - before <= 3.0
    (row,) = await rows(other)
    assert caught.value.settlement_id == row.subject
    assert shop.vendor.count("milk") == 1
    await other.fl.close()


async def test_what_was_not_done_is_made_anew_under_its_key() -> None:
    shop = Shop(settings=NO_RETRY)
    shop.vendor.moods = ["refuse", "refuse"]
    for _ in range(2):
        with pytest.raises(errors.ConnectError):
            await shop.errands.do("run", "milk", idempotency_key="k")
    assert (await shop.errands.do("run", "milk", idempotency_key="k")).call.cache is CacheUse.OFF
    assert (await shop.errands.do("run", "milk", idempotency_key="k")).call.cache is CacheUse.REPLAYED
    assert shop.vendor.count("milk") == 1
    await shop.fl.close()


async def test_what_the_vendor_refused_as_wrong_is_the_answer() -> None:
    shop = Shop()
    shop.vendor.moods = ["wrong"]
    for _ in range(2):
        with pytest.raises(errors.InvalidRequestError, match="400") as caught:
            await shop.errands.do("run", "milk", idempotency_key="k")
        assert caught.value.outcome is Outcome.NOT_DONE
        assert caught.value.connection == "acme"
    assert not shop.vendor.done
    await shop.fl.close()


async def test_the_mark_is_on_disk_before_the_request_leaves() -> None:
    clock = FakeClock()
    store = Marking(file_store(new_file(), clock))
    shop = Shop(store, clock=clock)
    seen: list[bytes] = []
    shop.vendor.watching = lambda _: seen.append(store.marks[-1])
    answered = await shop.errands.do("move", "sofa")
    assert len(seen) == 2
    first, second = [each.done for each in store.marked]
    assert [(each.step, each.connection, each.effect.value) for each in second.sent] == [
        (1, "acme", "idempotent"), (2, "acme", "once")
    ]  # fmt: skip
    assert first.sent == second.sent[:1]
    assert second.sent[0].key == f"{answered.call.call_id}-1" == shop.vendor.done[0].key
    assert second.sent[1].key is None
    assert second.sent[0].at == clock.wall()
    (row,) = await rows(shop)
    assert (row.state, row.mark) == (JobState.DONE, b"")
    await shop.fl.close()


async def test_nothing_is_sent_where_the_mark_cannot_be_written() -> None:
    clock = FakeClock()
    store = Marking(file_store(new_file(), clock))
    shop = Shop(store, clock=clock)
    store.refuses = {"mark"}
    with pytest.raises(errors.StorageError) as caught:
        await shop.errands.do("run", "milk")
    assert caught.value.outcome is Outcome.NOT_DONE
    assert not shop.vendor.done
    shop.world.assert_at_rest()
    store.refuses = {"add"}
    with pytest.raises(errors.StorageError) as caught:
        await shop.errands.do("run", "milk")
    assert caught.value.outcome is Outcome.NOT_DONE
    assert not shop.world.sent("acme")
    await shop.fl.close()


async def test_the_caller_gets_the_truth_also_where_the_end_cannot_be_written() -> None:
    clock = FakeClock()
    store = Marking(file_store(new_file(), clock))
    shop = Shop(store, clock=clock)
    store.refuses = {"finish"}
    assert (await shop.errands.do("run", "milk", idempotency_key="k")).id == "0"
    assert [type(each).__name__ for each in shop.world.events if "Unrecorded" in type(each).__name__] == [
        "CallUnrecorded"
    ]
    store.refuses = set()
    clock.advance(120.0)
    await shop.work()
    assert (await shop.errands.do("run", "milk", idempotency_key="k")).call.cache is CacheUse.REPLAYED
    assert shop.vendor.count("milk") == 1
    await shop.fl.close()


async def test_a_call_that_was_cancelled_sends_nothing() -> None:
    clock = FakeClock()
    store = Marking(file_store(new_file(), clock))
    shop = Shop(store, clock=clock)
    store.before["mark"] = lambda claim: store.inner.cancel(claim.id)
    with pytest.raises(errors.CallCancelledError):
        await shop.errands.do("run", "milk")
    assert not shop.vendor.done
    await shop.fl.close()


async def test_a_caller_who_leaves_before_anything_was_sent_leaves_nothing_to_do() -> None:
    clock = FakeClock()
    store = Marking(file_store(new_file(), clock))
    shop = Shop(store, clock=clock)
    asking, gate = asyncio.Event(), asyncio.Event()

    async def hold(_: object) -> None:
        asking.set()
        await gate.wait()

    store.before["mark"] = hold
    task = asyncio.ensure_future(shop.errands.do("run", "milk", idempotency_key="k"))
    await asking.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (row,) = await rows(shop)
    assert (row.state, row.mark) == (JobState.DEAD, b"")
    await shop.fl.close()


async def test_reads_and_plain_requests_without_a_key_have_no_row() -> None:
    shop = Shop(settings=CONFIG + plain(), others={"shop": answer()})
    await shop.errands.do("check", "1")
    await shop.errands.do("check", "1", idempotency_key="k")
    await shop.fl.http("shop").post("/things")
    assert not await rows(shop)
    await shop.errands.do("tell", "a joke")
    assert len(await rows(shop)) == 1
    await shop.fl.close()


async def test_no_file_is_made_for_calls_that_need_none() -> None:
    path, clock = new_file(), FakeClock()
    world = build_world(plain(), {"shop": answer()}, clock=clock, store=file_store(path, clock))
    await world.fl.http("shop").post("/things")
    await world.fl.http("shop").get("/things")
    assert not path.exists()
    await world.fl.http("shop").post("/things", idempotency_key="k")
    assert path.exists()
    await world.fl.close()


async def test_an_unknown_outcome_names_the_call_that_settles_it() -> None:
    world = build_world(plain(settings="retry = { max_attempts = 1 }"), {"shop": [TIMEOUT]})
    world.fl.desk.wake = lambda: None
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await world.fl.http("shop").post("/charges", idempotency_key="k")
    assert caught.value.settlement_id == caught.value.call_id
    call = await world.fl.calls.get(caught.value.settlement_id or "")
    assert (call.state, call.outcome, call.is_in_doubt) == ("waiting", None, True)
    mark = read_mark(await world.fl.desk.store.find_key("call", "", "k"))  # type: ignore[arg-type]
    assert mark is not None
    assert mark.last.key == "k"
    await world.fl.close()
