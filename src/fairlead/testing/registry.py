"""Find stand-ins by name: the files of `fairlead.testing.fakes`, and entry points of other packages."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType

from fairlead.errors import InvalidArgumentError
from fairlead.model.suggest import suggest
from fairlead.testing.server import FakeServer

_PACKAGE = "fairlead.testing.fakes"
#: The group in which other packages announce theirs: `name = "package.module:AcmeFake"`.
_GROUP = "fairlead.fakes"


def fake_names() -> list[str]:
    """Return the names of all stand-ins; each is that of the provider it stands in for."""
    own = {module.name for module in pkgutil.iter_modules(import_module(_PACKAGE).__path__)}
    return sorted(own | set(entry_points(group=_GROUP).names))


def load_fake(name: str) -> type[FakeServer]:
    """Return a stand-in's class; raise `InvalidArgumentError`, with the closest name, where there is none."""
    for entry in entry_points(group=_GROUP, name=name):
        found: type[FakeServer] = entry.load()
        return found
    names = fake_names()
    if name not in names:
        raise InvalidArgumentError(
            f"There is no stand-in for {name!r}.",
            hint=suggest(name, names),
        )
    return _find(import_module(f"{_PACKAGE}.{name}"))


def _find(module: ModuleType) -> type[FakeServer]:
    """Return the one `FakeServer` that a module defines."""
    (found,) = (
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, FakeServer) and each.__module__ == module.__name__
    )
    return found
