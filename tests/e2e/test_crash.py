"""An application that is killed in the middle of its work loses nothing that it acknowledged, nor does it twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import crashes
from postgres_server import running

KILLS = 3


async def test_on_sqlite(tmp_path: Path) -> None:
    tally = await crashes.survive(crashes.sqlite(tmp_path), tmp_path, times=KILLS, seed=7)
    assert tally.is_good, tally


def test_on_postgresql(tmp_path: Path) -> None:
    with running() as server:
        opened = crashes.postgres(server.new_url())
        tally = asyncio.run(crashes.survive(opened, tmp_path, times=KILLS, seed=7))
    assert tally.is_good, tally
