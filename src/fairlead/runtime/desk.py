"""Where jobs are kept: the store that the settings name, and the hand that wakes whoever works them off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fairlead.config.sources import Sources
from fairlead.config.storage import Storage
from fairlead.errors import InvalidSettingError
from fairlead.runtime.ports import Ports
from fairlead.storage.jobs import JobStore
from fairlead.storage.open import open_store
from fairlead.vault.references import resolve


class FindStore(Protocol):
    """Finds the store of the settings."""

    def __call__(self, wanted: Storage, *, source: str, sources: Sources, ports: Ports) -> JobStore:
        """Return it, not opened; raise `ConfigError` naming the key of what cannot be."""
        ...


class Desk:
    """The store of this process. Nothing is opened, and no file made, before it is asked for something."""

    def __init__(self, store: JobStore, ports: Ports) -> None:
        self.store = store
        self.ports = ports
        #: Is called when something was added, or is due anew.
        self.wake: Callable[[], None] = _nobody


def _nobody() -> None:
    """Wake nobody: what is due is found by whoever looks for it."""


def find_store(wanted: Storage, *, source: str, sources: Sources, ports: Ports) -> JobStore:
    """Return the store of the settings, not opened; raise `ConfigError` naming the key of what cannot be."""
    password = None
    if wanted.password is not None:
        password = resolve(wanted.password, sources, where=f"{source}: storage.password")
    try:
        return open_store(wanted.url, clock=ports.clock, ids=ports.ids, password=password)
    except InvalidSettingError as error:
        raise InvalidSettingError(f"{source}: storage.url: {error.message}", hint=error.hint) from None
