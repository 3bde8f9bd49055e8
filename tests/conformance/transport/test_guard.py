"""The host guard over real sockets: what is checked is what is connected."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fairlead.model.exchange import Broken
from fairlead.model.message import Response
from fairlead.model.outcome import Effect, Failure, Phase
from fairlead.transport.guard import Network
from stages import PATIENCE_S, Authority, Client, request_for
from talks import FINE, HANG_UP

OURS, FORBIDDEN = "127.0.0.1", "127.0.0.2"


def may_reach(address: str) -> bool:
    """Take one loopback address for the public internet, and the other for what hides behind it."""
    return address == OURS


class Fickle:
    """A resolver that says something else each time, as one does whose owner wants to get at somebody's insides."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        assert (host, port > 0) == ("shop.test", True)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "127.1"])  # noqa: S104
async def test_an_address_that_is_written_as_one_is_checked_too(
    host: str, client: Client, authority: Authority
) -> None:
    async with client.serve(authority, FINE) as (server, wanted):
        scheme = wanted.base_url.partition(":")[0]
        blocked = wanted.__class__(base_url=f"{scheme}://{host}:{server.port}", ca_file=wanted.ca_file)
        result = await client.exchange(blocked, request_for(Effect.ONCE))
    assert isinstance(result, Broken)
    assert result.failure in {Failure.BLOCKED, Failure.DNS}  # one library takes `127.1` for no address at all
    assert not result.phase.was_sent
    assert server.connections == 0


async def test_a_resolver_that_changes_its_mind_gains_nothing(client: Client, authority: Authority) -> None:
    """The answer that was checked is connected; nobody asks again in between."""
    fickle = Fickle([OURS], [FORBIDDEN])
    async with client.serve(authority, FINE, host="shop.test", allow_private=False) as (server, wanted):
        transport = client.make(wanted, network=Network(resolve=fickle, may_reach=may_reach))
        for _ in range(3):
            result = await transport.exchange(request_for(Effect.READ), timeout_s=PATIENCE_S)
            assert isinstance(result, Response)
        assert (fickle.asked, server.connections) == (1, 1)
        await transport.close()


async def test_its_next_answer_is_checked_anew(client: Client, authority: Authority) -> None:
    fickle = Fickle([OURS], [FORBIDDEN])
    network = Network(resolve=fickle, may_reach=may_reach)
    results = []
    async with client.serve(authority, FINE, host="shop.test", allow_private=False) as (server, wanted):
        for _ in range(2):
            transport = client.make(wanted, network=network)
            results.append(await transport.exchange(request_for(Effect.ONCE), timeout_s=PATIENCE_S))
            await transport.close()
    assert isinstance(results[0], Response)
    assert results[1] == Broken(Failure.BLOCKED, Phase.CONNECTING, f"{wanted.base_url} (not a public address)")
    assert (fickle.asked, server.connections) == (2, 1)


async def test_a_new_connection_of_the_same_pool_is_checked_anew(client: Client, authority: Authority) -> None:
    fickle = Fickle([OURS], [FORBIDDEN])
    async with client.serve(authority, HANG_UP, host="shop.test", allow_private=False) as (server, wanted):
        transport = client.make(wanted, network=Network(resolve=fickle, may_reach=may_reach))
        for _ in range(3):
            assert isinstance(await transport.exchange(request_for(Effect.READ), timeout_s=PATIENCE_S), Broken)
        await transport.close()
    # A library may remember the first answer for a while; what it may not do is connect to one that was not checked.
    assert server.connections in {1, 3}
    assert len(server.requests) == server.connections


async def test_of_several_addresses_only_the_public_one_is_connected(client: Client, authority: Authority) -> None:
    network = Network(resolve=Fickle([FORBIDDEN, OURS]), may_reach=may_reach)
    async with client.serve(authority, FINE, host="shop.test", allow_private=False) as (server, wanted):
        transport = client.make(wanted, network=network)
        assert isinstance(await transport.exchange(request_for(Effect.READ), timeout_s=PATIENCE_S), Response)
        await transport.close()
    assert server.connections == 1


async def test_a_name_without_addresses_is_not_found(client: Client, authority: Authority) -> None:
    async with client.serve(authority, FINE, host="shop.test") as (server, wanted):
        transport = client.make(wanted, network=Network(resolve=Fickle([])))
        result = await transport.exchange(request_for(Effect.ONCE), timeout_s=PATIENCE_S)
        await transport.close()
    assert isinstance(result, Broken)
    assert (result.failure, result.phase.was_sent) == (Failure.DNS, False)
    assert server.connections == 0
