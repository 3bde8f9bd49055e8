"""Several clients that share limits and breakers through a real server, which is lost and comes back."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable

import pytest

from fairlead import Fairlead, errors
from fairlead.config.read import parse_settings
from fairlead.observe.events import BreakerChanged, StorageBack, StorageLost
from fairlead.resilience.breaker import State
from programs import ended, script
from programs import running as running_program
from raw_server import EMPTY, Peer, let_the_client_read, reply, serve
from redis_fixtures import servers
from redis_server import PROGRAMS, RedisServer, running
from sharing import PATIENCE_S, clients, get, settings

__all__ = ["servers"]
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("kind", PROGRAMS)
async def test_two_clients_keep_one_limit(kind: str, servers: Callable[[str], RedisServer]) -> None:
    async with serve(reply(EMPTY)) as vendor:
        text = settings(vendor.url(), servers(kind).url, rate="{ requests = 6, per_s = 3600 }")
        async with clients(2, text) as ((a, _), (b, _)):
            for at in range(6):
                assert await get((a, b)[at % 2]) == 200
            for fl in (a, b):
                with pytest.raises(errors.RateLimitedError) as caught:
                    await get(fl)
                assert caught.value.retry_after_s is not None
                assert 3000 < caught.value.retry_after_s < 3700
        assert len(vendor.requests) == 6


async def test_what_was_leased_and_not_used_is_given_back_at_the_end(servers: Callable[[str], RedisServer]) -> None:
    async with serve(reply(EMPTY)) as vendor:
        text = settings(vendor.url(), servers("redis").url, rate="{ requests = 20, per_s = 3600 }")
        for _ in range(4):
            async with clients(1, text) as ((fl, _),):
                assert [await get(fl) for _ in range(5)] == [200] * 5


async def test_a_lost_store_is_told_and_shares_are_kept_and_it_heals() -> None:
    with running() as server:
        async with serve(reply(EMPTY)) as vendor:
            text = settings(vendor.url(), server.url, rate="{ requests = 8, per_s = 3600 }")
            async with clients(2, text) as ((a, told), (b, told_too)):
                assert await get(a) == await get(b) == 200
                await a.shared._count() if a.shared else None
                server.kill()
                lost = await told.wait_for(StorageLost)
                await told_too.wait_for(StorageLost)
                assert isinstance(lost, StorageLost)
                assert (lost.policy, lost.processes) == ("scale", 2)
                # A half of the limit each, and one of that is spent.
                assert [await get(a) for _ in range(3)] == [200] * 3
                with pytest.raises(errors.RateLimitedError):
                    await get(a)
                assert await get(b) == 200
                server.start()
                back = await told.wait_for(StorageBack)
                await told_too.wait_for(StorageBack)
                assert isinstance(back, StorageBack)
                assert back.lost_s > 0
                # The new server knew nothing: 6 of 8 were spent, and both have told it so.
                assert [await get(b) for _ in range(2)] == [200] * 2
                for fl in (a, b):
                    with pytest.raises(errors.RateLimitedError):
                        await get(fl)
            assert len(vendor.requests) == 8


async def test_where_the_settings_say_so_nothing_goes_out_while_it_is_lost() -> None:
    with running() as server:
        async with serve(reply(EMPTY)) as vendor:
            text = settings(
                vendor.url(), server.url, rate="{ requests = 100 }", state='on_loss = "refuse"\nanswer_s = 5'
            )
            async with clients(1, text) as ((fl, told),):
                assert await get(fl) == 200
                server.kill()
                await told.wait_for(StorageLost)
                with pytest.raises(errors.StateLostError):
                    await get(fl)
                server.start()
                await told.wait_for(StorageBack)
                assert await get(fl) == 200


async def test_without_a_server_from_the_start_each_keeps_the_share_that_the_settings_say() -> None:
    with running() as server:
        server.kill()
        async with serve(reply(EMPTY)) as vendor:
            text = settings(vendor.url(), server.url, rate="{ requests = 8, per_s = 3600 }", state="processes = 4")
            async with clients(1, text) as ((fl, told),):
                assert [await get(fl) for _ in range(2)] == [200] * 2
                with pytest.raises(errors.RateLimitedError):
                    await get(fl)
                lost = await told.wait_for(StorageLost)
                assert isinstance(lost, StorageLost)
                assert "no connection" in lost.reason


async def test_a_server_that_hangs_is_lost_too() -> None:
    async with serve(reply(EMPTY)) as vendor, serve(hang) as deaf:
        text = settings(vendor.url(), deaf.url("redis"), rate="{ requests = 8 }", state="answer_s = 0.05")
        async with clients(1, text) as ((fl, told),):
            assert await get(fl) == 200
            await told.wait_for(StorageLost)


async def hang(peer: Peer) -> None:
    await peer.wait_for_end()


async def test_one_client_opens_the_breaker_for_all_and_one_probes() -> None:
    is_well, probed, may_answer = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            if is_well.is_set():
                probed.set()
                await may_answer.wait()
            await peer.send(EMPTY if is_well.is_set() else UNAVAILABLE)

    with running() as server:
        async with serve(script) as vendor:
            breaker = "{ window = 4, min_attempts = 3, open_s = 1, max_open_s = 1 }"
            async with clients(3, settings(vendor.url(), server.url, breaker=breaker)) as made:
                (a, _), (b, told), (c, told_too) = made
                for fl in (a, b, c, a, a):
                    with pytest.raises(errors.UnavailableError):
                        await get(fl)
                await told.wait_for(BreakerChanged)
                await told_too.wait_for(BreakerChanged)
                for fl in (b, c):
                    with pytest.raises(errors.CircuitOpenError):
                        await fl.http("vendor").get("/things", deadline_s=0.2)
                assert len(vendor.requests) == 5
                is_well.set()
                calls = [asyncio.ensure_future(get(fl)) for fl in (a, b, c)]
                await asyncio.wait_for(probed.wait(), PATIENCE_S)
                await let_the_client_read()
                assert len(vendor.requests) == 6, "one of them probes"
                may_answer.set()
                await asyncio.wait(calls, timeout=PATIENCE_S)
                assert 200 in [call.result() for call in calls if not call.exception()]
                assert await get(c) == 200
                for _, each in made:
                    await each.wait_for(BreakerChanged, lambda event: getattr(event, "after", "") == State.CLOSED)


def commands(server: RedisServer) -> int:
    """Count the commands that the server was ever given, but for our own questions."""
    calls = re.findall(r"cmdstat_([a-z|]+):calls=(\d+)", server.say("INFO", "commandstats"))
    return sum(int(number) for name, number in calls if name not in {"info", "config|resetstat", "config", "quit"})


async def test_a_closed_breaker_costs_no_command() -> None:
    with running() as server:
        async with serve(reply(EMPTY)) as vendor, clients(1, settings(vendor.url(), server.url)) as ((fl, _),):
            await get(fl)
            server.say("CONFIG", "RESETSTAT")
            for _ in range(100):
                await get(fl)
            assert commands(server) == 0


HAMMER = """
    import asyncio, sys, time
    from fairlead.resilience.shared_rate import SharedRate
    from fairlead.config.read import parse_settings
    from fairlead.config.sources import ProcessSources
    from fairlead.runtime.ports import Ports
    from fairlead.runtime.shared import open_state
    from fairlead.storage.leases import Span

    url, amount, until = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    wanted = parse_settings(f'[state]\\nurl = "{url}"\\nanswer_s = 5').state
    state = open_state(wanted, source="x", sources=ProcessSources({}), ports=Ports())
    rate = state.rate("vendor", (Span(amount, 1.0),))
    turns = []

    async def call():
        while time.monotonic() < until:
            if await rate.take(longest_wait_s=30) is None:
                raise SystemExit("a turn was refused")
            turns.append(time.monotonic())

    async def main():
        await asyncio.gather(*(call() for _ in range(int(sys.argv[4]))))
        await state.close()

    asyncio.run(main())
    print(*turns)
