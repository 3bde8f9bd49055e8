"""What vendors send: kept before it is acknowledged, once, and handled at least once; over a real file."""

from __future__ import annotations

import asyncio
import hmac
from pathlib import Path

import pytest

from acme_shop import ENVIRONMENT, deliver, shop
from fairlead.errors import InvalidArgumentError
from fairlead.observe.events import WebhookReceived, WebhookRejected
from fairlead.runtime.handlers import Received
from fairlead.storage.jobs import Statement
from fairlead.storage.sqlite_file import load_sqlite

PAID = {"id": "evt_1", "type": "order.paid", "subject": "o1", "sequence": 2}
OTHER = {"id": "evt_2", "type": "stock.low"}


async def test_an_event_is_kept_and_handled_by_its_neutral_name(tmp_path: Path) -> None:
    seen: list[Received] = []
    async with shop(tmp_path / "jobs.db") as world:

        @world.fl.on("payment.succeeded")
        async def note(event: Received) -> None:
            seen.append(event)

        assert (await world.deliver(PAID)).status == 200
        await world.until(lambda: bool(world.ended()))
        (event,) = seen
        assert (event.connection, event.provider, event.type, event.key) == ("shop", "acme", "order.paid", "evt_1")
        assert event.neutral is not None
        assert (event.neutral.type, event.neutral.subject) == ("payment.succeeded", "o1")
        assert event.json() == PAID
        assert event.idempotency_key == "shop:evt_1"
        assert [each.state for each in await world.fl.webhooks.list()] == ["done"]
        assert world.told(WebhookReceived)[0].events == 1


@pytest.mark.parametrize("pattern", ["acme:order.paid", "shop:order.*", "acme:*", "payment.*"])
async def test_patterns_name_the_vendor_or_the_connection(tmp_path: Path, pattern: str) -> None:
    seen: list[str] = []
    async with shop(tmp_path / "jobs.db") as world:
        world.fl.on(pattern)(lambda event: seen.append(event.key))
        await world.deliver(PAID)
        await world.until(lambda: bool(world.ended()))
    assert seen == ["evt_1"]


async def test_a_repeat_is_acknowledged_and_handled_once(tmp_path: Path) -> None:
    seen: list[str] = []
    async with shop(tmp_path / "jobs.db") as world:
        world.fl.on("acme:*")(lambda event: seen.append(event.key))
        replies = await asyncio.gather(*(world.deliver(PAID, OTHER) for _ in range(5)))
        assert {each.status for each in replies} == {200}
        await world.until(lambda: len(world.ended()) == 2)
        assert sum(each.events for each in world.told(WebhookReceived)) == 2
        assert sum(each.repeated for each in world.told(WebhookReceived)) == 8
    assert sorted(seen) == ["evt_1", "evt_2"]


async def test_a_handler_that_fails_is_called_again_and_its_neighbour_is_not(tmp_path: Path) -> None:
    calls: list[str] = []
    async with shop(tmp_path / "jobs.db") as world:

        @world.fl.on("acme:*", name="bad")
        def bad(event: Received) -> None:
            calls.append(f"bad {event.failures}")
            if event.failures < 2:
                raise ValueError("not yet")

        world.fl.on("acme:*", name="good")(lambda _: calls.append("good"))
        await world.deliver(PAID)
        await world.until(lambda: len(world.ended()) == 3, step_s=1)
        (record,) = await world.fl.webhooks.list()
        assert (record.state, record.handled_by) == ("done", ("good", "bad"))
    assert calls == ["bad 0", "good", "bad 1", "bad 2"]


async def test_a_poison_event_dies_after_its_waits_blocks_nobody_and_can_be_replayed(tmp_path: Path) -> None:
    is_mended = False
    seen: list[str] = []
    async with shop(tmp_path / "jobs.db", "[webhooks]\nwaits_s = [5, 60]\n") as world:

        @world.fl.on("acme:*")
        def handle(event: Received) -> None:
            if event.key == "evt_1" and not is_mended:
                raise ValueError("poison")
            seen.append(event.key)

        await world.deliver(PAID, OTHER | {"subject": "o1", "sequence": 3})
        await world.until(lambda: any(each.state == "dead" for each in world.ended()), step_s=1)
        assert seen == ["evt_2"]
        (dead,) = await world.fl.webhooks.list(state="dead")
        assert (dead.key, dead.failures, dead.error) == ("evt_1", 3, "ValueError: poison")
        is_mended = True
        assert await world.fl.webhooks.replay(state="dead") == 1
        await world.until(lambda: len(seen) == 2)
        assert await world.fl.webhooks.replay(dead.id) in {0, 1}


