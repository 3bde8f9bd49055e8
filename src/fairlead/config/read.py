"""Read a configuration, and name the file and key of whatever is wrong with it. Values are never shown."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from fairlead.config.settings import Settings
from fairlead.errors import ConfigFileError, InvalidSettingError, UnknownSettingError
from fairlead.model.suggest import suggest


def read_settings(path: str | Path) -> Settings:
    """Read the configuration file; raise `ConfigError` naming the file and the key."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigFileError(
            f"{path} does not exist.",
            hint="Name the file with --config, or write one with `fairlead init`.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigFileError(f"{path} cannot be read: {reason}.", hint="Check the path and its permissions.") from None
    return parse_settings(text, source=str(path))


def parse_settings(text: str, *, source: str = "configuration") -> Settings:
    """Parse a configuration's text; `source` is its name in messages."""
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise ConfigFileError(f"{source} is nested too deeply.", hint="Settings are tables of tables.") from None
    except ValueError as error:  # TOMLDecodeError is one, and a number of thousands of digits another
        raise ConfigFileError(f"{source} is not TOML: {error}.", hint="Mend the line it names.") from None
    settings: Settings = _build(data, Settings, source, ())
    return settings


def _build(value: Any, kind: Any, source: str, path: tuple[str, ...]) -> Any:
    """Turn parsed TOML into settings, key by key, so that every complaint knows its place."""
    where = f"{source}: {'.'.join(path)}" if path else source
    kind = _without_none(kind)
    if _is_group(kind):
        hints = get_type_hints(kind, include_extras=True)
        for key in _table(value, where):
            if key not in hints:
                raise UnknownSettingError(
                    f"{where}{'.' if path else ': '}{key} is not a setting.",
                    hint=suggest(key, hints, lead="Known here"),
                )
        made = {key: _build(item, hints[key], source, (*path, key)) for key, item in value.items()}
        missing = [field.name for field in msgspec.structs.fields(kind) if field.required and field.name not in made]
        if missing:
            raise InvalidSettingError(f"{where} lacks {missing[0]!r}.", hint="Add it.")
        return kind(**made)
    if get_origin(kind) is dict:
        return {
            key: _build(item, get_args(kind)[1], source, (*path, key)) for key, item in _table(value, where).items()
        }
    if get_origin(kind) is list and isinstance(value, list) and _is_group(get_args(kind)[0]):
        place = path[-1]
        return [
            _build(item, get_args(kind)[0], source, (*path[:-1], f"{place}[{at}]")) for at, item in enumerate(value)
        ]
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problem = str(error).partition(" - at ")[0]
        if get_origin(kind) is Literal:  # the library would quote the value
            problem = f"Expected one of {', '.join(map(repr, get_args(kind)))}"
        raise InvalidSettingError(f"{where}: {problem}.", hint="See docs/reference/settings.md.") from None


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidSettingError(
            f"{where}: Expected a table of settings.", hint="Write it as [table] or { key = value }."
        )
    return value


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _without_none(kind: Any) -> Any:
    """Return X for `X | None`: TOML has no null."""
    parts = [part for part in get_args(kind) if part is not type(None)]
    is_optional = get_origin(kind) in (Union, UnionType)
    return parts[0] if is_optional and len(parts) == 1 else kind
