"""What is wrong with a file or a server is told in a sentence, and the store is well again when it is over."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from pathlib import Path

import pytest

from fairlead.errors import InvalidSettingError, StorageError
from fairlead.model.secret import Secret
from fairlead.runtime.ports import SystemClock, new_id
from fairlead.storage.jobs import JobState, Query
from fairlead.storage.open import open_store
from fairlead.storage.sqlite import SqliteJobs
from fairlead.storage.sqlite_file import OLDEST_SQLITE, check_version, load_sqlite
from fairlead.testing.clock import FakeClock
from job_stores import end, new, put, take
from programs import run, script


def store_at(path: Path, *options: str, locked_s: float = 10.0) -> SqliteJobs:
    return SqliteJobs(path, clock=FakeClock(), locked_s=locked_s, options=options)


async def test_a_full_disk_is_told_and_room_is_used(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    store = store_at(path, "max_page_count = 150")
    kept: list[str] = []
    with pytest.raises(StorageError, match=r"no room left.*Make room") as full:
        await fill(store, kept)
    assert str(path) in full.value.message
    assert len(kept) > 50
    with pytest.raises(StorageError, match="no room left"):
        await asyncio.gather(*(put(store, new(f"l{n}", payload=b"x" * 4000)) for n in range(9)))
    assert {job.key for job in await store.list(Query(kind="event", limit=900))} == set(kept)
    await store.close()
    roomy = store_at(path)
    assert await put(roomy, new("more", payload=b"x" * 4000))
    await roomy.check()
    await roomy.close()


async def fill(store: SqliteJobs, kept: list[str]) -> None:
    for n in range(500):
        await put(store, new(f"k{n}", payload=b"x" * 4000))
        kept.append(f"k{n}")


LIMITED = """
    import asyncio, os, resource, sys
    from fairlead.errors import StorageError
    from fairlead.runtime.ports import SystemClock
    from fairlead.storage.jobs import NewJob, Query
    from fairlead.storage.sqlite import SqliteJobs

    def job(n):
        return NewJob(kind="event", source="acme", name="paid", run_at=0.0, key=f"k{n}", payload=b"x" * 4000)

    async def main():
        store = SqliteJobs(sys.argv[1], clock=SystemClock())
        await store.open()
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        kept, refused = 0, None
        while refused is None:
            try:
                await store.add([job(kept)])
                kept += 1
            except StorageError as error:
                refused = error
        print(refused)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await store.add([job("later")])
        found = {each.key for each in await store.list(Query(kind="event", limit=10_000))}
        print(found == {f"k{n}" for n in range(kept)} | {"klater"}, kept > 5)
        await store.close()

    asyncio.run(main())
