"""`POST /v1/cache/invalidate`: kept answers are forgotten by their tags."""

from __future__ import annotations

import json

import pytest

from gateway.served import problem, served

PATH = "/v1/cache/invalidate"


async def test_what_has_a_tag_is_forgotten_and_asked_for_anew() -> None:
    async with served() as all_:
        first, kept = await all_.client.search("pasta"), await all_.client.search("pasta")
        await all_.client.search("soup")
        body = json.dumps({"tags": ["recipes.search", "nothing has this"]}).encode()
        answer = await all_.client.ask(PATH, method="POST", body=body)
        again = await all_.client.search("pasta")
        none = await all_.client.ask(PATH, method="POST", body=b'{"tags": ["tenant:nobody"]}')
    assert [each.headers["fairlead-cache"] for each in (first, kept, again)] == ["miss", "hit", "miss"]
    assert (answer.status, json.loads(answer.body)) == (200, {"forgotten": 2})
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(none.body) == {"forgotten": 0}


@pytest.mark.parametrize(
    "body",
    [b"", b"tags", b"[]", b"{}", b'{"tags": "recipes"}', b'{"tags": []}', b'{"tags": [""]}', b'{"tag": ["a"]}',
     b'{"tags": ["a"], "all": true}', b'{"tags": ["' + b"a" * 300_000 + b'"]}'],
)  # fmt: skip
async def test_what_names_no_tag_is_refused(body: bytes) -> None:
    async with served() as all_:
        await all_.client.search("pasta")
        problem(await all_.client.ask(PATH, method="POST", body=body), 400, "invalid_argument")
        kept = await all_.client.search("pasta")
    assert kept.headers["fairlead-cache"] == "hit"


async def test_it_needs_a_key_and_is_a_post() -> None:
    async with served() as all_:
        problem(await all_.client.ask(PATH, method="POST", body=b'{"tags": ["a"]}', key=None), 401, "missing_key")
        problem(await all_.client.ask(PATH), 405, "unknown_method")
