"""Runs `async def` tests, each in an event loop of its own, and makes hypothesis repeatable.

That is asyncio's, or with the mark `uvloop` the one that `fairlead serve` runs in.
"""

import asyncio
import inspect
import signal

import pytest
import uvloop
from hypothesis import settings

settings.register_profile("house", max_examples=100, deadline=None, derandomize=True, database=None)
settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    """Let programs that tests start be interrupted: who runs us in the background may have us ignore SIGINT."""
    config.addinivalue_line("markers", "uvloop: runs in the event loop of the gateway, and not in asyncio's own")
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames
    run = uvloop.run if pyfuncitem.get_closest_marker("uvloop") else asyncio.run
    run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True