"""


async def test_a_disk_that_stops_in_the_middle_of_a_write_loses_nothing(tmp_path: Path) -> None:
    """The system refuses to let a file grow, as it does where a quota or a disk is used up; then it lets it."""
    ended = await run(*script(LIMITED, str(tmp_path / "jobs.db")))
    assert ended.code == 0, ended.err
    told, outcome = ended.out.splitlines()
    assert "goes on by itself" in told
    assert outcome == "True True"


async def test_a_file_that_cannot_be_written_to_is_still_read(tmp_path: Path) -> None:
    store = store_at(tmp_path / "jobs.db")
    await put(store, new("k"))
    await store.close()
    barred = store_at(tmp_path / "jobs.db", "query_only = ON")
    for asked in (barred.check(), barred.add([new("l")])):
        with pytest.raises(StorageError, match=r"cannot be written to.*Let this user write"):
            await asked
    assert await barred.find_key("event", "acme", "k") is not None
    await barred.close()


async def test_a_missing_folder_is_told_until_it_is_there(tmp_path: Path) -> None:
    store = store_at(tmp_path / "later" / "jobs.db")
    for asked in (store.open(), store.find(1), store.add([new()])):
        with pytest.raises(StorageError, match="No such file or directory"):
            await asked
    (tmp_path / "later").mkdir()
    assert await put(store, new())
    await store.close()


async def test_what_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    path.write_bytes(b"my diary" * 1000)
    store = store_at(path)
    with pytest.raises(StorageError, match="no SQLite file"):
        await store.open()
    assert path.read_bytes() == b"my diary" * 1000
    path.unlink()
    await store.check()
    await store.close()


async def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    store = store_at(path)
    await put(store, *(new(f"k{n}", payload=b"x" * 3000) for n in range(100)))
    await store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StorageError, match=r"damaged.*restore the last good one"):
        await store.list(Query(kind="event"))
    await store.close()
    path.write_bytes(whole)
    assert len(await store.list(Query(kind="event", limit=200))) == 100
    await store.close()


async def test_a_file_that_stays_locked_is_told_and_then_used(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    store = store_at(path, locked_s=0.1)
    await store.open()
    other = load_sqlite().connect(str(path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="kept it locked"):
        await asyncio.gather(*(put(store, new()) for _ in range(5)))
    assert await store.list(Query(kind="event")) == []
    other.execute("ROLLBACK")
    other.close()
    assert await put(store, new())
    await store.close()


async def test_a_closed_store_opens_again_by_itself(tmp_path: Path) -> None:
    store = store_at(tmp_path / "jobs.db")
    (identifier,) = await put(store, new())
    await store.close()
    await store.close()
    (job,) = await take(store)
    assert await end(store, job.claim, JobState.DONE)
    await store.close()
    assert (await store.find(identifier)) is not None
    await store.close()


def test_an_unsafe_sqlite_is_refused() -> None:
    if sqlite3.sqlite_version_info >= OLDEST_SQLITE:
        assert check_version(sqlite3) is sqlite3
        return
    with pytest.raises(StorageError, match="pip install pysqlite3"):
        check_version(sqlite3)
    assert load_sqlite().sqlite_version_info >= OLDEST_SQLITE


async def test_a_server_that_is_not_there_is_told() -> None:
    store = open_store(
        "postgresql://me@127.0.0.1:1/jobs", clock=SystemClock(), ids=new_id, password=Secret("pw-secret")
    )
    for asked in (store.open(), store.add([new()]), store.list(Query(kind="event")), store.check()):
        with pytest.raises(StorageError, match=r"PostgreSQL at 127\.0\.0\.1:1/jobs: no connection") as refused:
            await asked
        assert "pw-secret" not in str(refused.value)
    await store.close()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql://me:secret@db/jobs", "holds a password"),
        ("postgresql://me@db", "no address of PostgreSQL"),
        ("postgresql://me@db/jobs?schema=No!", "no plain name"),
        ("postgresql://me@db/jobs?timeout=1", "means nothing"),
        ("postgresql://me@db:x/jobs", "cannot be read"),
        ("mysql://me:secret@db/jobs", "none of SQLite or PostgreSQL"),
        ("sqlite://jobs.db", "none of SQLite or PostgreSQL"),
    ],
)
def test_an_address_that_cannot_be_is_refused_without_showing_it(address: str, said: str) -> None:
    with pytest.raises(InvalidSettingError, match=said) as refused:
        open_store(address, clock=SystemClock(), ids=new_id)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("address", ["jobs.db", "sqlite:///jobs.db", Path("jobs.db")])
def test_a_path_and_a_url_lead_to_the_same_file(address: str | Path) -> None:
    assert open_store(address, clock=SystemClock(), ids=new_id).name == "SQLite, jobs.db"


async def test_postgres_is_not_loaded_for_a_file() -> None:
    text = """
        import sys
        from fairlead.runtime.ports import SystemClock, new_id
        from fairlead.storage.open import open_store
        open_store("jobs.db", clock=SystemClock(), ids=new_id)
        print("asyncpg" in sys.modules)
        sys.modules["asyncpg"] = None
        from fairlead.errors import InvalidSettingError
        try:
            import asyncio
            asyncio.run(open_store("postgresql://me@db/jobs", clock=SystemClock(), ids=new_id).open())
        except InvalidSettingError as error:
            print(error)
    """
    ended = await run(sys.executable, *script(text)[1:])
    assert ended.err == ""
    loaded, refused = ended.out.splitlines()
    assert loaded == "False"
    assert "pip install fairlead[postgres]" in refused


async def test_a_file_that_a_fork_left_open_is_not_touched(tmp_path: Path) -> None:
    """Where what is under way does not end before a fork, the child can do nothing with the file."""
    store = store_at(tmp_path / "jobs.db")
    await put(store, new("k"))
    store._file.is_inherited = True
    store.disown()
    for asked in (store.add([new()]), store.list(Query(kind="event"))):
        with pytest.raises(StorageError, match="when this process was forked"):
            await asked
    await store.close()
