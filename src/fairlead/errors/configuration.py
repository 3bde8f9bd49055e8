"""The configuration cannot work; nothing was started."""

from __future__ import annotations

from fairlead.errors.root import FairleadError


class ConfigError(FairleadError):
    """The configuration cannot work."""

    code = "config"
    is_request_fault = True


class ConfigFileError(ConfigError):
    """The configuration file cannot be read."""

    code = "config_file"


class UnknownSettingError(ConfigError):
    """The configuration has a key that means nothing."""

    code = "unknown_setting"


class InvalidSettingError(ConfigError):
    """A setting has a value that cannot be."""

    code = "invalid_setting"


class MissingCredentialError(ConfigError):
    """A connection lacks a credential."""

    code = "missing_credential"


class UnresolvedReferenceError(ConfigError):
    """A reference to a secret leads nowhere."""

    code = "unresolved_reference"
