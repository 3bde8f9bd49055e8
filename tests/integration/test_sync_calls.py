"""Calls in the background from synchronous code, over a real store and real sockets."""

from __future__ import annotations

from pathlib import Path

from elsewhere import elsewhere
from fairlead.config.read import parse_settings
from fairlead.sync import Fairlead
from raw_server import Peer, serve


async def created(peer: Peer) -> None:
    while True:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\nmade")


def test_a_call_is_accepted_made_and_waited_for(tmp_path: Path) -> None:
    with elsewhere(serve(created)) as vendor:
        text = f"""
[connections.shop]
base_url = "{vendor.url()}"
allow_private = true

[storage]
url = "{tmp_path / "jobs.db"}"
"""
        with Fairlead(parse_settings(text)) as fl:
            call = fl.http("shop").post("/things", json={"a": 1}, background=True, idempotency_key="k")
            assert fl.calls.wait(call, deadline_s=10.0).text == "made"
            assert fl.calls.get(call.id).state == "done"
            assert fl.http("shop").post("/things", json={"a": 1}, idempotency_key="k").text == "made"
            assert not fl.calls.cancel(call.id)
            assert not fl.calls.retry(call.id)
