"""Calls in the background, followed from synchronous code."""

from __future__ import annotations

from typing import Any, TypeVar

from fairlead.runtime.later import BackgroundCall
from fairlead.runtime.later import BackgroundCalls as AsyncBackgroundCalls
from fairlead.sync.loop import BACKGROUND

T = TypeVar("T")


class BackgroundCalls:
    """Every call that is kept, in the background or with an idempotency key. See the asynchronous face."""

    def __init__(self, calls: AsyncBackgroundCalls, owner: object) -> None:
        self._calls = calls
        self._owner = owner  # whose end closes the store

    def get(self, call_id: str) -> BackgroundCall[Any]:
        """Return how a call stands; raise `UnknownCallError` where none has this id."""
        return BACKGROUND.run(lambda: self._calls.get(call_id))

    def wait(self, call: BackgroundCall[T], *, deadline_s: float | None = None) -> T:
        """Return the answer of a call, once it is there; raise the error with which it ended."""
        return BACKGROUND.run(lambda: self._calls.wait(call, deadline_s=deadline_s))

    def cancel(self, call_id: str) -> bool:
        """Cancel a call that is not over; False where it is."""
        return BACKGROUND.run(lambda: self._calls.cancel(call_id))

    def retry(self, call_id: str) -> bool:
        """Try a call again that was given up or cancelled; False where it is neither."""
        return BACKGROUND.run(lambda: self._calls.retry(call_id))
