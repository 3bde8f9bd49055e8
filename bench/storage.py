"""What keeping jobs costs: adding, claiming and ending them, and looking through many, on SQLite and on PostgreSQL.

Both wait for the disk at every commit, as in production. Beside what 64 callers get stands what one gets who waits for
a commit each time. Lists are measured over few and over many jobs; `--large` makes the many five million.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import asyncpg

from fairlead.runtime.ports import SystemClock, new_id
from fairlead.storage.jobs import Ending, JobState, JobStore, NewJob, Query
from fairlead.storage.open import open_store
from fairlead.storage.sqlite_file import load_sqlite
from harness import Limit, Sheet
from postgres_server import find_programs, running

CALLERS = 64
ROUNDS = 5
JOBS = 20_000
SINGLY = 500
BATCH = 50
FEW, MANY, LARGE = 50_000, 500_000, 5_000_000
LOOKS = 200
TOGETHER = Limit(at_least=10)
GROWTH = Limit(at_most=1.5)
PAYLOAD = bytes(range(256)) * 4

# Jobs of fifty sources and twenty names, a hundredth of them dead; the drivers make their numbers in two ways.
_FILL = (
    "INSERT INTO {jobs} (kind, source, name, state, key, fingerprint, created_at, run_at, finished_at, payload) "
    "SELECT 'event', 's' || n % 50, 'n' || n % 20, 2 + {dead}, 'k' || n, '', n / 100.0, 0, n / 100.0, '' FROM {numbers}"
)
_NUMBERS = "(WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < {count}) SELECT n FROM t)"


def _looks(count: int) -> dict[str, Query]:
    middle = count // 2
    return {
        "the newest": Query(kind="event"),
        "the dead ones of a source": Query(kind="event", source="s0", state=JobState.DEAD),
        "a source and a name, from the middle": Query(kind="event", source="s7", name="n7", before=middle),
        "an hour in the middle": Query(kind="event", name="n3", since=middle / 100, until=middle / 100 + 3600),
        "a key": Query(kind="event", key=f"k{middle}"),
    }


async def _rate(count: int, callers: int, work: Callable[[int], Awaitable[object]]) -> float:
    """Return how often a second something is done, by so many callers."""
    numbers = iter(range(count))

    async def call() -> None:
        for n in numbers:
            await work(n)

    started = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(callers)))
    return count / (time.perf_counter() - started)


async def _add_and_end(sheet: Sheet, title: str, store: JobStore) -> None:
    together: list[float] = []
    singly: list[float] = []
    ended: list[float] = []
    jobs, alone = sheet.pick(JOBS, quick=CALLERS * 2), sheet.pick(SINGLY, quick=5)

    async def drain(owner: str) -> int:
        count = 0
        while taken := await store.claim(["event"], owner, lease_s=60, limit=BATCH):
            endings = [Ending(claim=job.claim, state=JobState.DONE) for job in taken]
            count += sum(await asyncio.gather(*map(store.finish, endings)))
        return count

    for round_ in range(sheet.pick(ROUNDS, quick=1)):

        async def add(n: int, prefix: str = f"{round_}") -> None:
            job = NewJob(kind="event", source="a", name="n", run_at=0.0, key=f"{prefix}-{n}", payload=PAYLOAD)
            await store.add([job])

        async def add_alone(n: int, prefix: str = f"alone{round_}") -> None:
            await add(n, prefix)

        together.append(await _rate(jobs, CALLERS, add))
        singly.append(await _rate(alone, 1, add_alone))
        started = time.perf_counter()
        done = sum(await asyncio.gather(*(drain(f"owner{n}") for n in range(2))))
        ended.append(done / (time.perf_counter() - started))
    sheet.row(f"{title}: added, {CALLERS} callers", together, "jobs/s", digits=0)
    sheet.row(f"{title}: added, one caller", singly, "jobs/s", digits=0)
    limit = None if sheet.is_quick else TOGETHER
    sheet.ratio(f"{title}: {CALLERS} callers to one", together, singly, limit)
    sheet.row(f"{title}: claimed and done", ended, "jobs/s", digits=0)


async def _look(sheet: Sheet, store: JobStore, count: int) -> dict[str, float]:
    """Return how many microseconds each look takes."""
    found = {}
    times = sheet.pick(LOOKS, quick=2)
    for title, query in _looks(count).items():
        await store.list(query)
        found[title] = 1e6 / await _rate(times, 1, lambda _, query=query: store.list(query))  # type: ignore[misc]
    query = Query(kind="event", source="s0", name="n0", state=JobState.DEAD, limit=5)

    async def replay(_: int) -> None:
        await store.again(query, run_at=0.0)

    found["five dead ones run again"] = 1e6 / await _rate(sheet.pick(10, quick=2), 1, replay)
    return found


async def _grow(sheet: Sheet, title: str, stores: dict[int, JobStore]) -> None:
    few, many = stores
    rounds: dict[str, list[float]] = {}
    times: dict[str, list[float]] = {}
    for _ in range(sheet.pick(ROUNDS, quick=1)):
        at_few, at_many = [await _look(sheet, store, count) for count, store in stores.items()]
        for look, taken in at_few.items():
            rounds.setdefault(look, []).append(at_many[look] / taken)
            times.setdefault(look, []).append(at_many[look])
    for look, ratios in rounds.items():
        sheet.row(f"{title}: {look}", times[look], "us", digits=0)
        sheet.row(f"  {many:,} jobs to {few:,}", ratios, "x", None if sheet.is_quick else GROWTH)


def _fill_sqlite(path: Path, count: int) -> None:
    file = load_sqlite().connect(str(path))
    numbers = _NUMBERS.format(count=count)
    file.execute(_FILL.format(jobs="fairlead_jobs", dead="(n % 100 = 0)", numbers=numbers))
    file.commit()
    file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.close()


async def _fill_postgres(url: str, count: int) -> None:
    connection = await asyncpg.connect(url)
    numbers = f"generate_series(1, {count}) AS n"
    await connection.execute(_FILL.format(jobs="fairlead.jobs", dead="(n % 100 = 0)::int", numbers=numbers))
    await connection.execute("VACUUM ANALYZE fairlead.jobs")
    await connection.close()


def _sizes(sheet: Sheet) -> tuple[int, int]:
    return sheet.pick(FEW, quick=500), LARGE if sheet.is_large else sheet.pick(MANY, quick=2000)


def _open(address: str) -> JobStore:
    return open_store(address, clock=SystemClock(), ids=new_id)


async def _measure_sqlite(sheet: Sheet, folder: Path) -> None:
    store = _open(str(folder / "adds.db"))
    await store.open()
    await _add_and_end(sheet, "SQLite", store)
    await store.close()
    stores = {count: _open(str(folder / f"{count}.db")) for count in _sizes(sheet)}
    for count, each in stores.items():
        await each.open()
        await asyncio.to_thread(_fill_sqlite, folder / f"{count}.db", count)
    await _grow(sheet, "SQLite", stores)
    for each in stores.values():
        await each.close()


async def _measure_postgres(sheet: Sheet, *urls: str) -> None:
    store = _open(urls[0])
    await store.open()
    await _add_and_end(sheet, "PostgreSQL", store)
    await store.close()
    stores = {count: _open(url) for count, url in zip(_sizes(sheet), urls[1:], strict=True)}
    for (count, each), url in zip(stores.items(), urls[1:], strict=True):
        await each.open()
        await _fill_postgres(url, count)
    await _grow(sheet, "PostgreSQL", stores)
    for each in stores.values():
        await each.close()


def measure(sheet: Sheet) -> None:
    """Measure both stores, each by itself."""
    sheet.begin(f"Jobs of 1 KB with a key, {CALLERS} callers", "pysqlite3", "asyncpg")
    folder = Path(tempfile.mkdtemp(prefix="fairlead-", dir=Path(__file__).parent))  # on the disk, and no tmpfs
    try:
        asyncio.run(_measure_sqlite(sheet, folder))
    finally:
        shutil.rmtree(folder)
    try:
        find_programs()
    except RuntimeError as missing:
        sheet.note(f"Not measured: {missing}")
        return
    with running(is_durable=True) as server:
        urls = [server.new_url() for _ in range(3)]
        asyncio.run(_measure_postgres(sheet, *urls))