"""


@pytest.mark.parametrize(("amount", "processes", "for_s"), [(200, 4, 4.0), (2, 3, 6.0)])
async def test_processes_that_hammer_one_limit_never_pass_it_and_use_it(
    amount: int, processes: int, for_s: float
) -> None:
    with running() as server:
        until = asyncio.get_running_loop().time() + for_s + 1.5
        environment = {"PATH": os.environ["PATH"]}  # noqa: TID251  # for a program of its own
        turns: list[list[float]] = []

        async def hammer() -> None:
            command = script(HAMMER, server.url, str(amount), str(until), "3" if amount < 10 else "20")
            async with running_program(*command, environment=environment) as program:
                told = await ended(program)
                assert (told.code, told.err) == (0, "")
                turns.append([float(each) for each in told.out.split()])

        await asyncio.gather(*(hammer() for _ in range(processes)))
    vendor = sorted(turn for each in turns for turn in each)
    # A process is told to go, and only then looks at the clock: two turns may look closer than they are by that much.
    most = max(sum(1 for turn in vendor if at <= turn < at + 0.99) for at in vendor)
    assert most <= amount
    # All have begun a second before the end of the first.
    since = until - for_s
    used = sum(1 for turn in vendor if since <= turn < until)
    assert used >= 0.97 * amount * for_s - 1
    shares = [sum(1 for turn in each if since <= turn < until) for each in turns]
    # Nobody starves; how even it is depends on what a busy machine gives each.
    assert min(shares) >= 0.25 * used / processes


FORK = """
    import os, sys
    from fairlead.config.read import parse_settings
    from fairlead.sync import Fairlead
    from fairlead import errors

    fl = Fairlead(parse_settings(sys.argv[1]))

    def count():
        done = 0
        try:
            while True:
                fl.http("vendor").get("/things", deadline_s=5)
                done += 1
        except errors.RateLimitedError:
            return done

    assert fl.http("vendor").get("/things").status == 200
    worker = os.fork()
    if worker == 0:
        fl.http("vendor").get("/things")
        fl.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 0
    print(count())
    fl.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
