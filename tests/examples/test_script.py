"""The plain script."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from examples.backdrop import EXAMPLES, backdrop
from fairlead.testing.faults import Faults
from programs import PATIENCE_S, PYTHON, ended, run, running

SCRIPT = (*PYTHON, EXAMPLES / "script.py")


async def test_it_prints_what_could_be_cooked(tmp_path: Path) -> None:
    async with backdrop(tmp_path) as scene:
        told = await run(*SCRIPT, "lentil", "soup", cwd=tmp_path, environment=scene.environment)
        assert (told.code, told.err) == (0, "")
        lines = told.out.splitlines()
        assert len(lines) == 3
        assert all(line.endswith("kcal (spoonacular)") for line in lines)
        await scene.spoonacular.go_down()
        told = await run(*SCRIPT, "lentil", "soup", cwd=tmp_path, environment=scene.environment)
        assert (told.code, told.err) == (0, "")
        assert told.out.count("kcal (edamam)") == 3


async def test_it_says_why_it_cannot(tmp_path: Path) -> None:
    async with backdrop(tmp_path) as scene:
        for fake in (scene.spoonacular, scene.edamam):
            fake.faults = Faults(error_share=1, error_status=401)
        told = await run(*SCRIPT, cwd=tmp_path, environment=scene.environment)
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("recipes.search: No connection could serve this. spoonacular: ")
    assert told.err.endswith("(unavailable)\n")
    assert told.err.count("\n") == 1


async def test_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    async with backdrop(tmp_path) as scene:
        scene.spoonacular.faults = Faults(hang_share=1)
        async with running(*SCRIPT, cwd=tmp_path, environment=scene.environment) as process:
            async with asyncio.timeout(PATIENCE_S):
                while not scene.spoonacular.books.requests:  # noqa: ASYNC110  # turns of the loop, not time
                    await asyncio.sleep(0)
            process.send_signal(signal.SIGINT)
            assert await ended(process) == (130, "", "")
        assert not scene.edamam.books.requests
