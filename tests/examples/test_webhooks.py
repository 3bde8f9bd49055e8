"""The examples that receive webhooks: each as a server of its own, called as the vendor calls it."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec

from acme_shop import VENDORS
from examples.backdrop import EXAMPLES
from fairlead.model.message import Response, build_request
from fairlead.runtime.ports import SystemClock
from fairlead.storage.sqlite_file import load_sqlite
from fairlead.transport.http import HttpOptions, HttpTransport
from programs import PATIENCE_S, PYTHON, ended, next_line, running
from vendors.acme import signed

PAID = {"id": "evt_1", "type": "order.paid", "subject": "o1", "sequence": 2}
SECRETS = re.search(r"SHOP_SECRET=(\S+) SHOP_NEXT_SECRET=(\S+)", (EXAMPLES / "webhooks.toml").read_text("utf-8"))
GUNICORN = (
    sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--bind", "127.0.0.1:0", "--no-control-socket",
)  # fmt: skip


def environment(directory: Path) -> Mapping[str, str]:
    assert SECRETS
    shutil.copy(EXAMPLES / "webhooks.toml", directory)
    return {
        "HOME": str(directory),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{EXAMPLES}:{VENDORS}",
        "SHOP_SECRET": SECRETS[1],
        "SHOP_NEXT_SECRET": SECRETS[2],
    }


async def send(url: str, *events: dict[str, Any], secret: int = 1) -> int:
    """Send events as the vendor does, signed with one of its secrets."""
    assert SECRETS
    body = msgspec.json.encode(list(events))
    headers = signed(body, at=SystemClock().wall(), secret=SECRETS[secret] if secret else "another")
    transport = HttpTransport(HttpOptions(base_url=url, allow_private=True))
    try:
        request = build_request("POST", "/webhooks/shop", body=body, headers=headers)
        answer = await transport.exchange(request, timeout_s=PATIENCE_S)
    finally:
        await transport.close()
    assert isinstance(answer, Response), answer
    return answer.status


@asynccontextmanager
async def flask(directory: Path) -> AsyncIterator[tuple[Process, str]]:
    """Run the Flask example under gunicorn."""
    command = (*GUNICORN, "webhooks_flask:app")
    async with running(*command, cwd=directory, environment=environment(directory)) as process:
        assert process.stderr
        async with asyncio.timeout(PATIENCE_S):
            while not (listens := re.search(rb"Listening at: (http://\S+)", line := await process.stderr.readline())):
                assert line, "it ended"
        yield process, listens[1].decode()


async def rows(directory: Path, count: int) -> list[Any]:
    """Wait until so many payments are noted."""
    found: list[Any] = []
    with closing(load_sqlite().connect(str(directory / "webhooks.db"))) as database:
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < count:
                await asyncio.sleep(0.01)  # another process writes
                found = database.execute("SELECT * FROM paid ORDER BY event").fetchall()
    return found


async def test_flask_notes_each_payment_once(tmp_path: Path) -> None:
    async with flask(tmp_path) as (process, url):
        assert [await send(url, PAID) for _ in range(3)] == [200, 200, 200]
        assert await send(url, {**PAID, "id": "evt_2"}, secret=2) == 200
        assert await send(url, {**PAID, "id": "evt_3"}, secret=0) == 401
        assert await rows(tmp_path, 2) == [("evt_1", "o1"), ("evt_2", "o1")]
        process.send_signal(signal.SIGTERM)
        assert (await ended(process)).code == 0
    assert await rows(tmp_path, 2) == [("evt_1", "o1"), ("evt_2", "o1")]


async def test_asyncio_acts_on_each_event(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = (*PYTHON, EXAMPLES / "webhooks_asyncio.py", port)
    async with running(*command, cwd=tmp_path, environment=environment(tmp_path)) as process:
        await listens(port)
        assert await send(f"http://127.0.0.1:{port}", PAID) == 200
        assert await next_line(process) == "payment.succeeded o1 shop:evt_1"
        process.send_signal(signal.SIGTERM)
        assert (await ended(process)).err == ""


async def listens(port: str) -> None:
    """Wait until a port answers."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", int(port))
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return
