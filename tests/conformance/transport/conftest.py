"""One suite, every client: what a transport must do, whatever library and protocol it is made of."""

import pytest
import trustme

from stages import CLIENTS, Authority, Client


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(file))
    return Authority(ca, str(file))


IN_UVLOOP = [
    pytest.param(client, marks=pytest.mark.uvloop, id=f"{client.name}-uvloop")
    for client in CLIENTS
    if client.name == "http1"  # uvloop's sockets go by the same protocol; the other client's streams are asyncio's own
]


@pytest.fixture(params=[*CLIENTS, *IN_UVLOOP], ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    made = request.param
    assert isinstance(made, Client)
    return made
