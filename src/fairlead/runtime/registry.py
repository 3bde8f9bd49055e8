"""Find providers by name: the files of `fairlead.providers`, and entry points of other packages."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from importlib.metadata import entry_points

from fairlead.errors import UnknownProviderError
from fairlead.model.suggest import suggest
from fairlead.spec.provider import Provider

_PACKAGE = "fairlead.providers"
#: The group in which other packages announce theirs: `name = "package.module:PROVIDER"`.
_GROUP = "fairlead.providers"


def provider_names() -> list[str]:
    """Return the names of all providers that can be had."""
    own = {module.name for module in pkgutil.iter_modules(import_module(_PACKAGE).__path__)}
    return sorted(own | set(entry_points(group=_GROUP).names))


def load_provider(name: str) -> Provider:
    """Return a provider's declaration; raise `UnknownProviderError`, with the closest name, where there is none."""
    for entry in entry_points(group=_GROUP, name=name):
        try:
            found: Provider = entry.load()
        except Exception as error:  # noqa: BLE001  # whatever another package does while it is imported
            raise UnknownProviderError(
                f"The provider {name!r}, which another package offers as {entry.value}, cannot be loaded: {error!r}.",
                hint="Mend that package, or remove it.",
            ) from None
        return found
    names = provider_names()
    if name not in names:
        raise UnknownProviderError(
            f"There is no provider {name!r}.",
            hint=suggest(name, names),
        )
    declared: Provider = import_module(f"{_PACKAGE}.{name}").PROVIDER
    return declared
