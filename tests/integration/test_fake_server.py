"""The fakes' server on the wire: every fault looks as it should, and nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any, NamedTuple

import pytest

from fairlead.testing.clock import FakeClock
from fairlead.testing.fakes.spoonacular import API_KEY, SpoonacularFake
from fairlead.testing.faults import Fault, Faults

PATIENCE_S = 2.0
WIDGET = "/recipes/700001/nutritionWidget.json"


class Answer(NamedTuple):
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """A client that sees bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def write(self, method: str, path: str, body: bytes = b"") -> None:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {API_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
        await self.write_raw(head.encode() + body)

    async def write_raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def read(self, *, is_head: bool = False) -> Answer:
        """Read one answer; raise `ConnectionError` or `IncompleteReadError` where there is no whole one."""
        async with asyncio.timeout(PATIENCE_S):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            length = 0 if is_head else int(headers["content-length"])
            return Answer(int(status.split()[1]), headers, await self._reader.readexactly(length))

    async def read_rest(self) -> tuple[bytes, bool]:
        """Read what comes until the connection ends; return it, and whether it ended by a reset."""
        seen = b""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while data := await self._reader.read(65536):
                    seen += data
            except ConnectionResetError:
                return seen, True
        return seen, False

    async def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        await self.write(method, path, body)
        return await self.read(is_head=method == "HEAD")

    def leave(self) -> None:
        self._writer.transport.abort()


class NeverClock(FakeClock):
    """A clock whose waits do not end."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.Event().wait()


@asynccontextmanager
async def connect(fake: SpoonacularFake) -> AsyncIterator[Wire]:
    host, port = fake.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


def make(**settings: Any) -> SpoonacularFake:
    usual: dict[str, Any] = {"random": Random(7), "clock": FakeClock()}  # noqa: S311  # chance for faults
    return SpoonacularFake(**usual | settings)


async def until(is_so: Callable[[], bool]) -> None:
    """Give the server, which shares the event loop, the turns it needs."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110  # turns of the loop, not time
            await asyncio.sleep(0)


# --- Speaking HTTP ------------------------------------------------------------------------------------------------


async def test_a_connection_is_kept_for_the_next_request() -> None:
    async with make() as fake, connect(fake) as wire:
        for _ in range(3):
            assert (await wire.ask("GET", WIDGET)).status == 200
        assert fake.connections == 1


async def test_requests_sent_ahead_are_answered_in_their_order() -> None:
    async with make() as fake, connect(fake) as wire:
        for path in (WIDGET, "/recipes/1/information", WIDGET, "/_fake/books"):
            await wire.write("GET", path)
        assert [(await wire.read()).status for _ in range(4)] == [200, 404, 200, 200]


async def test_a_request_in_pieces_is_put_together() -> None:
    async with make() as fake, connect(fake) as wire:
        for piece in (b"GET ", WIDGET.encode(), b" HTTP/1.1\r\nHost: x\r\nX-Api-", b"Key: fake-key\r\n", b"\r\n"):
            await wire.write_raw(piece)
        assert (await wire.read()).status == 200


async def test_the_connection_is_closed_when_the_client_asks_for_it() -> None:
    async with make() as fake, connect(fake) as wire:
        await wire.write_raw(f"GET {WIDGET} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        seen, is_reset = await wire.read_rest()
    assert seen.startswith(b"HTTP/1.1 401")
    assert not is_reset


async def test_head_has_no_body() -> None:
    async with make() as fake, connect(fake) as wire:
        assert (await wire.ask("HEAD", WIDGET)).body == b""
        assert (await wire.ask("GET", WIDGET)).status == 200


async def test_what_is_not_http_is_refused() -> None:
    async with make() as fake, connect(fake) as wire:
        await wire.write_raw(b"hello\r\n\r\n")
        seen, _ = await wire.read_rest()
        assert seen.startswith(b"HTTP/1.1 400")


async def test_many_clients_are_served_at_once() -> None:
    async def ask_often(fake: SpoonacularFake) -> list[int]:
        async with connect(fake) as wire:
            return [(await wire.ask("GET", WIDGET)).status for _ in range(5)]

    async with make() as fake:
        answers = await asyncio.gather(*(ask_often(fake) for _ in range(20)))
        assert answers == [[200] * 5] * 20
        assert fake.books.requests == fake.books.answered_ok == 100


# --- Faults -------------------------------------------------------------------------------------------------------


async def test_a_reset_comes_in_the_middle_of_the_body() -> None:
    async with make(faults=Faults(reset_share=1)) as fake, connect(fake) as wire:
        await wire.write("GET", WIDGET)
        seen, is_reset = await wire.read_rest()
    head, _, body = seen.partition(b"\r\n\r\n")
    promised = re.search(rb"Content-Length: (\d+)", head)
    assert is_reset
    assert promised is not None
    assert 0 < len(body) < int(promised[1])
    assert fake.books.faults == {Fault.RESET: 1}
    assert fake.books.answered_ok == 0


async def test_a_lost_answer_comes_after_the_work_was_done() -> None:
    async with make(faults=Faults(lost_share=1)) as fake, connect(fake) as wire:
        await wire.write("GET", WIDGET)
        assert await wire.read_rest() == (b"", True)
    assert fake.books.faults == {Fault.LOST: 1}
    assert (fake.books.statuses, fake.books.answered_ok) == ({200: 1}, 0)


async def test_a_hanging_vendor_says_nothing_until_the_client_leaves() -> None:
    async with make(faults=Faults(hang_share=1)) as fake, connect(fake) as wire:
        await wire.write("GET", WIDGET)
        await until(lambda: fake.books.faults == {Fault.HANG: 1})
        assert fake.connections == 1
        wire.leave()
        await until(lambda: fake.connections == 0)
        assert fake.books.statuses == {}


async def test_a_stop_ends_hanging_connections_with_a_reset() -> None:
    async with make(faults=Faults(hang_share=1)) as fake, connect(fake) as wire, connect(fake) as idle:
        await wire.write("GET", WIDGET)
        await until(lambda: fake.books.faults == {Fault.HANG: 1} and fake.connections == 2)
        await fake.stop()
        assert fake.connections == 0
        assert await wire.read_rest() == (b"", True)
        assert await idle.read_rest() == (b"", True)


async def test_a_stop_ends_a_wait() -> None:
    clock = NeverClock()
    async with make(clock=clock, faults=Faults(latency_s=1)) as fake, connect(fake) as wire:
        await wire.write("GET", WIDGET)
        await until(lambda: clock.slept == [1])
        await fake.stop()
        assert await wire.read_rest() == (b"", True)


async def test_a_malformed_answer_claims_to_be_whole() -> None:
    async with make(faults=Faults(malformed_share=1)) as fake, connect(fake) as wire:
        answer = await wire.ask("GET", WIDGET)
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        with pytest.raises(ValueError, match=r"line 1 column"):
            answer.json()
        assert (await wire.ask("GET", WIDGET)).status == 200


async def test_the_wrong_type_is_a_page() -> None:
    async with make(faults=Faults(wrong_type_share=1)) as fake, connect(fake) as wire:
        answer = await wire.ask("GET", WIDGET)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.body.startswith(b"<!doctype html>")


async def test_errors_have_their_status_and_retry_after() -> None:
    faults = Faults(error_share=1, error_status=503, retry_after_s=0.2)
    async with make(faults=faults) as fake, connect(fake) as wire:
        answer = await wire.ask("GET", WIDGET)
    assert (answer.status, answer.headers["retry-after"], answer.json()["code"]) == (503, "1", 503)


async def test_a_vendor_flaps_by_the_clock() -> None:
    clock = FakeClock()
    async with make(clock=clock, faults=Faults(flap_up_s=10, flap_down_s=5)) as fake:
        seen: list[int | str] = []
        for _ in range(6):
            async with connect(fake) as wire:
                try:
                    seen.append((await wire.ask("GET", WIDGET)).status)
                except ConnectionResetError:
                    seen.append("down")
            clock.advance(5)
    assert seen == [200, 200, "down", 200, 200, "down"]
    assert fake.books.faults == {Fault.DOWN: 2}


async def test_a_vendor_that_is_down_refuses_and_comes_back_at_the_same_address() -> None:
    async with make() as fake:
        address = fake.url
        async with connect(fake) as wire:
            assert (await wire.ask("GET", WIDGET)).status == 200
            await fake.go_down()
            assert await wire.read_rest() == (b"", True)
        with pytest.raises(ConnectionRefusedError):
            async with connect(fake):
                pass
        await fake.come_up()
        assert fake.url == address
        async with connect(fake) as wire:
            assert (await wire.ask("GET", WIDGET)).status == 200
        assert fake.books.answered_ok == 2


async def test_latency_is_waited_for_on_the_clock() -> None:
    clock = FakeClock()
    async with make(clock=clock, faults=Faults(latency_s=0.3)) as fake, connect(fake) as wire:
        await wire.ask("GET", WIDGET)
        await wire.ask("GET", "/_fake/books")
    assert clock.slept == [0.3]


# --- The admin page -----------------------------------------------------------------------------------------------


async def test_faults_are_set_and_read_over_the_wire() -> None:
    async with make() as fake, connect(fake) as wire:
        answer = await wire.ask("PUT", "/_fake/faults", b'{"error_share": 1, "error_status": 502}')
        assert answer.status == 200
        assert fake.faults == Faults(error_share=1, error_status=502)
        assert (await wire.ask("GET", WIDGET)).status == 502
        read = (await wire.ask("GET", "/_fake/faults")).json()
        assert Faults(**read) == fake.faults


@pytest.mark.parametrize("body", [b"", b"{", b'{"error_share": 2}', b'{"errors": 1}', b'{"hang_share": "often"}'])
async def test_faults_that_make_no_sense_change_nothing(body: bytes) -> None:
    async with make() as fake, connect(fake) as wire:
        answer = await wire.ask("PUT", "/_fake/faults", body)
        assert answer.status == 400
        assert answer.json()["message"]
        assert fake.faults == Faults()


async def test_the_books_tell_what_happened() -> None:
    async with make() as fake, connect(fake) as wire:
        for path in (WIDGET, WIDGET, "/recipes/1/information", "/nowhere"):
            await wire.ask("GET", path)
        books = (await wire.ask("GET", "/_fake/books")).json()
    assert books["requests"] == 4
    assert books["operations"] == {"getRecipeNutritionWidgetByID": 2, "getRecipeInformation": 1, "unknown": 1}
    assert books["statuses"] == {"200": 2, "404": 2}
    assert books["answered_ok"] == 2


async def test_a_reset_forgets_faults_books_and_quotas() -> None:
    async with make(points_per_day=1) as fake, connect(fake) as wire:
        await wire.ask("GET", WIDGET)
        assert (await wire.ask("GET", WIDGET)).status == 402
        await wire.ask("PUT", "/_fake/faults", b'{"error_share": 1}')
        assert (await wire.ask("POST", "/_fake/reset")).json()["requests"] == 0
        assert fake.faults == Faults()
        assert (await wire.ask("GET", WIDGET)).status == 200


@pytest.mark.parametrize(
    "faults",
    [
        Faults(reset_share=1, latency_s=9),
        Faults(hang_share=1),
        Faults(malformed_share=1),
        Faults(flap_up_s=1e-9, flap_down_s=1e9, is_throttled=True),
    ],
)
async def test_the_admin_page_has_no_faults(faults: Faults) -> None:
    clock = FakeClock()
    async with make(clock=clock, faults=faults) as fake, connect(fake) as wire:
        clock.advance(1)
        assert (await wire.ask("GET", "/_fake/books")).json()["requests"] == 0
        assert (await wire.ask("PUT", "/_fake/faults", b"{}")).status == 200
        assert (await wire.ask("GET", WIDGET)).status == 200
    assert clock.slept == []


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/_fake/faults"), ("GET", "/_fake/"), ("GET", "/_fake/reset")])
async def test_the_admin_page_has_nothing_else(method: str, path: str) -> None:
    async with make() as fake, connect(fake) as wire:
        assert (await wire.ask(method, path)).status == 404


# --- Its life -----------------------------------------------------------------------------------------------------


async def test_starting_and_stopping_twice_does_no_harm() -> None:
    fake = make()
    with pytest.raises(RuntimeError, match="address"):
        _ = fake.url
    await fake.stop()
    await fake.start()
    await fake.start()
    async with connect(fake) as wire:
        assert (await wire.ask("GET", WIDGET)).status == 200
    await fake.stop()
    await fake.stop()


async def test_a_port_that_is_taken_is_said_each_time() -> None:
    async with make() as fake:
        second = make(port=int(fake.url.rsplit(":", 1)[1]))
        for _ in range(2):
            with pytest.raises(OSError, match="address already in use"):
                await second.start()
