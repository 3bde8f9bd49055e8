"""A fork, whatever the parent has done and is doing: parent and child both go on, each with sockets of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from fairlead.testing.fakes.spoonacular import SpoonacularFake
from fairlead.testing.faults import Faults
from programs import PATIENCE_S, ended, next_line, run, running, script, tell
from raw_server import RawServer
from stages import HTTP1, HTTP2, Authority
from talks import FINE

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")

BEGIN = """
    import os, sys, threading
    from fairlead.config.read import parse_settings
    from fairlead.errors import UsageError
    from fairlead.observe.events import EventStream
    from fairlead.runtime.ports import Ports
    from fairlead.sync import Fairlead

    def open_client(*sinks):
        ports = Ports(events=EventStream(sinks))
        return Fairlead(parse_settings(sys.argv[1]), environment={"KEY": "fake-key"}, ports=ports)

    def get():
        return fl.http("vendor").get("/things", deadline_s=10).status

    def search(what):
        return fl.recipes.search(what, deadline_s=10).served_by

    def join(worker):
        assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 0
"""


@asynccontextmanager
async def vendor(protocol: str, directory: Path) -> AsyncIterator[tuple[RawServer, str]]:
    """Serve in a protocol; yield the server, and the settings that lead to it."""
    ca = trustme.CA()
    file = directory / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    authority = Authority(ca, str(file))
    tls = authority.server("127.0.0.1") if protocol in {"https", "http2"} else None
    client = HTTP2 if protocol == "http2" else HTTP1
    async with client.serve(authority, FINE, tls=tls) as (server, options):
        settings = f"""
            [connections.vendor]
            base_url = "{options.base_url}"
            allow_private = true
            http2 = {str(client.is_h2).lower()}
            follow_redirects = {int(protocol == "redirected")}
            {f'ca_file = "{file}"' if tls else ""}
        """
        yield server, settings


def recipes(fake: SpoonacularFake) -> str:
    """Return settings that lead to a fake, and allow one request at a time."""
    return f"""
        [connections.vendor]
        provider = "spoonacular"
        credentials = {{ api_key = "env:KEY" }}
        base_url = "{fake.url}"
        allow_private = true
        rate = {{ requests = 1000 }}
        concurrency = {{ limit = 1 }}
    """


@pytest.mark.parametrize("protocol", ["http", "https", "http2", "redirected"])
async def test_a_client_that_was_used_before_serves_parent_and_child(protocol: str, tmp_path: Path) -> None:
    text = """
    fl = open_client()
    assert get() == 200
    worker = os.fork()
    if worker == 0:
        assert [get(), get()] == [200, 200]
        sys.exit()
    join(worker)
    assert get() == 200
    """
    async with vendor(protocol, tmp_path) as (server, settings):
        assert await run(*script(BEGIN + text, settings)) == (0, "", "")
    assert len(server.requests) == 4
    assert server.connections == 2  # the parent's, which it kept, and the child's


async def test_a_connection_ends_when_the_parent_closes_it_whatever_the_child_does(tmp_path: Path) -> None:
    text = """
    fl = open_client()
    assert get() == 200
    reading, writing = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0 if get() == 200 else 1)
    fl.close()
    print("closed", flush=True)
    sys.stdin.readline()
    os.close(writing)
    join(worker)
    """
    async with vendor("http", tmp_path) as (server, settings), running(*script(BEGIN + text, settings)) as process:
        assert await next_line(process) == "closed"
        async with asyncio.timeout(PATIENCE_S):
            await server.has_ended.wait()
        await tell(process)
        assert (await next_line(process), await process.wait()) == ("", 0)


async def test_what_was_under_way_in_the_parent_does_not_hinder_the_child() -> None:
    text = """
    fl = open_client()
    threading.Thread(target=search, args=("soup",), daemon=True).start()
    print("asked", flush=True)
    sys.stdin.readline()
    worker = os.fork()
    if worker == 0:
        assert search("soup") == "vendor"  # not the parent's flight, and not behind it in the queue
        sys.exit()
    join(worker)
    """
    async with SpoonacularFake(faults=Faults(hang_share=1)) as fake:
        async with running(*script(BEGIN + text, recipes(fake))) as process:
            assert await next_line(process) == "asked"
            async with asyncio.timeout(PATIENCE_S):
                while not fake.books.requests:  # noqa: ASYNC110  # turns of the loop, not time
                    await asyncio.sleep(0)
            fake.faults = Faults()
            await tell(process)
            assert await ended(process) == (0, "", "")
        assert fake.books.answered_ok == 1


async def test_a_lock_that_a_sink_holds_is_free_in_the_child() -> None:
    text = """
    lock, is_held, forks = threading.Lock(), threading.Event(), threading.Event()

    def sink(event):
        with lock:
            if not is_held.is_set():
                is_held.set()
                forks.wait()
                sum(range(1_000_000))  # the fork would come in between

    fl = open_client(sink)
    asking = threading.Thread(target=search, args=("soup",))
    asking.start()
    is_held.wait()
    os.register_at_fork(before=forks.set)
    worker = os.fork()
    if worker == 0:
        os._exit(0 if search("pie") == "vendor" else 1)
    join(worker)
    asking.join()
    """
    async with SpoonacularFake() as fake:
        assert await run(*script(BEGIN + text, recipes(fake))) == (0, "", "")


async def test_a_fork_in_a_sink_does_not_wait_for_itself() -> None:
    text = """
    def sink(event):
        if not workers:
            workers.append(os.fork())
            if workers == [0]:
                os._exit(0)

    workers = []
    fl = open_client(sink)
    assert search("soup") == "vendor"
    join(*workers)
    """
    async with SpoonacularFake() as fake:
        assert await run(*script(BEGIN + text, recipes(fake))) == (0, "", "")


async def test_a_list_goes_on_where_it_was_begun_and_nowhere_else() -> None:
    text = """
    fl = open_client()
    pages = fl.recipes.iter_pages("pasta")
    next(pages)
    worker = os.fork()
    if worker == 0:
        try:
            next(pages)
        except UsageError as error:
            print(error)
        del pages
        assert next(fl.recipes.iter_pages("pasta"))
        sys.exit()
    join(worker)
    assert next(pages)
    pages.close()
    """
    async with SpoonacularFake() as fake:
        told = await run(*script(BEGIN + text, recipes(fake)))
    said = "This was begun before a fork, by the parent. Begin it again in the child.\n"
    assert told == (0, said, "")


async def test_threads_that_fork_at_once_do_not_hinder_each_other() -> None:
    text = """
    def fork():
        together.wait()
        worker = os.fork()
        if worker == 0:
            os._exit(0 if search("pie") == "vendor" else 1)
        workers.append(worker)
        asked.append(search("soup"))

    fl = open_client()
    assert search("pasta") == "vendor"
    workers, asked, together = [], [], threading.Barrier(4)
    threads = [threading.Thread(target=fork) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for worker in workers:
        join(worker)
    assert asked == ["vendor"] * 4
    """
    async with SpoonacularFake() as fake:
        assert await run(*script(BEGIN + text, recipes(fake))) == (0, "", "")
