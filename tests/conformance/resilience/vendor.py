"""A vendor that does as it is told, and callers to call it."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from conformance.resilience.subject import Guard, Subject, Work

T = TypeVar("T")


class Vendor:
    """Work that waits at a gate, if there is one, and then ends as `error` says."""

    def __init__(self, error: BaseException | type[BaseException] | None = None, *, is_gated: bool = False) -> None:
        self.error = error
        self.asked = 0
        self.under_way = 0
        self._gate = asyncio.Event()
        if not is_gated:
            self._gate.set()

    def open(self) -> None:
        self._gate.set()

    async def __call__(self) -> str:
        self.asked += 1
        self.under_way += 1
        try:
            await self._gate.wait()
        finally:
            self.under_way -= 1
        if self.error is not None:
            raise self.error
        return "served"


async def turns(times: int = 50) -> None:
    """Let everybody go as far as they can."""
    for _ in range(times):
        await asyncio.sleep(0)


def start(guard: Guard, work: Work, times: int = 1) -> list[asyncio.Task[str]]:
    async def call() -> str:
        return await guard(work)

    return [asyncio.create_task(call()) for _ in range(times)]


async def caught(guard: Guard, work: Work) -> BaseException:
    """Call, and return what it raised."""
    (ended,) = await asyncio.gather(*start(guard, work), return_exceptions=True)
    assert isinstance(ended, BaseException), "served, where it was not to be"
    return ended


async def tripped(subject: Subject, guard: Guard, failures: int, error: type[Exception]) -> None:
    """Fail so often that the circuit is open, and see that it is."""
    for _ in range(failures):
        await caught(guard, Vendor(error))
    vendor = Vendor()
    assert subject.is_refusal(await caught(guard, vendor))
    assert vendor.asked == 0
