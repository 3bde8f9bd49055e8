"""A git server over HTTP: git's own `http-backend` behind a small CGI server, for those with a token."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import PIPE, Popen
from threading import Thread
from typing import IO, NamedTuple
from urllib.parse import unquote

_PIECE = 64 * 1024
_COMMITTER = "committer Cook <cook@kitchen.test> {} +0000\n"


class GitServer(NamedTuple):
    """Where it is, and what was asked: the method, the path, and how the body came."""

    url: str
    asked: list[tuple[str, str, str]]


@contextmanager
def serve_git(root: Path, environment: dict[str, str], token: str) -> Iterator[GitServer]:
    """Serve every repository below `root` on a free port of 127.0.0.1."""
    asked: list[tuple[str, str, str]] = []

    class Handler(_Cgi):
        variables = {**environment, "GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1"}  # noqa: RUF012
        wanted = f"Bearer {token}"
        seen = asked

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield GitServer(f"http://127.0.0.1:{server.server_port}", asked)
        finally:
            server.shutdown()
            thread.join()


class _Cgi(BaseHTTPRequestHandler):
    """Runs `git http-backend` for each request (RFC 3875), and streams what it says."""

    protocol_version = "HTTP/1.1"
    variables: dict[str, str]
    wanted: str
    seen: list[tuple[str, str, str]]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Say nothing."""

    def do_GET(self) -> None:  # likewise
        self._run()

    def do_POST(self) -> None:  # likewise
        self._run()

    def _run(self) -> None:
        path, _, query = self.path.partition("?")
        is_chunked = self.headers.get("transfer-encoding") == "chunked"
        self.seen.append((self.command, path, "chunked" if is_chunked else "whole"))
        with tempfile.TemporaryFile() as body:
            self._spool(body, is_chunked=is_chunked)
            if self.headers.get("authorization") != self.wanted:
                self.send_response(403)
                self.send_header("content-length", "0")
                self.end_headers()
                return
            variables = self.variables | {
                "PATH_INFO": unquote(path),
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "REMOTE_USER": "cook",
                "REMOTE_ADDR": "127.0.0.1",
                "CONTENT_TYPE": self.headers.get("content-type", ""),
                "CONTENT_LENGTH": str(body.seek(0, 2)),
                "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
                "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
            }
            body.seek(0)
            git = shutil.which("git") or "git"
            with Popen((git, "http-backend"), stdin=body, stdout=PIPE, env=variables) as backend:  # noqa: S603
                assert backend.stdout is not None
                self._answer(backend.stdout)

    def _spool(self, body: IO[bytes], *, is_chunked: bool) -> None:
        if not is_chunked:
            body.write(self.rfile.read(int(self.headers.get("content-length", "0"))))
            return
        while size := int(self.rfile.readline(), 16):
            body.write(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, out: IO[bytes]) -> None:
        fields = [line.decode().rstrip("\r\n").split(": ", 1) for line in iter(out.readline, b"\r\n")]
        status = next((value for name, value in fields if name.lower() == "status"), "200 OK")
        self.send_response(int(status.split(" ")[0]))
        for name, value in fields:
            if name.lower() != "status":
                self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        while piece := out.read(_PIECE):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


def history(commits: int, contents: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the commands of git-fast-import for so many commits, each of which adds a file."""
    for number in range(commits):
        content, message = next(contents), f"Add {number}"
        yield f"commit refs/heads/main\n{_COMMITTER.format(1_700_000_000 + number)}".encode()
        yield f"data {len(message)}\n{message}\n".encode()
        yield f"M 100644 inline shelf-{number % 50}/{number}\ndata {len(content)}\n".encode() + content + b"\n"
