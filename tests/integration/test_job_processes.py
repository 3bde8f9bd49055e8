"""Jobs that processes share: nothing lost, nothing done twice, whatever becomes of a process or of the server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import pytest

from fairlead.errors import StorageError
from fairlead.model.secret import Secret
from fairlead.runtime.ports import SystemClock, new_id
from fairlead.storage.jobs import JobState, JobStore, Query
from fairlead.storage.open import open_store
from job_store_fixtures import address, postgres
from job_stores import end, new, put, take
from postgres_server import PostgresServer
from postgres_server import running as postgres_running
from programs import PATIENCE_S, next_line, run, running, script, tell

__all__ = ["address", "postgres"]

BEGIN = """
    import asyncio, os, sys, threading
    from fairlead.runtime.ports import SystemClock, new_id
    from fairlead.storage.jobs import Ending, JobState, NewJob, Query
    from fairlead.storage.open import open_store

    def open_it():
        return open_store(sys.argv[1], clock=SystemClock(), ids=new_id)

    def job(key):
        return NewJob(kind="event", source="acme", name="paid", run_at=0.0, key=key, payload=b"x" * 1000)

    def say(text):
        print(text, flush=True)
"""
WORKER = (
    BEGIN
    + """
    async def main():
        store, name = open_it(), sys.argv[2]
        await store.open()
        say("ready")
        sys.stdin.readline()

        async def add(part):
            for n in range(part, 200, 10):
                await store.add([job(f"{name}-{n}"), job(f"shared-{n}")])

        async def work():
            while await store.until_due(["event"]) is not None:
                for taken in await store.claim(["event"], name, lease_s=60, limit=20):
                    say(f"took {taken.id}")
                    assert await store.finish(Ending(claim=taken.claim, state=JobState.DONE))

        await asyncio.gather(*(add(part) for part in range(10)), work())
        await work()
        await store.close()
        say("end")

    asyncio.run(main())
"""
)
ADDER = (
    BEGIN
    + """
    async def main():
        store = open_it()

        async def add(part):
            for n in range(10**9):
                (added,) = await store.add([job(f"{part}-{n}")])
                say(f"{part}-{n} {added.job.id}")

        await asyncio.gather(*(add(part) for part in range(16)))

    asyncio.run(main())
"""
)


def store_at(address: str) -> JobStore:
    return open_store(address, clock=SystemClock(), ids=new_id)


async def test_eight_processes_share_the_work(address: str) -> None:
    taken: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(running(*script(WORKER, address, f"w{n}"))) for n in range(8)]
        for worker in workers:
            assert await next_line(worker) == "ready"
        for worker in workers:
            await tell(worker)

        async def listen_to(worker: asyncio.subprocess.Process) -> None:
            while (line := await next_line(worker)) != "end":
                assert line.startswith("took "), (await worker.stderr.read()).decode() if worker.stderr else line
                taken[line] += 1

        await asyncio.gather(*map(listen_to, workers))
    store = store_at(address)
    done = await store.list(Query(kind="event", state=JobState.DONE, limit=10_000))
    assert len(done) == 8 * 200 + 200
    assert {job.generation for job in done} == {1}
    assert sorted(taken) == sorted(f"took {job.id}" for job in done)
    assert set(taken.values()) == {1}
    counts = Counter[str]()
    for tally in await store.tallies(kind="event", since_hour=0, until_hour=10**9):
        counts[tally.what] += tally.count
    assert counts == {"added": 1800, "repeated": 7 * 200, "done": 1800}
    await store.close()


async def test_what_was_acknowledged_outlives_its_process(address: str) -> None:
    said: list[str] = []
    async with running(*script(ADDER, address)) as process:
        while len(said) < 300:
            said.append(await next_line(process))
        process.kill()
        while line := await next_line(process):
            said.append(line)
    store = store_at(address)
    for line in said[:-1]:  # the last one may be cut off
        key, identifier = line.split()
        found = await store.find_key("event", "acme", key)
        assert found is not None
        assert (found.id, found.payload) == (int(identifier), b"x" * 1000)
    assert await put(store, new("after", run_at=0.0))
    await store.close()


FORKS = (
    BEGIN
    + """
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    store = open_it()

    def add(prefix, count):
        async def all_of_them():
            return await asyncio.gather(*(store.add([job(f"{prefix}-{n}")]) for n in range(count)))

        return asyncio.run_coroutine_threadsafe(all_of_them(), loop)

    add("first", 1).result(30)
    busy = add("parent", 500)
    children = []
    for child in range(3):
        process = os.fork()
        if process == 0:
            store.disown()

            async def work():
                await asyncio.gather(*(store.add([job(f"child{child}-{n}")]) for n in range(100)))
                await store.close()

            asyncio.run(work())
            os._exit(0)
        children.append(process)
    busy.result(30)
    add("later", 100).result(30)
    for process in children:
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0

    async def look():
        found = await store.list(Query(kind="event", limit=10_000))
        await store.close()
        return len(found)

    say(asyncio.run_coroutine_threadsafe(look(), loop).result(30))
