"""Whatever happens: an errand is never run twice, and every call ends as it went.

The vendor acts or not, answers or not, and the process is killed at any moment; what is on disk stays. What a vendor
with keys was asked to keep is kept once as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from errands import Killed, Shop, Vendor
from fairlead.errors import FairleadError
from fairlead.model.outcome import Outcome
from fairlead.storage.jobs import Query
from fairlead.testing.clock import FakeClock
from scripted import new_file
from stores import Marking, file_store

MOODS = st.lists(st.sampled_from(["fine", "drop", "lose", "refuse", "wrong", "kill_before", "kill_after"]), max_size=4)
OPERATIONS = st.sampled_from(["run", "keep", "tell"])
KEYS = st.sampled_from(["a", "b", "c"])
CRASHES = st.sampled_from([None, None, "add", "mark", "finish", "before finish"])


class LedgerMachine(RuleBasedStateMachine):
    """One store, one vendor, and one process after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.vendor = Vendor(self.clock)
        self.path = new_file()
        #: What each key was used for, and the answers that were given under it.
        self.answers: dict[str, set[str]] = {}
        self.failures: list[FairleadError] = []
        self.begin()

    def begin(self) -> None:
        """Start a process that knows nothing but what is on disk."""
        self.store = Marking(file_store(self.path, self.clock))
        self.shop = Shop(self.store, self.vendor, clock=self.clock)

    def die(self) -> None:
        self.run(self.store.inner.close())
        self.begin()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def crash_at(self, place: str | None) -> None:
        def die(*_: object) -> Any:
            raise Killed

        self.store.after = {place: die} if place in {"add", "mark", "finish"} else {}
        self.store.before = {"finish": die} if place == "before finish" else {}

    def live(self, work: Coroutine[Any, Any, Any], crash: str | None, moods: list[str]) -> Any:
        """Do something, and begin anew where the process was killed over it."""
        self.vendor.moods = list(moods)
        self.crash_at(crash)
        try:
            return self.run(work)
        except Killed:
            self.die()
            return None
        finally:
            self.vendor.moods = []
            self.crash_at(None)

    @rule(operation=OPERATIONS, key=KEYS, moods=MOODS, crash=CRASHES, twins=st.integers(1, 3))
    def call(self, operation: str, key: str, moods: list[str], crash: str | None, twins: int) -> None:
        text = f"{operation} {key}"

        async def once() -> None:
            options: Any = {"idempotency_key": text, "deadline_s": 20.0}
            try:
                answered = await self.shop.errands.do(operation, text, **options)
            except FairleadError as error:
                self.failures.append(error)
                return
            self.answers.setdefault(text, set()).add(answered.id)

        async def all_at_once() -> None:
            ended = await asyncio.gather(*(once() for _ in range(twins)), return_exceptions=True)
            for each in ended:
                if isinstance(each, BaseException):
                    raise each

        self.live(all_at_once(), crash, moods)

    @rule(operation=OPERATIONS, key=KEYS)
    def enqueue(self, operation: str, key: str) -> None:
        text = f"{operation} {key} later"
        self.run(self.shop.errands.do(operation, text, background=True, idempotency_key=text))

    @rule(moods=MOODS, crash=CRASHES)
    def work(self, moods: list[str], crash: str | None) -> None:
        self.live(self.shop.turn(), crash, moods)

    @rule(seconds=st.sampled_from([1.0, 31.0, 61.0, 700.0, 8000.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(key=KEYS)
    def cancel(self, key: str) -> None:
        self.run(self._by_hand(f"run {key} later", self.shop.fl.calls.cancel))

    @rule(operation=OPERATIONS, key=KEYS)
    def retry(self, operation: str, key: str) -> None:
        self.run(self._by_hand(f"{operation} {key} later", self.shop.fl.calls.retry))

    async def _by_hand(self, key: str, act: Any) -> None:
        job = await self.store.find_key("call", "", key)
        if job is not None:
            with suppress(FairleadError):  # refused, as it should be where it is in doubt
                await act(job.subject)

    @invariant()
    def nothing_is_done_twice(self) -> None:
        done = [each.text for each in self.vendor.done]
        assert len(done) == len(set(done)), done

    @invariant()
    def one_key_has_one_answer(self) -> None:
        assert all(len(ids) == 1 for ids in self.answers.values())

    @invariant()
    def every_error_says_whether_it_was_done(self) -> None:
        assert all(each.outcome is not None for each in self.failures)

    def teardown(self) -> None:
        """Work off all that is left, and hold each call against what the vendor did."""
        self.run(self.shop.work(most_s=400_000.0))
        self.nothing_is_done_twice()
        jobs = self.run(self.store.list(Query(kind="call", limit=1000)))
        ended: dict[str, set[Outcome]] = {}
        for job in jobs:
            call = self.run(self.shop.fl.calls.get(job.subject))
            assert call.outcome is not None, call
            ended.setdefault((job.key or "").partition("\x1f")[0], set()).add(call.outcome)
        for key, outcomes in ended.items():
            if Outcome.UNKNOWN not in outcomes:
                assert self.vendor.count(key) == (Outcome.DONE in outcomes), (key, outcomes)
        self.run(self.store.inner.close())
        self.loop.close()


LedgerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)
TestLedger = LedgerMachine.TestCase
