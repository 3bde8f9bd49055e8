"""Calls in the background, by HTTP: accepted once durable, made by the gateway's own worker."""

from __future__ import annotations

import json
from pathlib import Path

from gateway.proxied import Answer, proxied
from raw_server import Peer

ASYNC = "prefer: respond-async"


def storage(tmp_path: Path) -> str:
    return f'\n[storage]\nurl = "{tmp_path / "jobs.db"}"\n'


async def created(peer: Peer) -> None:
    while True:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nmade")


def content(answer: Answer) -> dict[str, object]:
    found: dict[str, object] = json.loads(answer.body)
    return found


async def test_a_proxied_request_is_accepted_made_and_its_answer_kept(tmp_path: Path) -> None:
    async with proxied(created, gateway=storage(tmp_path)) as stage:
        accepted = await stage.caller.ask("POST /proxy/shop/things", ASYNC, body=b'{"a": 1}')
        assert accepted.status == 202
        where = accepted.headers["location"]
        assert where == f"/v1/calls/{content(accepted)['id']}"
        made = await stage.caller.ask(f"GET {where}/answer")
        assert (made.status, made.body, made.headers["content-type"]) == (201, b"made", "text/plain")
        stands = content(await stage.caller.ask(f"GET {where}"))
        assert (stands["state"], stands["outcome"], stands["operation"]) == ("done", "done", "http.post")
        listed = content(await stage.caller.ask("GET /v1/calls?state=done&limit=5"))
        assert listed == {"calls": [stands]}
        assert content(await stage.caller.ask(f"DELETE {where}")) == {"cancelled": False}
        assert content(await stage.caller.ask(f"POST {where}/retry")) == {"retried": False}


async def test_a_call_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    async with proxied(created, gateway=storage(tmp_path)) as stage:
        gone = await stage.caller.ask("GET /v1/calls/nothing")
        assert (gone.status, gone.headers["fairlead-error"]) == (404, "unknown_call")
        wrong = await stage.caller.ask("GET /v1/calls?state=lost")
        assert (wrong.status, wrong.headers["fairlead-error"]) == (400, "invalid_argument")
