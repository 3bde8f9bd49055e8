"""Who may use the gateway."""

from __future__ import annotations

import pytest

from gateway.served import KEY, problem, served

pytestmark = pytest.mark.uvloop  # as `fairlead serve` runs

OTHER_KEY = "canary-second-key"


@pytest.mark.parametrize(
    "headers",
    [
        {"fairlead-key": KEY},
        {"fairlead-key": OTHER_KEY},
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer {OTHER_KEY}"},
    ],
)
async def test_a_key_opens_in_either_header(headers: dict[str, str]) -> None:
    async with served(keys=[KEY, OTHER_KEY]) as all_:
        assert (await all_.client.search(key=None, headers=headers)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"fairlead-key": ""},
        {"fairlead-key": "wrong"},
        {"fairlead-key": f"{KEY}x"},
        {"fairlead-key": "sch\u00f6n"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {KEY}"},
        {"authorization": KEY},
    ],
)
async def test_without_a_key_there_is_nothing(headers: dict[str, str]) -> None:
    async with served() as all_:
        for path in ("/v1/recipes/search", "/metrics", "/elsewhere", "/healthz/"):
            answer = await all_.client.ask(path, {"q": "pasta"}, key=None, headers=headers)
            assert "fairlead-key" in problem(answer, 401, "missing_key")["detail"]
            assert answer.headers["www-authenticate"] == "Bearer"
            assert KEY not in answer.text
        assert not all_.first.books.requests


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_need_no_key(path: str) -> None:
    async with served() as all_:
        assert (await all_.client.ask(path, key=None)).status == 200
