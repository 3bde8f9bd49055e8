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


@pytest.fixture(params=CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    made = request.param
    assert isinstance(made, Client)
    return made