"""
)


async def test_parent_and_children_of_a_fork_all_go_on(address: str) -> None:
    ended = await run(*script(FORKS, address))
    assert (ended.code, ended.out) == (0, "901\n"), ended.err


def test_a_store_may_be_used_in_one_event_loop_after_another(address: str) -> None:
    store = store_at(address)
    for round_ in range(3):
        asyncio.run(put_twice(store, f"k{round_}"))
    asyncio.run(store.close())


async def put_twice(store: JobStore, key: str) -> None:
    assert [added.is_new for added in await store.add([new(key), new(key)])] == [True, False]
    if "PostgreSQL" in store.name:
        await store.close()  # its sockets are the loop's


async def test_one_process_hears_of_another(address: str) -> None:
    mine, other = store_at(address), store_at(address)
    await mine.open()
    heard = asyncio.Event()
    mine.listen(heard.set)
    async with asyncio.timeout(PATIENCE_S):
        while not heard.is_set():  # until it listens
            await put(other, new(run_at=0.0))
            with_wait = asyncio.create_task(heard.wait())
            await asyncio.wait((with_wait,), timeout=0.2)
            with_wait.cancel()
        heard.clear()
        await put(other, new(run_at=0.0))
        await heard.wait()
    await mine.close()
    await other.close()


@pytest.fixture
def durable() -> Iterator[PostgresServer]:
    with postgres_running(is_durable=True) as server:
        yield server


@pytest.fixture
def guarded() -> Iterator[PostgresServer]:
    with postgres_running(password="correct-horse") as server:
        yield server


async def test_postgres_may_die_and_come_back(durable: PostgresServer) -> None:
    store = store_at(await asyncio.to_thread(durable.new_url))
    kept: list[str] = []
    failed: list[StorageError] = []
    is_over = asyncio.Event()

    async def add(part: int) -> None:
        n = 0
        while not is_over.is_set():
            n += 1
            try:
                await store.add([new(f"{part}-{n}", run_at=0.0)])
                kept.append(f"{part}-{n}")
            except StorageError as error:
                failed.append(error)
                await asyncio.sleep(0)

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        for part in range(8):
            group.create_task(add(part))
        await until(lambda: len(kept) > 100)
        await asyncio.to_thread(durable.kill)
        await until(lambda: len(failed) > 100)
        await asyncio.to_thread(durable.start)
        mark = len(kept)
        await until(lambda: len(kept) > mark + 100)
        is_over.set()
    assert all("PostgreSQL at 127.0.0.1" in error.message and error.hint for error in failed)
    there = {job.key for job in await store.list(Query(kind="event", limit=100_000))}
    assert set(kept) <= there
    (job, *_) = await take(store)
    assert await end(store, job.claim)
    await store.close()


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110  # what it waits for is in other hands
        await asyncio.sleep(0)


async def test_a_password_is_in_no_message(guarded: PostgresServer) -> None:
    url = await asyncio.to_thread(guarded.new_url)
    wrong = open_store(url, clock=SystemClock(), ids=new_id, password=Secret("battery-staple"))
    with pytest.raises(StorageError) as refused:
        await wrong.open()
    assert "battery" not in repr(refused.value) + str(refused.value)
    assert "Check the user and the password" in str(refused.value)
    right = open_store(url, clock=SystemClock(), ids=new_id, password=Secret("correct-horse"))
    await right.check()
    assert "correct" not in right.name
    await right.close()