async def test_after_a_fork_parent_and_child_share() -> None:
    with running() as server:
        async with serve(reply(EMPTY)) as vendor:
            text = settings(vendor.url(), server.url, rate="{ requests = 10, per_s = 3600 }")
            async with running_program(*script(FORK, text)) as program:
                told = await ended(program)
            assert (told.code, told.err) == (0, "")
            assert told.out.split() == ["8"]
        assert len(vendor.requests) == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[state]\npassword = "env:P"', "state.password is set, but state.url is not"),
        ('[state]\nca_file = "ca.pem"', "state.ca_file is set, but state.url is not"),
        ('[state]\nurl = "redis://h"\npassword = "env:GONE"', "the environment has no GONE"),
        ('[state]\nurl = "redis://h"\npassword = "plain"', "state.password holds a secret in plain text"),
        ('[state]\nurl = "redis://:x@h"', "state.url holds a password"),
        ('[state]\nurl = "redis://h"\nca_file = "x"', "state.url does not use TLS"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(errors.ConfigError, match=re.escape(said)) as caught:
        Fairlead(parse_settings(text), environment={"P": "p"})
    assert "plain'" not in str(caught.value)


async def test_a_client_that_was_closed_begins_again() -> None:
    with running() as server:
        async with serve(reply(EMPTY)) as vendor:
            text = settings(vendor.url(), server.url, rate="{ requests = 3, per_s = 3600 }")
            async with clients(1, text) as ((fl, _),):
                assert await get(fl) == 200
                await fl.close()
                assert await get(fl) == await get(fl) == 200
                with pytest.raises(errors.RateLimitedError):
                    await get(fl)
