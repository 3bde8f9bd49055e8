"""Resolve references to secrets: `env:NAME` and `file:/path`."""

from __future__ import annotations

import re

from fairlead.config.sources import Sources
from fairlead.errors import InvalidSettingError, UnresolvedReferenceError
from fairlead.model.secret import Secret


def resolve(reference: str, sources: Sources, *, where: str, is_secret: bool = True) -> Secret:
    """Return what a reference points at. `where` is the setting's file and key, for messages.

    A value that is not secret may stand in the configuration itself; a secret may not. The end of line that
    editors add to a file is not part of the secret.
    """
    scheme, colon, name = reference.partition(":")
    if colon and scheme == "env":
        # What is no usual name may be the secret itself, pasted here by mistake: it is not shown.
        is_usual = re.fullmatch("[A-Z_][A-Z0-9_]*", name)
        problem = f"the environment has no {name if is_usual else 'variable of the name after env:'}"
        return _found(sources.environment(name), where, problem, f"Set it: export {name if is_usual else '...'}=...")
    if colon and scheme == "file":
        text = sources.file(name)
        return _found(
            text and text.rstrip("\r\n"),
            where,
            f"{name} cannot be read or is empty",
            "Check path and rights.",
        )
    if is_secret:
        raise InvalidSettingError(
            f"{where} holds a secret in plain text.",
            hint="Put it in the environment or a file, and write env:NAME or file:/path here.",
        )
    return Secret(reference)


def _found(value: str | None, where: str, problem: str, hint: str) -> Secret:
    if not value:
        raise UnresolvedReferenceError(f"{where}: {problem}.", hint=hint)
    return Secret(value)
