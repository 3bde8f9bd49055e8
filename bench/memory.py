"""Measure that memory does not grow with the work: ten thousand pages, a hundred thousand requests, 5 GB each way.

Each runs in a process of its own. What it holds after a short piece of the work is what it needs; the growth of its
peak from there on is printed. And how much a gateway holds that serves, and has nothing to do.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from fairlead import Fairlead
from fairlead.config.read import parse_settings
from fairlead.model.message import Request
from fairlead.runtime.http import HttpFacade
from harness import Limit, Sheet, elsewhere
from proxy import KEY, run_gateway
from server import serve

MB = 1024 * 1024
GB = 1024 * MB
FLAT = Limit(at_most=8)
IDLE = Limit(at_most=90)
# ru_maxrss is in bytes there, and elsewhere in KB.
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024

CONFIG = """
[connections.local]
base_url = "{url}"
allow_private = true
auth = {{ scheme = "none" }}
pagination = {{ style = "page", items_at = "items", pages_at = "pages", max_pages = 1000000 }}
"""

GATEWAY = """
[gateway]
api_keys = ["env:FAIRLEAD_KEY"]

[connections.spoonacular]
provider = "spoonacular"
credentials = { api_key = "env:TOKEN" }

[connections.edamam]
provider = "edamam"
credentials = { app_id = "env:TOKEN", app_key = "env:TOKEN" }

[connections.local]
base_url = "URL"
allow_private = true
auth = { scheme = "bearer" }
credentials = { token = "env:TOKEN" }
rate = { requests = 100, per_s = 1 }

[routes.recipes]
connections = ["spoonacular", "edamam"]
"""


async def paginate(http: HttpFacade, size: int, _: Path) -> None:
    """Read so many pages."""
    seen = 0
    async for page in http.paginate(f"/pages/{size}"):
        seen += len(page.items)
    _check(seen, size * 20)


async def bulk(http: HttpFacade, size: int, _: Path) -> None:
    """Send so many requests."""
    seen = 0
    async for result in http.bulk((Request.get("/things") for _ in range(size)), at_once=16):
        seen += result.error is None
    _check(seen, size)


async def download(http: HttpFacade, size: int, home: Path) -> None:
    """Read so many bytes, into a file where there is room for them."""
    if shutil.disk_usage(home).free > 2 * size:
        _check((await http.download(f"/bytes/{size}", home / "zeros", deadline_s=3600)).size, size)
        return
    seen = 0
    async with http.stream("GET", f"/bytes/{size}") as response:
        if response.stream is not None:
            async for piece in response.stream:
                seen += len(piece)
    _check(seen, size)


async def upload(http: HttpFacade, size: int, home: Path) -> None:
    """Send a file of so many bytes; they are a hole, and take no room."""
    source = home / "hole"
    with source.open("wb") as file:
        file.truncate(size)
    _check((await http.upload("/things", source)).size, size)


WORKS: dict[str, tuple[Callable[[HttpFacade, int, Path], Awaitable[None]], int, int]] = {
    "pages, 10,000": (paginate, 10_000, 200),
    "bulk, 100,000 requests": (bulk, 100_000, 2_000),
    "download, 5 GB": (download, 5 * GB, 64 * MB),
    "upload, 5 GB": (upload, 5 * GB, 64 * MB),
}


def measure(sheet: Sheet) -> None:
    """Print what each grew by, and what the gateway holds."""
    sheet.begin("Memory: growth of the peak while the work goes on, and a gateway at rest", "uvloop")
    with elsewhere(serve) as port, TemporaryDirectory() as home:
        url = f"http://127.0.0.1:{port}"
        for title, (_, size, little) in WORKS.items():
            grown, peak = in_a_process(title, url, sheet.pick(size, quick=little), Path(home))
            sheet.row(title, [grown], f"MB of {peak:.0f}", FLAT, digits=1)
        sheet.row("fairlead serve, after 10 requests", [gateway_mb(url, Path(home))], "MB", IDLE, digits=1)


def in_a_process(title: str, url: str, size: int, home: Path) -> tuple[float, float]:
    """Do one of the works in a process of its own; return the growth of its peak, and the peak, in MB."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(theirs, title, url, size, home))
    process.start()
    theirs.close()
    try:
        grown, peak = ours.recv()
    except EOFError:
        sys.exit(f"{title}: the measurement failed.")
    finally:
        process.join()
    return float(grown), float(peak)


def work(told: Connection, title: str, url: str, size: int, home: Path) -> None:
    """Do a little, look at the peak, do the rest, and look again."""
    act, _, little = WORKS[title]

    async def both() -> tuple[float, float]:
        async with Fairlead(parse_settings(CONFIG.format(url=url))) as fl:
            await act(fl.http("local"), little, home)
            before = _peak_mb()
            await act(fl.http("local"), size, home)
        return _peak_mb() - before, _peak_mb()

    told.send(asyncio.run(both()))


def gateway_mb(url: str, home: Path) -> float:
    """Return what a gateway holds that has served ten requests, in MB."""
    with run_gateway(home, GATEWAY.replace("URL", url)) as (gateway, process_id):
        for _ in range(10):
            asked = urllib.request.Request(f"{gateway}/proxy/local/things", headers={"fairlead-key": KEY})  # noqa: S310
            with urllib.request.urlopen(asked) as answer:  # noqa: S310  # our own, on loopback
                answer.read()
        command = ["ps", "-o", "rss=", "-p", str(process_id)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024  # noqa: S603


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT / MB


def _check(seen: int, wanted: int) -> None:
    if seen != wanted:
        sys.exit(f"{seen} of {wanted} came.")
