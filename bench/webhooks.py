"""Measure webhooks: signed deliveries that are verified, told apart and on disk before they are acknowledged.

One process of `fairlead serve`, 64 vendors at once, each delivery new. The reference is the same server answering the
same vendor for deliveries that bring no event: verified, read, and not stored. wrk is looked for, not required.
"""

from __future__ import annotations

import hmac
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from harness import Limit, Sheet, in_turn
from proxy import cpu_s, running

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from postgres_server import running as running_postgres  # a server of its own, as the tests have one

AT_ONCE = 64
SECRET = "a secret of the measurement"  # noqa: S105  # made up
ROOT = Path(__file__).parents[1]
RATE, RATE_POSTGRES, SHARE = Limit(at_least=3000), Limit(at_least=2500), Limit(at_least=0.6)
# More than one round can take.
_MOST = 30_000

CONFIG = """
[gateway]
api_keys = ["env:KEY"]

[connections.shop]
provider = "acme"
credentials = {{ webhook_secret = "env:SECRET" }}

[storage]
url = "{url}"
"""
SCRIPT = """
local requests, at = {}, 0
init = function(args)
  for line in io.lines(args[1]) do
    local time, signature, body = line:match("^(%S+) (%S+) (.*)$")
    local headers = {["content-type"] = "application/json", ["acme-time"] = time, ["acme-signature"] = signature}
    requests[#requests + 1] = wrk.format("POST", nil, headers, body)
  end
end
request = function()
  at = at + 1
  if at > #requests then wrk.thread:stop() at = 1 end
  return requests[at]
end
"""


class Gateway(NamedTuple):
    """What is delivered to: its address, and its process."""

    url: str
    pid: int


class Vendor(NamedTuple):
    """What sends deliveries, with a file of them for each round."""

    wrk: str
    home: Path
    numbers: Iterator[int]

    def send(self, gateway: Gateway, spent_us: list[float], *, brings_events: bool) -> float:
        """Deliver for a second; return how many were acknowledged in one, and note the CPU time that each has cost."""
        deliveries = self.home / "deliveries"
        with deliveries.open("w") as file:
            file.writelines(self._line(brings_events=brings_events) for _ in range(_MOST))
        command = [self.wrk, "-t1", f"-c{AT_ONCE}", "-d1s", "-s", str(self.home / "send.lua"), gateway.url]
        command += ["--", str(deliveries)]
        before = cpu_s(gateway.pid)
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # our own
        found = re.search(r"(\d+) requests in .*Requests/sec:\s+([\d.]+)", told, re.DOTALL)
        if found is None or "Non-2xx" in told or "Socket errors" in told:
            sys.exit(f"The deliveries did not go through:\n{told}")
        spent_us.append((cpu_s(gateway.pid) - before) / int(found[1]) * 1e6)
        return float(found[2])

    def _line(self, *, brings_events: bool) -> str:
        number = next(self.numbers)
        event = {"id": f"evt_{number}", "type": "order.paid", "subject": f"order_{number}", "data": "x" * 300}
        body = json.dumps([event])
        if not brings_events:
            body = f"[{' ' * (len(body) - 2)}]"
        at = f"{time.time():.0f}"  # noqa: TID251  # a vendor's own clock
        signature = hmac.digest(SECRET.encode(), f"{at}.{body}".encode(), "sha256").hex()
        return f"{at} v1={signature} {body}\n"


def measure(sheet: Sheet) -> None:
    """Print deliveries a second on both stores, and beside what the server does without storing."""
    sheet.begin(f"Webhooks on disk before the 2xx, {AT_ONCE} at once, one process", "uvicorn", "pysqlite3", "asyncpg")
    wrk = shutil.which("wrk")
    if not wrk:
        sheet.note("Not measured: wrk is not there (the Debian package has this name).")
        return
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory()))
        (home / "send.lua").write_text(SCRIPT)
        vendor = Vendor(wrk, home, count(1))
        url = stack.enter_context(running_postgres(is_durable=True)).new_url()
        sqlite = stack.enter_context(run_gateway(home / "sqlite", str(home / "jobs.db")))
        postgres = stack.enter_context(run_gateway(home / "postgres", url))
        spent_us: dict[str, list[float]] = {"answered": [], "sqlite": [], "postgres": []}
        found = in_turn(
            sheet.pick(9, quick=1),
            {
                "answered": lambda: vendor.send(sqlite, spent_us["answered"], brings_events=False),
                "sqlite": lambda: vendor.send(sqlite, spent_us["sqlite"], brings_events=True),
                "postgres": lambda: vendor.send(postgres, spent_us["postgres"], brings_events=True),
            },
        )
    answered_us, sqlite_us, postgres_us = (each[1:] for each in spent_us.values())
    sheet.row("answered without storing", found["answered"], "deliveries/s", digits=0)
    sheet.row("  CPU time of each", answered_us, "us", digits=0)
    sheet.row("SQLite, synchronous=FULL", found["sqlite"], "deliveries/s", RATE, digits=0)
    sheet.row("  CPU time of each", sqlite_us, "us", digits=0)
    sheet.ratio("SQLite to answering without storing", found["sqlite"], found["answered"], SHARE)
    sheet.ratio("  by CPU time, which neighbours disturb least", answered_us, sqlite_us)
    sheet.row("PostgreSQL, fsync on", found["postgres"], "deliveries/s", RATE_POSTGRES, digits=0)
    sheet.row("  CPU time of each, without the database's", postgres_us, "us", digits=0)


@contextmanager
def run_gateway(home: Path, store: str) -> Iterator[Gateway]:
    """Run `fairlead serve` over a store; yield what the vendor calls."""
    home.mkdir()
    home.joinpath("fairlead.toml").write_text(CONFIG.format(url=store))
    command = [sys.executable, "-m", "fairlead", "serve", "--port", "0", "--json"]
    variables = {"KEY": "k", "SECRET": SECRET, "PYTHONPATH": str(ROOT / "tests" / "vendors")}
    with running(command, home, variables, is_heard=True) as process:
        assert process.stdout is not None  # noqa: S101  # it was asked for
        yield Gateway(f"{json.loads(process.stdout.readline())['url']}/webhooks/shop", process.pid)
