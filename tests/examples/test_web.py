"""Flask and Django under gunicorn: loaded once, forked twice, and asked over HTTP."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from examples.backdrop import Backdrop, backdrop
from fairlead.model.exchange import Broken
from fairlead.model.message import Request, Response
from fairlead.runtime.ports import SystemClock
from fairlead.testing.fakes.spoonacular import SpoonacularFake
from fairlead.testing.faults import Faults
from fairlead.transport.http import HttpOptions, HttpTransport
from programs import PATIENCE_S, Ended, ended, running

FLASK, DJANGO = "flask_app:app", "django_app:application"
GUNICORN = (
    sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--bind", "127.0.0.1:0", "--no-control-socket",
    "--access-logfile", "-", "--access-logformat", "served by %(p)s",
)  # fmt: skip


class Site(NamedTuple):
    """A running server."""

    process: Process
    transport: HttpTransport

    async def get(self, path: str, *, timeout_s: float = PATIENCE_S, **query: str) -> Response:
        """Ask it as `abc`."""
        request = Request.get(path, query=query, headers={"x-request-id": "abc"})
        answer = await self.transport.exchange(request, timeout_s=timeout_s)
        assert not isinstance(answer, Broken), answer
        return answer

    async def stop(self) -> Ended:
        """Let it end in order."""
        await self.transport.close()
        self.process.send_signal(signal.SIGTERM)
        return await ended(self.process)


@asynccontextmanager
async def serving(application: str, scene: Backdrop) -> AsyncIterator[Site]:
    """Start the server, and wait until it listens."""
    async with running(*GUNICORN, application, cwd=scene.directory, environment=scene.environment) as process:
        assert process.stderr
        async with asyncio.timeout(PATIENCE_S):
            while not (listens := re.search(rb"Listening at: (http://\S+)", line := await process.stderr.readline())):
                assert line, "it ended"
        transport = HttpTransport(HttpOptions(base_url=listens[1].decode(), allow_private=True))
        yield Site(process, transport)
        await transport.close()


class Together(SystemClock):
    """A clock by which answers take until two are under way."""

    def __init__(self) -> None:
        self._two = asyncio.Barrier(2)

    async def sleep(self, seconds: float) -> None:  # noqa: ARG002  # the other decides
        """Wait for the other."""
        await self._two.wait()


@pytest.mark.parametrize("application", [FLASK, DJANGO])
async def test_a_client_made_before_the_fork_serves_in_every_worker(application: str, tmp_path: Path) -> None:
    patient = SpoonacularFake(clock=Together(), faults=Faults(latency_s=1))
    async with backdrop(tmp_path, spoonacular=patient) as scene, serving(application, scene) as site:
        answers = await asyncio.gather(*(site.get("/recipes", q=word) for word in ("soup", "pasta")))
        assert [answer.status for answer in answers] == [200, 200]
        assert [answer.json()["served_by"] for answer in answers] == ["spoonacular"] * 2
        told = await site.stop()
    assert told.code == 0
    workers = set(re.findall(r"served by <?(\d+)", told.out))
    assert len(workers) == 2
    assert str(site.process.pid) not in workers


@pytest.mark.parametrize("application", [FLASK, DJANGO])
async def test_errors_become_answers(application: str, tmp_path: Path) -> None:
    async with backdrop(tmp_path) as scene, serving(application, scene) as site:
        for fake in (scene.spoonacular, scene.edamam):
            await fake.go_down()
        answer = await site.get("/recipes", q="soup")
        assert (answer.status, answer.json()["error"]) == (503, "unavailable")
        assert answer.json()["call_id"]
        assert answer.headers["retry-after"].isdigit()
        await scene.edamam.come_up()
        answer = await site.get("/recipes", q="soup")
        assert (answer.status, answer.json()["served_by"]) == (200, "edamam")


async def test_flask_tells_a_missing_recipe_from_a_bad_question(tmp_path: Path) -> None:
    async with backdrop(tmp_path) as scene, serving(FLASK, scene) as site:
        found = (await site.get("/recipes", q="soup")).json()["recipes"][0]
        assert (await site.get(f"/recipes/{found['id']}")).json()["title"] == found["title"]
        answers = [await site.get(f"/recipes/{ref}") for ref in ("spoonacular:1", "nonsense")]
        assert [(answer.status, answer.json()["error"]) for answer in answers] == [
            (404, "not_found"),
            (400, "invalid_argument"),
        ]


@pytest.mark.parametrize(
    ("application", "said"),
    [(FLASK, '"correlation_id":"abc","operation":"recipes.search"'), (DJANGO, "INFO:fairlead:abc recipes.search ok")],
)
async def test_the_id_of_a_request_goes_through(application: str, said: str, tmp_path: Path) -> None:
    async with backdrop(tmp_path) as scene, serving(application, scene) as site:
        assert (await site.get("/recipes", q="soup")).status == 200
        assert said in (await site.stop()).err


async def test_a_deadline_is_kept(tmp_path: Path) -> None:
    async with backdrop(tmp_path) as scene, serving(DJANGO, scene) as site:
        for fake in (scene.spoonacular, scene.edamam):
            fake.faults = Faults(hang_share=1)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await site.get("/recipes", q="soup")).status == 503
        assert 2.5 < loop.time() - began < 10
