"""The end of a program that uses the synchronous face: at once, without a word, and with every socket closed."""

from __future__ import annotations

import asyncio
import signal

import pytest

from fairlead.testing.fakes.spoonacular import SpoonacularFake
from fairlead.testing.faults import Faults
from programs import PATIENCE_S, ended, next_line, run, running, script, tell

BEGIN = """
    import atexit, sys, threading
    from fairlead.config.read import parse_settings
    from fairlead.observe.events import EventStream
    from fairlead.runtime.ports import Ports
    from fairlead.sync import Fairlead

    def open_client(*sinks):
        ports = Ports(events=EventStream(sinks))
        return Fairlead(parse_settings(sys.argv[1]), environment={"KEY": "fake-key"}, ports=ports)

    def search(what="soup"):
        return fl.recipes.search(what).served_by
"""


def settings(url: str) -> str:
    return f"""
        [connections.vendor]
        provider = "spoonacular"
        credentials = {{ api_key = "env:KEY" }}
        base_url = "{url}"
        allow_private = true
        rate = {{ requests = 1000 }}
    """


def hanging() -> SpoonacularFake:
    return SpoonacularFake(faults=Faults(hang_share=1))


async def until_asked(fake: SpoonacularFake) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not fake.books.requests:  # noqa: ASYNC110  # turns of the loop, not time
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("fl = open_client()\n    search()", 0),
        ("fl = open_client()\n    search()\n    sys.exit(3)", 3),
        ("fl = open_client()\n    pages = fl.recipes.iter_pages('pasta')\n    next(pages)", 0),
        ("fl = open_client()\n    search()\n    atexit.register(search, 'pie')", 0),
        ("fl = open_client()\n    search()\n    atexit.register(fl.close)", 0),
    ],
    ids=["unclosed", "sys.exit", "a list half read", "a call at exit", "closed at exit"],
)
async def test_a_client_that_nobody_closed_is_closed_without_a_word(text: str, code: int) -> None:
    async with SpoonacularFake() as fake:
        assert await run(*script(f"{BEGIN}\n    {text}", settings(fake.url))) == (code, "", "")


async def test_a_call_under_way_in_a_daemon_thread_is_dropped() -> None:
    text = """
    fl = open_client()
    threading.Thread(target=search, daemon=True).start()
    print("asked", flush=True)
    sys.stdin.readline()
    """
    async with hanging() as fake, running(*script(BEGIN + text, settings(fake.url))) as process:
        assert await next_line(process) == "asked"
        await until_asked(fake)
        await tell(process)
        assert await ended(process) == (0, "", "")


async def test_a_sink_that_never_returns_does_not_keep_the_program_alive() -> None:
    text = """
    def sink(event):
        print("stuck", flush=True)
        threading.Event().wait()

    fl = open_client(sink)
    threading.Thread(target=search, daemon=True).start()
    sys.stdin.readline()
    """
    async with SpoonacularFake() as fake, running(*script(BEGIN + text, settings(fake.url))) as process:
        assert await next_line(process) == "stuck"
        await tell(process)
        assert await ended(process) == (0, "", "")


async def test_ctrl_c_ends_a_program_that_waits_for_an_answer() -> None:
    text = """
    fl = open_client()
    try:
        search()
    except KeyboardInterrupt:
        sys.exit(130)
    """
    async with hanging() as fake, running(*script(BEGIN + text, settings(fake.url))) as process:
        await until_asked(fake)
        process.send_signal(signal.SIGINT)
        assert await ended(process) == (130, "", "")
