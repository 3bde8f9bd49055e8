"""Measure the gateway's proxy against nginx: requests a second of one worker each, in front of the same upstream.

The gateway is `fairlead serve` with every policy on: its caller's key, the vendor's credentials, breaker, concurrency,
rate limit, metrics and a log line for each event. The upstream is nginx too, since anything slower would be what is
measured; wrk asks. Both are Debian packages, and are looked for, not required.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from harness import Limit, Sheet, in_turn

AT_ONCE = 32
KEY = "a key of the measurement"
LIMIT = Limit(at_least=0.10)

CONFIG = """
[gateway]
api_keys = ["env:FAIRLEAD_KEY"]

[connections.local]
base_url = "http://127.0.0.1:{upstream}"
allow_private = true
auth = {{ scheme = "bearer" }}
credentials = {{ token = "env:TOKEN" }}
rate = {{ requests = 1000000, per_s = 1 }}
concurrency = {{ limit = 100, queue = 1000 }}
"""

NGINX = """
daemon off; master_process off; pid {home}/pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxied; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  {server}
}}
"""
UPSTREAM = """server {{
  listen 127.0.0.1:{port} backlog=2048; location / {{ default_type application/json; return 200 '{{"ok":true}}'; }}
}}"""
PROXY = """upstream vendor {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass http://vendor; proxy_http_version 1.1; proxy_set_header connection "";
      proxy_set_header authorization "Bearer x";
    }}
  }}"""


def measure(sheet: Sheet) -> None:
    """Print both, and the ratio."""
    sheet.begin(f"Proxied requests, {AT_ONCE} at once, one worker", "uvicorn", "uvloop", "httptools")
    wrk, nginx = shutil.which("wrk"), shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not wrk or not nginx:
        sheet.note("Not measured: nginx or wrk is not there (the Debian packages have these names).")
        return
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory()))
        upstream = stack.enter_context(run_nginx(nginx, home / "upstream", UPSTREAM))
        reference = stack.enter_context(run_nginx(nginx, home / "proxy", PROXY, upstream=upstream))
        gateway, pid = stack.enter_context(run_gateway(home, CONFIG.format(upstream=upstream)))
        spent_us: list[float] = []

        def ask_gateway() -> float:
            before = cpu_s(pid)
            rate, requests = load(wrk, f"{gateway}/proxy/local/things")
            spent_us.append((cpu_s(pid) - before) / requests * 1e6)
            return rate

        measures = {
            "nginx": lambda: load(wrk, f"http://127.0.0.1:{reference}/things")[0],
            "fairlead": ask_gateway,
        }
        found = in_turn(sheet.pick(21, quick=1), measures)
    sheet.note(_first_line([nginx, "-v"]) + ", " + _first_line([wrk, "-v"]).partition(" Copyright")[0])
    sheet.row("nginx, keep-alive on both sides", found["nginx"], "requests/s", digits=0)
    sheet.row("fairlead serve, everything on", found["fairlead"], "requests/s", digits=0)
    sheet.row("CPU time of the gateway's process a request", spent_us[1:], "us", digits=0)
    sheet.ratio("fairlead to nginx", found["fairlead"], found["nginx"], LIMIT)


@contextmanager
def run_gateway(home: Path, config: str) -> Iterator[tuple[str, int]]:
    """Run `fairlead serve` in that folder; yield its URL and the id of its process."""
    home.joinpath("fairlead.toml").write_text(config)
    command = [sys.executable, "-m", "fairlead", "serve", "--port", "0", "--json"]
    with running(command, home, {"FAIRLEAD_KEY": KEY, "TOKEN": "x"}, is_heard=True) as process:
        assert process.stdout is not None  # noqa: S101  # it was asked for
        told = process.stdout.readline()
        yield json.loads(told)["url"], process.pid


@contextmanager
def run_nginx(nginx: str, home: Path, server: str, **values: int) -> Iterator[int]:
    """Run one nginx, of one process; yield its port."""
    home.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = home / "nginx.conf"
    config.write_text(NGINX.format(home=home, server=server.format(port=port, **values)))
    with running([nginx, "-c", str(config), "-p", str(home), "-e", "stderr"], home, {}):
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
        yield port


@contextmanager
def running(
    command: list[str], home: Path, variables: Mapping[str, str], *, is_heard: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the block ends; what it has to say of each event goes nowhere."""
    process = subprocess.Popen(  # noqa: S603  # our own
        command,
        cwd=home,
        env=dict(variables) or None,
        stdout=subprocess.PIPE if is_heard else None,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has spent, as Linux tells it (proc(5)): what neighbours disturb least."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(wrk: str, url: str) -> tuple[float, int]:
    """Ask as fast as it goes, for a second: many short rounds in turn meet the same neighbours.

    Returns how many requests there were a second, and in all.
    """
    command = [wrk, "-t1", f"-c{AT_ONCE}", "-d1s", "-H", f"fairlead-key: {KEY}", url]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # our own
    found = re.search(r"(\d+) requests in .*Requests/sec:\s+([\d.]+)", told, re.DOTALL)
    if found is None or "Non-2xx" in told or "Socket errors" in told:
        sys.exit(f"The load did not go through:\n{told}")
    return float(found[2]), int(found[1])


def _first_line(command: list[str]) -> str:
    told = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  # our own
    return (told.stdout + told.stderr).partition("\n")[0].removeprefix("nginx version: ").strip()
