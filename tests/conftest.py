"""Runs `async def` tests, each in an event loop of its own, and makes hypothesis repeatable."""

import asyncio
import inspect

import pytest
from hypothesis import settings

settings.register_profile("house", max_examples=100, deadline=None, derandomize=True, database=None)
settings.load_profile("house")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True
