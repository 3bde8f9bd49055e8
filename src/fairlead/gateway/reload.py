"""New settings for a gateway that serves: all of the file or nothing of it, the gateway's own keys included."""

from __future__ import annotations

from collections.abc import MutableSequence
from contextlib import suppress

from fairlead.config.read import read_settings
from fairlead.config.settings import Settings
from fairlead.config.sources import ProcessSources, Sources
from fairlead.errors import ConfigError, InvalidSettingError, UsageError
from fairlead.model.secret import Secret
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.reload import telling_of_rejection
from fairlead.vault.references import resolve


async def reload_gateway(fl: Fairlead, keys: MutableSequence[Secret], config: str) -> None:
    """Read the file anew and put it in force. What is wrong is told as `ConfigRejected`, and changes nothing.

    `keys` are those that the gateway accepts, and are changed in place.
    """
    with suppress(ConfigError, UsageError):  # it is told
        with telling_of_rejection(fl.ports, config):
            settings = read_settings(config)
            found = read_keys(settings, config, ProcessSources())
        await fl.reload(settings, source=config)
        keys[:] = found


def read_keys(settings: Settings, config: str, sources: Sources) -> list[Secret]:
    """Resolve the keys that the gateway accepts; raise `ConfigError` where there are none."""
    if not settings.gateway.api_keys:
        raise InvalidSettingError(
            f"{config}: gateway.api_keys is empty, and the gateway serves nobody without a key.",
            hint='Add [gateway] api_keys = ["env:FAIRLEAD_KEY"], and set that variable.',
        )
    return [resolve(reference, sources, where=f"{config}: gateway.api_keys") for reference in settings.gateway.api_keys]
