"""Webhooks in synchronous code: a view hands the delivery over, and handlers run in threads of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec

from acme_shop import CONFIG, ENVIRONMENT, PATIENCE_S, installed
from fairlead.config.read import parse_settings
from fairlead.model.incoming import Reply
from fairlead.observe.events import Event, EventStream, JobEnded
from fairlead.runtime.handlers import Received
from fairlead.runtime.ports import Ports, SystemClock
from fairlead.storage.jobs import Statement
from fairlead.storage.sqlite_file import load_sqlite
from fairlead.sync import Fairlead
from vendors.acme import signed

PAID = {"id": "evt_1", "type": "order.paid", "subject": "o1", "sequence": 2}


class Shop:
    """An application without an event loop, and what its engine tells."""

    def __init__(self, path: Path) -> None:
        self._ended: SimpleQueue[JobEnded] = SimpleQueue()
        ports = Ports(events=EventStream((self._note,)))
        self.fl = Fairlead(parse_settings(CONFIG.format(path=path)), environment=ENVIRONMENT, ports=ports)

    def _note(self, event: Event) -> None:
        if isinstance(event, JobEnded) and event.kind == "event":
            self._ended.put(event)

    def deliver(self, *events: dict[str, Any], secret: str = ENVIRONMENT["ACME"]) -> Reply:
        body = msgspec.json.encode(list(events))
        headers = signed(body, at=SystemClock().wall(), secret=secret)
        return self.fl.webhooks.receive("shop", url="https://app.test/webhooks/shop", headers=headers, body=body)

    def wait(self) -> JobEnded:
        """Wait until an event was handled."""
        return self._ended.get(timeout=PATIENCE_S)


@contextmanager
def shop(path: Path) -> Iterator[Shop]:
    with installed():
        world = Shop(path)
        try:
            yield world
        finally:
            world.fl.close()


def test_a_view_takes_a_delivery_and_a_handler_may_use_the_client(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    with shop(tmp_path / "jobs.db") as world:

        @world.fl.on("payment.succeeded")
        def note(event: Received) -> None:
            kept = world.fl.webhooks.show(event.id)
            assert kept is not None
            assert kept.body is not None
            seen.append((event.key, msgspec.json.decode(kept.body)["type"]))

        assert world.deliver(PAID).status == 200
        assert world.wait().state == "done"
        assert seen == [("evt_1", "order.paid")]
        (record,) = world.fl.webhooks.list(connection="shop", subject="o1")
        assert record.handled_by == (f"{__name__}.{note.__qualname__}",)
        assert {tally.what for tally in world.fl.webhooks.tallies()} == {"added", "done"}


def test_what_is_done_can_be_replayed_and_what_is_refused_is_counted(tmp_path: Path) -> None:
    with shop(tmp_path / "jobs.db") as world:
        seen: list[str] = []
        world.fl.on("acme:*")(lambda event: seen.append(event.key))
        assert world.deliver(PAID, secret="another").status == 401
        assert world.deliver(PAID).status == 200
        world.wait()
        assert world.fl.webhooks.replay(subject="o1") == 1
        world.wait()
        assert seen == ["evt_1", "evt_1"]
        world.fl.close()  # which writes the counts down
        assert [each.reason for each in world.fl.webhooks.rejects()] == ["bad_signature"]


def test_an_effect_is_committed_with_the_event(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    with shop(path) as world:
        world.fl.webhooks.list()  # which makes the file
        database = load_sqlite().connect(str(path))
        database.execute("CREATE TABLE paid (id TEXT)")
        world.fl.on("acme:*")(lambda event: Statement("INSERT INTO paid VALUES (?)", (event.key,)))
        world.deliver(PAID)
        assert world.wait().state == "done"
        assert database.execute("SELECT id FROM paid").fetchall() == [("evt_1",)]
        database.close()


def test_what_waited_is_handled_from_the_beginning_where_the_client_is_used_as_with(tmp_path: Path) -> None:
    with shop(tmp_path / "jobs.db") as world:
        world.deliver(PAID)
        assert [each.state for each in world.fl.webhooks.list()] == ["waiting"]
    with shop(tmp_path / "jobs.db") as world:
        world.fl.on("acme:*")(lambda _: None)
        with world.fl:
            assert world.wait().state == "done"
