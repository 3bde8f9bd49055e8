"""The numbered steps that bring a driver's tables forward, as plain SQL. There are none back: restore a copy instead.

A step that was released is never changed; `tests/contract/test_migrations.py` keeps what each version left behind.
"""

from __future__ import annotations

from importlib import resources

import msgspec

from fairlead.errors import StorageError


class Step(msgspec.Struct, frozen=True):
    """One step: its number, and its statements."""

    number: int
    name: str
    sql: str


def read_steps(driver: str) -> tuple[Step, ...]:
    """Return all steps of a driver, in order."""
    folder = resources.files(__name__) / driver
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return tuple(Step(int(file.name[:4]), file.name, file.read_text(encoding="utf-8")) for file in files)


def steps_after(version: int, steps: tuple[Step, ...], place: str) -> tuple[Step, ...]:
    """Return what is still to be done; raise `StorageError` where the tables are of a later Fairlead than this one."""
    newest = steps[-1].number
    if version > newest:
        raise StorageError(
            f"{place} is of a newer Fairlead: its tables have version {version}, this one knows {newest}.",
            hint="Run the newer version everywhere, or go back to a copy that was made before.",
        )
    return tuple(step for step in steps if step.number > version)
