"""What the clients of vendors need of their surroundings: that nothing stands between them and loopback."""

import pytest


@pytest.fixture(autouse=True)
def _straight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
