"""The synchronous face: the same names and answers, without an event loop of the caller's."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fairlead import sync
from fairlead.config.read import parse_settings
from fairlead.errors import ConfigError, FairleadError, NotFoundError, UsageError
from fairlead.model.message import Request
from fairlead.observe.events import Event, EventStream
from fairlead.runtime.bulk import BulkProgress
from fairlead.runtime.email import EmailFacade
from fairlead.runtime.event_desk import EventDesk
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.http import HttpFacade
from fairlead.runtime.ports import Ports
from fairlead.runtime.recipes import RecipesFacade
from fairlead.runtime.suppressions import Suppressions
from fairlead.runtime.webhooks import WebhooksFacade
from fairlead.testing.fakes.spoonacular import API_KEY, SpoonacularFake
from fairlead.testing.faults import Faults

PATIENCE_S = 10.0
KEYS = {"KEY": API_KEY}
#: What only code within the event loop has a use for.
INSIDE = {"again", "connection", "connections", "route", "routes", "settings", "disown", "inbox", "store"}
MIRRORED = [
    (sync.Fairlead, Fairlead),
    (sync.RecipesFacade, RecipesFacade),
    (sync.HttpFacade, HttpFacade),
    (sync.EmailFacade, EmailFacade),
    (sync.Suppressions, Suppressions),
    (sync.WebhooksFacade, WebhooksFacade),
    (sync.WebhooksFacade, EventDesk),
]


def config(url: str) -> str:
    return f"""
        [connections.spoonacular]
        provider = "spoonacular"
        credentials = {{ api_key = "env:KEY" }}
        base_url = "{url}"
        allow_private = true
        rate = {{ requests = 1000 }}
    """


@contextmanager
def vendor() -> Iterator[SpoonacularFake]:
    """Run the fake in a loop of its own, as a vendor is somewhere else."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    fake = SpoonacularFake()
    try:
        asyncio.run_coroutine_threadsafe(fake.start(), loop).result()
        yield fake
    finally:
        asyncio.run_coroutine_threadsafe(fake.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.parametrize(("mirror", "original"), MIRRORED)
def test_the_names_and_their_arguments_are_the_same(mirror: type, original: type) -> None:
    theirs = {name for name in vars(original) if not name.startswith("_")} - INSIDE
    assert theirs <= set(dir(mirror)), f"the synchronous face lacks {theirs - set(dir(mirror))}"
    for name in theirs:
        if inspect.isfunction(vars(original)[name]):
            wanted = inspect.signature(vars(original)[name]).parameters
            assert list(inspect.signature(vars(mirror)[name]).parameters) == list(wanted)


def test_answers_pages_and_errors_are_those_of_the_asynchronous_face() -> None:
    with vendor() as fake, sync.Fairlead(parse_settings(config(fake.url)), environment=KEYS) as fl:
        page = fl.recipes.search("pasta")
        assert (page.served_by, len(page)) == ("spoonacular", 20)
        pages = fl.recipes.iter_pages("pasta")
        assert [next(pages).items[0].ref, next(pages).items[0].ref][0] == page.items[0].ref
        assert fl.recipes.fetch(page.items[0].ref).title == page.items[0].title
        assert fl.recipes.nutrition(str(page.items[0].ref)).amount("energy")
        with pytest.raises(NotFoundError):
            fl.recipes.fetch("spoonacular:1")
        assert fl.http("spoonacular").get("/recipes/complexSearch", query={"query": "soup"}).status == 200


def test_the_context_of_the_caller_is_seen_by_the_call() -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")
    seen: list[str] = []

    def note(_: Event) -> None:
        seen.append(tenant.get())

    with vendor() as fake:
        ports = Ports(events=EventStream((note,)))
        with sync.Fairlead(parse_settings(config(fake.url)), environment=KEYS, ports=ports) as fl:
            tenant.set("acme")
            fl.recipes.search("soup")
    assert set(seen) == {"acme"}


def test_an_error_shows_the_way_from_the_call_to_its_cause() -> None:
    with vendor() as fake, sync.Fairlead(parse_settings(config(fake.url)), environment=KEYS) as fl:
        with pytest.raises(NotFoundError) as caught:
            fl.recipes.fetch("spoonacular:1")
        assert type(caught.value) is NotFoundError
        files = [Path(frame.filename).name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert (files[0], files[1], files[-1]) == ("test_sync.py", "recipes.py", "pipeline.py")
        assert len(files) < 20


def test_many_threads_share_one_loop() -> None:
    together = threading.Barrier(8)
    served: list[str | None] = []

    def ask(word: str) -> None:
        together.wait()
        page = fl.recipes.search(word)
        served.append(page.call.served_by if page.call else None)

    with vendor() as fake, sync.Fairlead(parse_settings(config(fake.url)), environment=KEYS) as fl:
        threads = [threading.Thread(target=ask, args=(f"soup {number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert served == ["spoonacular"] * 8
        assert [thread.name for thread in threading.enumerate()].count("fairlead") == 1


def test_what_would_end_the_program_reaches_the_caller_and_leaves_the_loop_alive() -> None:
    def leave(_: Event) -> None:
        if not left:
            left.append(True)
            raise SystemExit(3)

    left: list[bool] = []
    with vendor() as fake:
        ports = Ports(events=EventStream((leave,)))
        with sync.Fairlead(parse_settings(config(fake.url)), environment=KEYS, ports=ports) as fl:
            with pytest.raises(SystemExit):
                fl.http("spoonacular").get("/recipes/complexSearch", query={"query": "soup"})
            assert fl.recipes.search("soup").items


def test_a_client_that_is_dropped_closes_its_sockets() -> None:
    def begin() -> sync.RecipesFacade:
        return sync.Fairlead(parse_settings(config(fake.url)), environment=KEYS).recipes

    with vendor() as fake:
        recipes = begin()
        pages = recipes.iter_pages("pasta")
        next(pages)
        del recipes
        gc.collect()
        assert fake.connections == 1  # the list still needs it
        pages.close()
        del pages
        gc.collect()
        until = time.monotonic() + PATIENCE_S
        while fake.connections and time.monotonic() < until:
            os.sched_yield()
        assert fake.connections == 0


async def test_it_does_not_block_a_running_event_loop() -> None:
    with pytest.raises(UsageError, match="running event loop"):
        sync.Fairlead(parse_settings(config("http://127.0.0.1:9")), environment=KEYS).recipes.search("soup")


def test_ctrl_c_ends_the_call_and_closes_its_socket() -> None:
    closed = threading.Event()

    async def interrupt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        os.kill(os.getpid(), signal.SIGINT)
        if not await reader.read():
            closed.set()
        writer.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(interrupt, "127.0.0.1", 0), loop).result()
    try:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with sync.Fairlead(parse_settings(config(url)), environment=KEYS) as fl:
            with pytest.raises(KeyboardInterrupt):
                fl.recipes.search("soup")
            assert closed.wait(5)
    finally:
        loop.call_soon_threadsafe(server.close)
        asyncio.run_coroutine_threadsafe(server.wait_closed(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_after_a_fork_every_worker_has_a_loop_of_its_own() -> None:
    with vendor() as fake:
        script = textwrap.dedent("""
            import os, sys
            from fairlead.config.read import parse_settings
            from fairlead.sync import Fairlead

            def ask():
                with Fairlead(parse_settings(sys.argv[1]), environment={"KEY": sys.argv[2]}) as fl:
                    return fl.recipes.search("soup").served_by

            assert ask() == "spoonacular"
            worker = os.fork()
            if worker == 0:
                os._exit(0 if ask() == "spoonacular" else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 0
            assert ask() == "spoonacular"
        """)
        command = [sys.executable, "-c", script, config(fake.url), API_KEY]
        subprocess.run(command, check=True, timeout=30)  # noqa: S603  # our own script


def test_lists_and_bulks_are_read_a_step_at_a_time() -> None:
    with vendor() as fake:
        paged = f"""
            [connections.plain]
            base_url = "{fake.url}"
            allow_private = true
            auth = {{ scheme = "key", header = "x-api-key" }}
            credentials = {{ key = "env:KEY" }}
            pagination = {{ style = "offset", size_param = "number", size = 5, items_at = "results" }}
        """
        with sync.Fairlead(parse_settings(paged), environment=KEYS) as fl:
            pages = fl.http("plain").paginate("/recipes/complexSearch", query={"query": "pasta"})
            assert [len(next(pages).items), len(next(pages).items)] == [5, 5]
            pages.close()
            assert fake.books.requests == 2
            wanted = (Request.get("/recipes/complexSearch", query={"query": word}) for word in ("soup", "pasta", "pie"))
            assert sorted(result.index for result in fl.http("plain").bulk(wanted, at_once=2)) == [0, 1, 2]


def test_a_bulk_is_read_and_told_of_in_the_thread_of_the_caller() -> None:
    def wanted(fl: sync.Fairlead) -> Iterator[Request]:
        for page in fl.recipes.iter_pages("pasta"):  # calls of its own
            for recipe in page.items:
                threads.add(threading.current_thread())
                yield Request.get(f"/recipes/{recipe.ref.id}/information")
            if len(told) > 20:
                return

    def note(progress: BulkProgress) -> None:
        threads.add(threading.current_thread())
        told.append(progress)

    threads: set[threading.Thread] = set()
    told: list[BulkProgress] = []
    with vendor() as fake, sync.Fairlead(parse_settings(config(fake.url)), environment=KEYS) as fl:
        results = list(fl.http("spoonacular").bulk(wanted(fl), at_once=3, on_progress=note))
    assert threads == {threading.current_thread()}
    assert all(result.is_good for result in results)
    assert sorted(result.index for result in results) == list(range(len(results)))
    assert told[-1] == BulkProgress(done=len(results), failed=0)


def test_a_bulk_tells_of_failures_and_of_the_length_of_a_list() -> None:
    told: list[BulkProgress] = []
    requests = [Request.get(f"/recipes/{identifier}/information") for identifier in (1, 700_001)]
    with vendor() as fake, sync.Fairlead(parse_settings(config(fake.url)), environment=KEYS) as fl:
        results = list(fl.http("spoonacular").bulk(requests, on_progress=told.append))
    assert sorted(result.index for result in results) == [0, 1]
    assert told[-1] == BulkProgress(done=2, failed=1, total=2)


@pytest.mark.parametrize("error", [ValueError("no more"), KeyboardInterrupt()], ids=repr)
def test_what_the_input_of_a_bulk_raises_comes_back(error: BaseException) -> None:
    def wanted() -> Iterator[Request]:
        yield Request.get("/recipes/complexSearch", query={"query": "soup"})
        raise error

    with vendor() as fake, sync.Fairlead(parse_settings(config(fake.url)), environment=KEYS) as fl:
        with pytest.raises(type(error)) as caught:
            list(fl.http("spoonacular").bulk(wanted(), at_once=2))
        assert caught.value is error
        assert fl.recipes.search("pie").items


def test_a_bulk_may_be_left_early() -> None:
    wanted = (Request.get("/recipes/complexSearch", query={"query": str(number)}) for number in range(1000))
    with vendor() as fake, sync.Fairlead(parse_settings(config(fake.url)), environment=KEYS) as fl:
        results = fl.http("spoonacular").bulk(wanted, at_once=2)
        assert next(results).is_good
        results.close()
        assert fake.books.requests < 20
        assert fl.recipes.search("pie").items


async def test_a_list_that_is_dropped_half_read_does_no_harm_wherever_it_is_collected() -> None:
    def begin(url: str) -> None:
        with sync.Fairlead(parse_settings(config(url)), environment=KEYS) as fl:
            pages = fl.recipes.iter_pages("pasta")
            next(pages)
            held.append(pages)

    held: list[object] = []
    with vendor() as fake:
        await asyncio.to_thread(begin, fake.url)
        held.clear()  # in a thread with a running loop
        gc.collect()


def test_new_settings_are_put_in_force_and_wrong_ones_are_not(tmp_path: Path) -> None:
    with vendor() as fake, sync.Fairlead(parse_settings(config(fake.url)), environment=KEYS) as fl:
        recipes = fl.recipes
        assert recipes.search("pasta").served_by == "spoonacular"
        path = tmp_path / "fairlead.toml"
        path.write_text(config(fake.url).replace("[connections.spoonacular]", "[connections.other]"))
        assert fl.reload_from(path).added == ("other",)
        assert recipes.search("pasta").served_by == "other"
        with pytest.raises(ConfigError):
            fl.reload(parse_settings(config("no address")))
        assert recipes.search("soup").served_by == "other"


def test_a_deadline_bounds_the_calls_inside() -> None:
    with vendor() as fake, sync.Fairlead(parse_settings(config(fake.url)), environment=KEYS) as fl:
        fake.faults = Faults(hang_share=1.0)
        with fl.deadline(0.05), pytest.raises(FairleadError):
            fl.recipes.search("pasta", deadline_s=30.0)
        fake.faults = Faults()
        assert fl.recipes.search("pasta").items