async def test_replay_of_a_done_event_calls_all_its_handlers_again(tmp_path: Path) -> None:
    seen: list[str] = []
    async with shop(tmp_path / "jobs.db") as world:
        world.fl.on("acme:*")(lambda event: seen.append(event.key))
        await world.deliver(*({"id": f"e{number}", "type": "order.paid"} for number in range(20)))
        await world.until(lambda: len(world.ended()) == 20)
        assert await world.fl.webhooks.replay(connection="shop") == 20
        await world.until(lambda: len(world.ended()) == 40)
        with pytest.raises(InvalidArgumentError, match="which events"):
            await world.fl.webhooks.replay()
    assert len(seen) == 40


async def test_late_events_are_told_as_such_and_skipped_where_wanted(tmp_path: Path) -> None:
    heard: list[tuple[str, bool]] = []
    careful: list[str] = []
    async with shop(tmp_path / "jobs.db") as world:
        world.fl.on("acme:*", name="all")(lambda event: heard.append((event.key, event.is_late)))
        world.fl.on("acme:*", name="careful", skip_late=True)(lambda event: careful.append(event.key))
        await world.deliver({"id": "new", "type": "order.paid", "subject": "o", "sequence": 9})
        await world.until(lambda: len(world.ended()) == 1)
        await world.deliver({"id": "old", "type": "order.failed", "subject": "o", "sequence": 4})
        await world.until(lambda: len(world.ended()) == 2)
    assert heard == [("new", False), ("old", True)]
    assert careful == ["new"]


async def test_effects_are_committed_with_the_event(tmp_path: Path) -> None:
    async with shop(tmp_path / "jobs.db") as world:

        @world.fl.on("acme:*")
        def pay(event: Received) -> Statement:
            return Statement("INSERT INTO paid VALUES (?)", (event.key,))

        await world.deliver(PAID)
        await world.until(lambda: bool(world.ended()))
        (first,) = world.ended()  # the table is not there yet
        assert (first.state, first.failures) == ("waiting", 1)
        database = load_sqlite().connect(str(tmp_path / "jobs.db"))
        database.execute("CREATE TABLE paid (id TEXT)")
        await world.until(lambda: len(world.ended()) == 2, step_s=1)
        assert database.execute("SELECT id FROM paid").fetchall() == [("evt_1",)]
        database.close()
        assert [each.state for each in await world.fl.webhooks.list()] == ["done"]


async def test_either_secret_counts_while_it_is_changed(tmp_path: Path) -> None:
    more = '[connections.shop.webhook_secrets]\nwebhook_secret = ["env:ACME_NEXT"]\n'
    async with shop(tmp_path / "jobs.db", more) as world:
        assert (await world.deliver(PAID)).status == 200
        assert (await world.deliver(OTHER, secret=ENVIRONMENT["ACME_NEXT"])).status == 200
        assert (await world.deliver(OTHER, secret="another")).status == 401


async def test_what_is_refused_is_counted_with_its_reason_and_without_its_content(tmp_path: Path) -> None:
    async with shop(tmp_path / "jobs.db") as world:
        assert (await world.deliver(PAID, secret="canary-wrong")).status == 401
        assert (await deliver(world.fl, PAID, at=world.clock.wall() - 3600)).status == 401
        nowhere = await world.fl.webhooks.receive("canary-nowhere", url="https://a.test/", headers={}, body=b"")
        assert nowhere.status == 404
        await world.fl.close()
        counted = {(each.source, each.reason): each for each in await world.fl.webhooks.rejects()}
        assert set(counted) == {("shop", "bad_signature"), ("shop", "stale"), ("", "unknown_connection")}
        assert "canary" not in repr(counted)
        assert [each.reason for each in world.told(WebhookRejected)] == ["bad_signature", "stale", "unknown_connection"]
        assert not await world.fl.webhooks.list()


async def test_without_handlers_events_wait_for_a_process_that_has_some(tmp_path: Path) -> None:
    seen: list[str] = []
    async with shop(tmp_path / "jobs.db") as world:
        await world.deliver(PAID)
        assert [each.state for each in await world.fl.webhooks.list()] == ["waiting"]
    async with shop(tmp_path / "jobs.db") as world:
        world.fl.on("acme:*")(lambda event: seen.append(event.key))
        async with world.fl:
            await world.until(lambda: bool(world.ended()))
    assert seen == ["evt_1"]


