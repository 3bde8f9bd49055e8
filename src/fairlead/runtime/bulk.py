"""Many requests at one connection: a few at a time, failures as data, memory that does not grow with their number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sized
from typing import NamedTuple

import msgspec

from fairlead.errors import FairleadError, InvalidArgumentError
from fairlead.model.message import Request, Response

Requests = Iterable[Request] | AsyncIterable[Request]
Send = Callable[[Request], Awaitable[Response]]


class BulkResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one request: its place in the input, and the answer or the error."""

    index: int
    response: Response | None = None
    error: FairleadError | None = None

    @property
    def is_good(self) -> bool:
        """Whether it was answered well."""
        return self.error is None


class BulkProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far it has come. `total` is known where the input has a length."""

    done: int
    failed: int
    total: int | None = None


OnProgress = Callable[[BulkProgress], None]


class _Broken(NamedTuple):
    """What is no result: the input, or our own code, raised."""

    error: BaseException


async def run_bulk(
    requests: Requests, send: Send, *, at_once: int, on_progress: OnProgress | None = None
) -> AsyncIterator[BulkResult]:
    """Yield results as they come, in no order.

    The input is read as places become free, and at most `at_once` results wait to be taken: whoever takes them slowly
    slows the sending. When it is closed or cancelled, or the input raises, the requests under way are cancelled.
    """
    lane = _Lane(requests, send, at_once)
    workers = [asyncio.create_task(lane.work()) for _ in range(at_once)]
    total = len(requests) if isinstance(requests, Sized) else None
    done = failed = 0
    try:
        while (result := await lane.next_result()) is not None:
            done += 1
            failed += not result.is_good
            if on_progress is not None:
                on_progress(BulkProgress(done=done, failed=failed, total=total))
            yield result
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await lane.close()


class _Lane:
    """The input, which one worker reads at a time, and the results that wait to be taken."""

    def __init__(self, requests: Requests, send: Send, at_once: int) -> None:
        self._source = enumerate_any(requests)
        self._turn = asyncio.Lock()
        self._send = send
        self._results: asyncio.Queue[BulkResult | _Broken | None] = asyncio.Queue(at_once)
        self._working = at_once

    async def next_result(self) -> BulkResult | None:
        """Return a result, or None when there are no more; raise what the input raised."""
        result = await self._results.get()
        if isinstance(result, _Broken):
            raise result.error
        return result

    async def close(self) -> None:
        """Read no more of the input; it is closed by whoever made it."""
        await self._source.aclose()

    async def work(self) -> None:
        """Send one request after the other until the input has no more."""
        try:
            while (item := await self._next_item()) is not None:
                await self._results.put(await self._settle(*item))
            self._working -= 1
            if not self._working:
                await self._results.put(None)
        except Exception as error:  # noqa: BLE001  # it is the input's, or a fault of ours: the caller shall see it
            await self._results.put(_Broken(error))

    async def _next_item(self) -> tuple[int, Request] | None:
        async with self._turn:
            return await anext(self._source, None)

    async def _settle(self, index: int, request: Request) -> BulkResult:
        try:
            if not isinstance(request, Request):
                raise InvalidArgumentError("This is no Request.", hint="Make it with Request.get or Request.post.")
            return BulkResult(index=index, response=await self._send(request))
        except FairleadError as error:
            return BulkResult(index=index, error=without_frames(error))


async def enumerate_any(requests: Requests) -> AsyncGenerator[tuple[int, Request], None]:
    """Yield the requests of either kind of iterable, numbered."""
    index = 0
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield index, request
            index += 1
    else:
        for request in requests:
            yield index, request
            index += 1


def without_frames(error: FairleadError) -> FairleadError:
    """Take the tracebacks off: as data it would keep alive all that the call had in its hands."""
    link: BaseException | None = error
    while link is not None and link.__traceback__ is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error
