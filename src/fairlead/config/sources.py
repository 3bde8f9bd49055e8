"""Where secrets come from: the environment and files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Sources(Protocol):
    """What references can point at."""

    def environment(self, name: str) -> str | None:
        """Return a variable's value."""
        ...

    def file(self, path: str) -> str | None:
        """Return a file's text, or None where it cannot be read."""
        ...


class ProcessSources:
    """The process's environment, or a mapping in its place, and the file system."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment  # noqa: TID251  # the one place

    def environment(self, name: str) -> str | None:
        """Return a variable's value."""
        return self._environment.get(name)

    def file(self, path: str) -> str | None:
        """Return a file's text, or None where it cannot be read."""
        try:
            return Path(path).expanduser().read_text(encoding="utf-8")
        except (OSError, ValueError, RuntimeError):  # not there, not text, not a path, or ~ of nobody
            return None