async def test_a_slow_handler_delays_no_acknowledgement(tmp_path: Path) -> None:
    async with shop(tmp_path / "jobs.db") as world:
        held = asyncio.Event()

        @world.fl.on("acme:*")
        async def slow(_: Received) -> None:
            await held.wait()

        for number in range(50):
            assert (await world.deliver({"id": f"e{number}", "type": "order.paid"})).status == 200
        assert len([each for each in await world.fl.webhooks.list(limit=100) if each.state == "done"]) == 0
        held.set()
        await world.until(lambda: len(world.ended()) == 50)


async def test_a_disk_that_takes_nothing_is_answered_503_and_nothing_is_acknowledged(tmp_path: Path) -> None:
    async with shop(tmp_path / "missing" / "deep" / "jobs.db") as world:
        reply = await world.deliver(PAID)
        assert reply.status == 503
        assert dict(reply.headers)["retry-after"] == "30"


async def test_a_signature_that_covers_no_time_counts_for_one_delivery(tmp_path: Path) -> None:
    """The vendor of this one signs the body alone, and tells its deliveries apart by a header."""
    hub = '[connections.hub]\nprovider = "github"\ncredentials = { webhook_secret = "env:ACME" }\n'
    body = b'{"action": "opened"}'
    signature = hmac.digest(ENVIRONMENT["ACME"].encode(), body, "sha256").hex()

    async with shop(tmp_path / "jobs.db", hub) as world:

        async def send(delivery: str) -> int:
            headers = {"x-hub-signature-256": f"sha256={signature}", "x-github-event": "issues"}
            headers |= {"x-github-delivery": delivery, "content-type": "application/json"}
            return (await world.fl.webhooks.receive("hub", url="https://a.test/", headers=headers, body=body)).status

        assert [await send("one"), await send("one"), await send("another")] == [200, 200, 401]
        assert [each.key for each in await world.fl.webhooks.list()] == ["one"]


async def test_what_failed_is_tried_again_when_its_wait_is_over_and_not_later(tmp_path: Path) -> None:
    async with shop(tmp_path / "jobs.db", "[webhooks]\nwaits_s = [5]\n") as world:

        @world.fl.on("acme:*")
        def handle(event: Received) -> None:
            if not event.failures:
                raise ValueError("not yet")

        await world.deliver(PAID)
        await world.until(lambda: len(world.ended()) == 1)
        await world.until(lambda: any(4 < each < 6 for each in world.clock.slept))
        world.clock.advance(6)
        await world.until(lambda: len(world.ended()) == 2, step_s=0.001)  # much less than a minute, all in all


async def test_a_bad_effect_undoes_no_neighbours(tmp_path: Path) -> None:
    async with shop(tmp_path / "jobs.db", "[webhooks]\nwaits_s = [5]\n") as world:
        world.fl.on("acme:*", name="good")(lambda event: Statement("INSERT INTO paid VALUES (?)", (event.key,)))
        world.fl.on("acme:*", name="bad")(lambda event: Statement("INSERT INTO nowhere VALUES (?)", (event.key,)))
        await world.fl.webhooks.list()  # the file is there
        database = load_sqlite().connect(str(tmp_path / "jobs.db"))
        database.execute("CREATE TABLE paid (id TEXT)")
        await world.deliver(PAID)
        await world.until(lambda: any(each.state == "dead" for each in world.ended()), step_s=1)
        assert database.execute("SELECT id FROM paid").fetchall() == [("evt_1",)]
        database.close()
        (dead,) = await world.fl.webhooks.list()
        assert dead.handled_by == ("good",)


async def test_what_a_handler_lets_out_that_was_cancelled_is_a_failure(tmp_path: Path) -> None:
    async with shop(tmp_path / "jobs.db", "[webhooks]\nwaits_s = [5]\n") as world:

        @world.fl.on("acme:*")
        async def handle(_: Received) -> None:
            raise asyncio.CancelledError

        await world.deliver(PAID)
        await world.until(lambda: any(each.state == "dead" for each in world.ended()), step_s=1)
        assert [each.failures for each in world.ended()] == [1, 2]


async def test_what_is_enqueued_while_it_closes_starts_nothing(tmp_path: Path) -> None:
    async with shop(tmp_path / "jobs.db") as world:

        @world.fl.on("acme:*")
        async def handle(event: Received) -> None:
            world.fl.desk.wake()
            await asyncio.sleep(0)

        await world.deliver(PAID)
        await world.fl.close()
        assert not any(worker.is_running for worker in world.fl._durable._workers)
