"""Coroutines that wait for nothing, run without an event loop: for state machines that hypothesis drives."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def done(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine comes to that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        value: T = ended.value
        return value
    raise AssertionError("it waited")
