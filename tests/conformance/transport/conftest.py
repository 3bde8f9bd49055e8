"""One suite, every client: what a transport must do, whatever library and protocol it is made of."""

from collections.abc import Iterator

import pytest
import trustme

from stages import CLIENTS, Authority, Client

# What a script of the server raises that has had its say, or is stopped.
_OF_THE_SERVER = (
    "Unhandled exception in client_connected_cb",
    "unhandled exception during asyncio.run() shutdown",
    "Exception in callback StreamReaderProtocol.connection_made",
)


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


@pytest.fixture(autouse=True)
def _nothing_goes_wrong_unseen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """See that no callback has raised: the event loop only writes that to its log."""
    yield
    for phase in ("setup", "call"):
        told = [record.getMessage() for record in caplog.get_records(phase) if record.name == "asyncio"]
        assert not [text for text in told if not text.startswith(_OF_THE_SERVER)]
